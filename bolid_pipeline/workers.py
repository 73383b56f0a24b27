"""Work on bytes from outside in processes that are stopped when it takes too long or too much memory.

A thread cannot be stopped, so whatever parses a file or page of unknown origin runs here:

    facts = run_limited(read_facts, data, seconds=10)

The function is looked up by its name in the worker, so it stands at the top level of a module that can be imported,
and its arguments and its result can be pickled. Give it bytes and let it return little: facts and hashes, no pixels.
A call waits while all workers are busy; for more speed, call from several threads. Workers start when they are first
needed (0.1 s and the imports of the function's module, once), are shared by the whole process, and end with it.
A call with 200 KB costs about 0.2 ms more than calling the function itself.
"""

import atexit
import os
import pickle
import queue
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any, BinaryIO, TypeVar, TypeVarTuple, cast

from bolid_pipeline.errors import TookTooLong, WorkerDied

MEMORY_BYTES = 900_000_000
"""What a worker may allocate; beyond it the function meets a MemoryError."""

MAX_WORKERS = 8
"""Most workers of a process; there is one per core if it has fewer."""

_BY_THE_CLOCK = 4
"""A call may take this many times its seconds by the clock, since the machine may be busy with other work."""

_Ts = TypeVarTuple("_Ts")
_R = TypeVar("_R")


def run_limited(function: Callable[[*_Ts], _R], *args: *_Ts, seconds: float) -> _R:
    """The function's result, or its exception, from a worker process. May be called from any thread.

    Args:
        function: at the top level of a module that can be imported.
        args: its arguments.
        seconds: of processor time, after which the worker is killed; at the latest after four times as many by the
            clock.

    Raises:
        TookTooLong: the limit was reached.
        WorkerDied: the worker crashed or was killed.
        MemoryError: the function needs more than MEMORY_BYTES.
    """
    return cast("_R", _pool.run(function, args, seconds))


class _Worker:
    """A process that runs one call after the other."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - this program's own interpreter and module
            [sys.executable, "-P", "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # The same modules as here; and no threads, whose stacks would count as memory.
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path),  # noqa: PTH109
                "OMP_NUM_THREADS": "1",
                "OPENBLAS_NUM_THREADS": "1",
            },
            process_group=0,  # Ctrl-C is for the crawl, which ends its workers when it ends
        )

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def run(self, call: bytes, seconds: float) -> tuple[bool, Any]:
        """Whether the call returned, and what it returned or raised. The worker is dead after any exception here."""
        try:
            pickle.dump((seconds, call), cast("BinaryIO", self._process.stdin))
            cast("BinaryIO", self._process.stdin).flush()
            return pickle.load(cast("BinaryIO", self._process.stdout))  # noqa: S301 - from our own process
        except (EOFError, BrokenPipeError, pickle.UnpicklingError):
            signal_number = -self._process.wait()
            if signal_number in (signal.SIGALRM, signal.SIGPROF):
                raise TookTooLong(f"was stopped after {seconds:g} s of work") from None
            raise WorkerDied(f"the process at work on it ended with status {-signal_number}") from None

    def end(self) -> None:
        """Kill the process and close its pipes."""
        self._process.kill()
        self._process.wait()
        self._close()

    def leave_to_parent(self) -> None:
        """Close this process's copies of the pipes, after a fork."""
        self._process.returncode = 0  # it is no child of this process, so there is nothing to wait for
        self._close()

    def _close(self) -> None:
        with suppress(BrokenPipeError):
            cast("BinaryIO", self._process.stdin).close()
        cast("BinaryIO", self._process.stdout).close()


class _Pool:
    """Places for workers: each holds an idle worker, or None where one is to be started."""

    def __init__(self) -> None:
        self._idle: queue.LifoQueue[_Worker | None] = queue.LifoQueue()
        for _ in range(min(MAX_WORKERS, os.cpu_count() or 1)):
            self._idle.put(None)

    def run(self, function: Callable[..., Any], args: tuple[Any, ...], seconds: float) -> Any:
        call = pickle.dumps((function, args))
        worker = self._idle.get()
        try:
            if worker is not None and not worker.is_alive:
                worker.end()
                worker = None
            worker = worker or _Worker()
            returned, result = worker.run(call, seconds)
        except BaseException:
            if worker is not None:
                worker.end()
            worker = None
            raise
        finally:
            self._idle.put(worker)
        if not returned:
            raise result
        return result

    @property
    def idle(self) -> list[_Worker]:
        """The idle workers, which are all of them when the process ends."""
        return [worker for worker in self._idle.queue if worker is not None]


_pool = _Pool()


def _start_anew() -> None:
    """Forget the workers after a fork: they answer to the parent."""
    global _pool  # noqa: PLW0603
    for worker in _pool.idle:
        worker.leave_to_parent()
    _pool = _Pool()


def _end_workers() -> None:
    for worker in _pool.idle:
        worker.end()


def _serve() -> None:
    """Run calls from stdin until it is closed, and write what comes of them to what was stdout."""
    calls, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    # A decoder's words go nowhere: they would mix with the answers, and a file can put anything into them.
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))
    with suppress(EOFError, BrokenPipeError):
        while True:
            answers.write(_next_answer(calls))
            answers.flush()


def _next_answer(calls: BinaryIO) -> bytes:
    """A pickle of whether the next call returned, and of its result or exception. Raises EOFError at the end."""
    seconds, call = pickle.load(calls)  # noqa: S301 - from the process that started this one
    try:
        function, args = pickle.loads(call)  # noqa: S301 - as above
        del call  # as large as its arguments
        # The kernel ends this process when a timer runs out, whatever it is doing and even if its parent is gone.
        signal.setitimer(signal.ITIMER_PROF, seconds)
        signal.setitimer(signal.ITIMER_REAL, seconds * _BY_THE_CLOCK)
        return pickle.dumps((True, function(*args)))
    except Exception as error:  # noqa: BLE001 - it is raised again by the caller
        return pickle.dumps((False, _portable(error)))
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)


def _portable(error: Exception) -> Exception:
    """The exception, or one that says the same if it cannot be pickled and read back."""
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 - made in this line
    except Exception:  # noqa: BLE001 - pickling calls the exception's own code
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


os.register_at_fork(after_in_child=_start_anew)
atexit.register(_end_workers)

if __name__ == "__main__":
    _serve()
