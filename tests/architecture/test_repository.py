"""Files that a clone must hold, and must not."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
MIB = 2**20


def test_embedded_weights_are_safetensors_of_at_most_60_mib():
    weights = REPOSITORY / "bodyworld/weights"
    files = [path for path in weights.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} & {".pt", ".pth", ".bin", ".ckpt", ".pkl"} == set()
    assert sum(path.stat().st_size for path in files) <= 60 * MIB


def test_tests_are_no_package():
    assert list((REPOSITORY / "tests").rglob("__init__.py")) == []


def test_no_lock_file_with_an_index_address_is_committed():
    listed = subprocess.run(["git", "ls-files"], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert "uv.lock" not in listed.stdout.splitlines()


@pytest.mark.parametrize("script", ["draw_rooms.py", "list_licences.py"])
def test_what_a_script_writes_into_the_docs_is_up_to_date(script):
    drawing = [sys.executable, f"docs/{script}", "--check"]
    done = subprocess.run(drawing, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_rows_are_picked_by_values_in_one_place_which_gives_an_empty_list_its_type():
    source = [
        *(REPOSITORY / "bolid_pipeline").rglob("*.py"),
        *(REPOSITORY / "assets").rglob("*.py"),
        *(REPOSITORY / "resources").rglob("*.py"),
    ]
    comparing = [path for path in source if re.search(r"\bis_?in\(", path.read_text("utf-8"))]
    assert [path.relative_to(REPOSITORY).as_posix() for path in comparing] == [
        "bolid_pipeline/storage/rows.py"
    ]
