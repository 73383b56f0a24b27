"""Commands as a person starts them, in processes of the fork server: they need not import Dagster and torch anew."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import fork_server

PATIENCE_SECONDS = 800
"""Code servers and trainers import torch; on a busy machine that takes minutes."""


def dagster(*arguments: str) -> None:
    """Do what the command `dagster` does."""
    from dagster._cli import main

    sys.argv = ["dagster", *arguments]
    main()


def dagster_daemon(*arguments: str) -> None:
    """Do what the command `dagster-daemon` does."""
    from dagster._daemon.cli import main

    sys.argv = ["dagster-daemon", *arguments]
    main()


def torchrun(*arguments: str) -> None:
    """Do what the command `torchrun` does."""
    from torch.distributed.run import main

    main(arguments)


class Command:
    """A command that was started."""

    def __init__(self, process: ForkServerProcess, output: Path) -> None:
        self._process = process
        self._output = output

    @property
    def pid(self) -> int | None:
        """Its process."""
        return self._process.pid

    @property
    def output(self) -> str:
        """What it has written to stdout and stderr until now."""
        return self._output.read_text(errors="replace")

    def wait(self) -> int | None:
        """Wait for its end; the exit code, or None if it takes too long."""
        self._process.join(PATIENCE_SECONDS)
        return self._process.exitcode

    def wait_for(self, condition: Callable[[], bool]) -> None:
        """Wait until this holds; the command may not end before."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            assert self._process.is_alive(), self.output
            assert time.monotonic() < deadline, self.output
            time.sleep(0.1)

    def kill(self) -> None:
        """End it by SIGKILL."""
        self._process.kill()
        self._process.join()


@contextmanager
def start_command(
    folder: Path, command: Callable[..., None], *arguments: str, **environment: str
) -> Iterator[Command]:
    """Start a command in this folder, with these variables besides the usual ones; kill it at the end if it still runs.

    Its output goes to the next free `<number>.log` of the folder.
    """
    output = folder / f"{len(list(folder.glob('*.log')))}.log"
    started = Command(
        fork_server.start(command, *arguments, output=output, folder=folder, environment=environment), output
    )
    try:
        yield started
    finally:
        started.kill()
