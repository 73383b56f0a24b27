"""Commands as a person starts them, in processes of the fork server: they need not import Dagster and torch anew."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import entry_points
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import fork_server

PATIENCE_SECONDS = 800
"""Code servers and trainers import torch; on a busy machine that takes minutes."""


def run_script(name: str, *arguments: str) -> None:
    """Do what an installed command does, such as `dagster`."""
    (script,) = entry_points(group="console_scripts", name=name)
    sys.argv = [name, *arguments]
    sys.exit(script.load()())


class Command:
    """A command that was started."""

    def __init__(self, process: ForkServerProcess, output: Path) -> None:
        self._process = process
        self._output = output

    @property
    def pid(self) -> int | None:
        """The process id."""
        return self._process.pid

    @property
    def output(self) -> str:
        """Its output to stdout and stderr so far."""
        return self._output.read_text(errors="replace")

    def wait(self) -> int:
        """Wait for its end and return the exit code."""
        self._process.join(PATIENCE_SECONDS)
        assert self._process.exitcode is not None, self.output
        return self._process.exitcode

    def wait_for(self, condition: Callable[[], bool]) -> None:
        """Wait until the condition holds; fail if the command ends before."""
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
def start_command(folder: Path, name: str, *arguments: str, **environment: str) -> Iterator[Command]:
    """Start a command in this folder, with these variables besides the usual ones; kill it at the end if it still runs.

    Its output goes to the next free `<number>.log` of the folder.
    """
    output = folder / f"{len(list(folder.glob('*.log')))}.log"
    started = Command(
        fork_server.start(
            run_script, name, *arguments, output=output, folder=folder, environment=environment
        ),
        output,
    )
    try:
        yield started
    finally:
        started.kill()
