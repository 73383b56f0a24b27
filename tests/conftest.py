"""Settings of every test run, tiny models on disk, and the order in which parallel workers take the files."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# Read when torch is imported, in this process and in those that tests start. The models of the tests are so small that
# threads would cost more than they save, and beside another worker they would wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# The machine may be busy, and the first example of a test often pays for an import.
settings.register_profile("bolid", deadline=None)
settings.load_profile("bolid")

LONGEST_FIRST = (
    "test_training_processes.py",
    "test_killed_runs.py",
    "test_crash_refresh.py",
    "test_killed_crawls.py",
    "test_own_photos.py",
    "test_object_storage.py",
    "test_several_processes.py",
)
"""Files of tests that take half a minute or more."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--long 120` lets each fuzz test go on with new seeds for two hours, and runs the tests marked `long`."""
    parser.addoption(
        "--long", type=float, metavar="MINUTES", help="for each fuzz test; also runs the tests marked long"
    )


@pytest.fixture
def fuzz_seeds(request: pytest.FixtureRequest) -> Callable[[int], Iterator[int]]:
    """Take the number of rounds in CI; yields the seed of each round, and with `--long` goes on until its end."""
    minutes = request.config.getoption("--long")

    def seeds(num_rounds: int) -> Iterator[int]:
        if minutes is None:
            yield from range(num_rounds)
            return
        end = time.monotonic() + 60 * minutes
        seed = 0
        while time.monotonic() < end:
            yield seed
            seed += 1

    return seeds


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put the longest files first.

    `make test` hands files to its workers in this order; a long one at the end would leave the other workers idle.
    """
    is_long = config.getoption("--long") is not None
    for item in items:
        if is_long and "fuzz_seeds" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.timeout(0))
        if not is_long and item.get_closest_marker("long"):
            item.add_marker(pytest.mark.skip(reason="too long for CI: run it with --long 1"))
    ranks = {name: rank for rank, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: ranks.get(item.path.name, len(ranks)))


@pytest.fixture(scope="session")
def tiny_stable_diffusion(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tiny_models import save_tiny_stable_diffusion

    return save_tiny_stable_diffusion(tmp_path_factory.mktemp("tiny") / "stable_diffusion")


@pytest.fixture(scope="session")
def tiny_sdxl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tiny_models import save_tiny_sdxl

    return save_tiny_sdxl(tmp_path_factory.mktemp("tiny") / "sdxl")


@pytest.fixture(scope="session")
def tiny_clip_vision(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tiny_models import save_tiny_image_encoder

    return save_tiny_image_encoder(tmp_path_factory.mktemp("tiny") / "clip_vision")
