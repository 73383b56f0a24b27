"""The content of an installation with `pip install`."""

from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel_files():
    """Paths inside the wheel, as its own builder lists them."""
    builder = WheelBuilder(str(REPOSITORY))
    return {file.distribution_path for file in builder.recurse_selected_project_files()}


def test_the_wheel_holds_all_packages_that_run(wheel_files):
    modules = {
        str(path.relative_to(REPOSITORY))
        for package in ("assets", "bodyworld", "bolid_pipeline", "resources")
        for path in (REPOSITORY / package).rglob("*.py")
    }
    assert modules - wheel_files == {name for name in modules if name.startswith("bodyworld/pretrain/")}


def test_the_wheel_holds_all_bundled_weights(wheel_files):
    weights = [path for path in (REPOSITORY / "bodyworld/weights").rglob("*") if path.is_file()]
    assert sum(path.suffix == ".safetensors" for path in weights) >= 8
    bundled = {str(path.relative_to(REPOSITORY)) for path in weights if path.suffix != ".pyc"}
    assert bundled <= wheel_files


def test_the_wheel_leaves_out_tests_and_training_scripts(wheel_files):
    rooms = {tuple(Path(file).parts[:2]) for file in wheel_files}
    assert ("bodyworld", "world") in rooms
    assert ("bodyworld", "pretrain") not in rooms
    assert {"assets", "bodyworld", "bolid_pipeline", "resources"} == {room[0] for room in rooms}
