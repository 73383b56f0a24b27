"""Processes that start at once, with torch and Dagster already imported, and that a test may kill at any moment.

Python's fork server is a process that imports the heavy modules once, which takes a quarter of a minute, and is then
forked for every call. All tests of a pytest process share one server.
"""

import importlib.util
import multiprocessing
import os
from collections.abc import Callable, Mapping
from functools import cache
from importlib.metadata import entry_points
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from typing import Any
from unittest.mock import patch

SCRIPTS = ("dagster", "dagster-daemon")
# Not the definitions: they read the environment when they are imported.
HEAVY_MODULES = (
    "assets.training",
    "assets.evaluation",
    "resources.deployments",
    "resources.ray_engine",
    "bolid_pipeline.scraping.crawler",
    "bolid_pipeline.scraping.sources.site",
    "bolid_pipeline.curation.watermark",
    "bolid_pipeline.curation.people",
    "bolid_pipeline.captioning.clip_attributes",
    "bolid_pipeline.pose.estimator",
    "bolid_pipeline.latents.stage",
    "bolid_pipeline.training.fit",
    *(script.module for name in SCRIPTS for script in entry_points(group="console_scripts", name=name)),
)


def start(
    function: Callable[..., object],
    *arguments: Any,
    output: Path,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> ForkServerProcess:
    """Start a process that calls the function; `exitcode` is minus the signal that ended it.

    Args:
        function: a function of a module of tests/support, or an installed one: the process imports it by name.
        arguments: its arguments; they are pickled.
        output: file that gets all the process writes to stdout and stderr.
        folder: the working directory, if not this process's.
        environment: variables to set, besides those of the server.
    """
    output.write_bytes(b"")
    process = _context().Process(
        target=_call, args=(function, arguments, output, folder or Path.cwd(), dict(environment or {}))
    )
    process.start()
    return process


@cache
def _context() -> ForkServerContext:
    # The server silently skips a module that it cannot import.
    missing = [name for name in HEAVY_MODULES if importlib.util.find_spec(name) is None]
    assert not missing
    context = multiprocessing.get_context("forkserver")
    # `__main__`, or each process would import pytest anew.
    context.set_forkserver_preload(["__main__", *HEAVY_MODULES])
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("BOLID_", "DAGSTER_"))}
    # These two are read when torch and ultralytics are imported.
    with patch.dict(os.environ, {**inherited, "OMP_NUM_THREADS": "1", "YOLO_OFFLINE": "true"}, clear=True):
        forkserver.ensure_running()
    return context


def _call(
    function: Callable[..., object],
    arguments: tuple[Any, ...],
    output: Path,
    folder: Path,
    environment: dict[str, str],
) -> None:
    file = os.open(output, os.O_WRONLY | os.O_APPEND)
    os.dup2(file, 1)
    os.dup2(file, 2)
    os.chdir(folder)
    os.environ.update(environment)
    function(*arguments)
