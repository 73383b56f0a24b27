"""Refreshes from a folder that are killed at any point: the next one makes the tables as if nothing had happened."""

import shutil
import subprocess
import sys
from pathlib import Path

from own_photos import OwnPhotos

SCRIPT = Path(__file__).parents[1] / "support/killed_folder_refresh.py"


def killed(own: OwnPhotos, base: Path, numbers: range) -> list[Path]:
    """Copies of the data folder, each after a refresh that was killed before its n-th change; the late ones end."""
    copies = {number: base / f"killed {number}" for number in numbers}
    for copy in copies.values():
        shutil.copytree(base / "data", copy) if own.data_dir.exists() else copy.mkdir()
    places = [str(word) for number, copy in copies.items() for word in (copy, number)]
    run = subprocess.run(
        [sys.executable, str(SCRIPT), str(own.root), *places], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr[-2000:]
    ends = run.stdout.split()
    assert ends == ["killed"] * ends.count("killed") + ["0"] * ends.count("0"), run.stderr[-2000:]
    assert "0" in ends  # so every moment was tried
    return list(copies.values())


def check_that_the_next_refresh_heals(own: OwnPhotos, copies: list[Path], base: Path) -> None:
    fresh = own.fresh_contents()
    for copy in copies:
        healed = OwnPhotos(base, "unused")
        healed.use(own.root, copy)
        healed.refresh()
        assert healed.contents() == fresh


def test_a_first_refresh_killed_anywhere_goes_on_where_it_was(tmp_path):
    own = OwnPhotos(tmp_path)
    own.add_all({f"{person}/{n}.jpg": 10 * p + n for p, person in enumerate("ab") for n in range(6)})
    own.add_all({"a/copy.jpg": 0, "a/notes.txt": b"no picture", "b/a's.jpg": 1})
    copies = killed(own, tmp_path, range(1, 66, 9))
    late = OwnPhotos(tmp_path, "unused")
    late.use(own.root, copies[4])
    assert late.refresh().requests <= 15 - 8
    check_that_the_next_refresh_heals(own, copies, tmp_path)


def test_a_refresh_after_many_changes_killed_anywhere_ends_in_the_same_tables(tmp_path):
    own = OwnPhotos(tmp_path)
    own.add_all({f"{person}/{n}.jpg": 10 * p + n for p, person in enumerate("abc") for n in range(3)})
    own.add_all({"b/a's.jpg": 0, "c/notes.txt": b"no picture"})
    own.refresh()
    own.add_all({"a/1.jpg": 77, "d/new.jpg": 78, "0/c's.jpg": 21})
    own.move("b", "z")
    own.move("c/notes.txt", "a/notes.txt")
    (own.root / "a/0.jpg").unlink()
    (own.root / "c/0.jpg").unlink()
    copies = killed(own, tmp_path, range(2, 66, 7))
    check_that_the_next_refresh_heals(own, copies, tmp_path)
