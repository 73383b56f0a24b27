"""A folder of your own photos under random changes, with a refresh after each.

Afterwards the tables hold what a first refresh of the folder gives, times aside. No file is read unless it is new or
has changed, and no content is decoded that the folder held at the refresh before.
"""

import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from unittest import mock

from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from own_photos import DecodeCount, OwnPhotos

from bolid_pipeline.scraping.own_photos import content
from bolid_pipeline.scraping.own_photos.walk import path_of, walk

PEOPLE = ["anna", "boris", "zo\u00eb", "zoe\u0308", os.fsdecode(b"ren\xe9"), "li\nna", "50%", "王芳"]
NAMES = ["1.jpg", "2.jpg", "a b#?.jpg", os.fsdecode(b"foto_\xe9.jpg"), "x%41.jpg", "é.jpg", "notes.txt"]
SUBFOLDERS = ["", "", "beach", "Best of", "beach/2024"]

CHANGES = {"add": 3, "copy": 2, "relabel": 2} | dict.fromkeys(
    (
        "rename",
        "move",
        "edit",
        "touch",
        "spoil",
        "delete",
        "delete person",
        "move root",
        "link file",
        "link folder",
    ),
    1,
)
"""Change -> how often it is drawn, compared with others."""

numbers = st.integers(0, 9)
changes = st.lists(
    st.tuples(
        st.sampled_from([name for name, share in CHANGES.items() for _ in range(share)]),
        numbers,
        numbers,
        numbers,
        numbers,
    ),
    min_size=1,
    max_size=10,
)


class ChangingFolder:
    """A folder, changes by name and numbers, and what must hold after each refresh."""

    def __init__(self, base: Path) -> None:
        self.own = OwnPhotos(base)
        self.base = base
        self.decoded = DecodeCount(content.examine)
        self.contents: set[str] = set()
        self.files: dict[str, tuple[int, int]] = {}

    def change(self, name: str, i: int, j: int, k: int, m: int) -> None:
        files = [path for path in sorted(self.own.root.rglob("*")) if path.is_file()]
        people = sorted(path for path in self.own.root.iterdir() if path.is_dir())
        if name == "add" or not files:
            self.put(self.target(i, j, k), m)
            return
        file, person, target = files[i % len(files)], people[i % len(people)], self.target(j, k, m)
        actions: dict[str, Callable[[], object]] = {
            "rename": lambda: file.rename(file.with_name(f"{j}_{file.name}"[:60])),
            "move": lambda: file.replace(self.with_folder(target)),
            "edit": lambda: self.put(file, 100 + j),
            "touch": lambda: os.utime(file, ns=(1_000_000_000, 1_000_000_000 * (1 + j))),
            "delete": file.unlink,
            "copy": lambda: shutil.copy(file, self.with_folder(target)),
            "relabel": lambda: self.relabel(person, self.own.root / PEOPLE[j % len(PEOPLE)]),
            "delete person": lambda: person.unlink() if person.is_symlink() else shutil.rmtree(person),
            "move root": lambda: self.own.move_root(self.base / f"root {j} {len(self.files)}"),
            "link file": lambda: self.link(target, file),
            "link folder": lambda: self.link(target.with_suffix(""), person),
            "spoil": lambda: file.write_bytes(file.read_bytes()[: 20 + j]),
        }
        with suppress(OSError):  # what the file system refuses, such as a copy onto itself, is no change
            actions[name]()

    def refresh(self) -> None:
        """Refresh, and check what was read and decoded for it."""
        if not walk(self.own.root).num_files:
            self.put(self.own.root / "anna/1.jpg", 1)
        for person in walk(self.own.root).unreadable:  # a link whose target has moved
            path_of(self.own.root, person).unlink()
        found = [file for person in walk(self.own.root).people.values() for file in person.files]
        files = {file.page_url: (file.size_bytes, file.mtime_ns) for file in found}
        before = dict(self.decoded.count_of)
        with mock.patch.object(content, "examine", self.decoded):
            report = self.own.refresh()
        assert report.requests == len(files.items() - self.files.items())
        assert all(
            self.decoded.count_of[sha256] == before.get(sha256) for sha256 in self.contents & before.keys()
        )
        self.files = files
        self.contents = {row[0] for row in self.own.rows("folder_files", "sha256")}

    def target(self, i: int, j: int, k: int) -> Path:
        folder = self.own.root / PEOPLE[i % len(PEOPLE)] / SUBFOLDERS[j % len(SUBFOLDERS)]
        return folder / NAMES[k % len(NAMES)]

    def put(self, path: Path, seed: int) -> None:
        if path.is_symlink():
            path.unlink()
        self.own.add(os.fsencode(self.with_folder(path).relative_to(self.own.root)), seed)

    def relabel(self, person: Path, name: Path) -> None:
        """Give a person's folder another name, or put its files into the folder of that name."""
        if not name.exists():
            person.rename(name)
        elif not person.samefile(name) and not person.is_symlink() and not name.is_symlink():
            shutil.copytree(person, name, dirs_exist_ok=True, symlinks=True, copy_function=shutil.copy)
            shutil.rmtree(person)

    def link(self, link: Path, target: Path) -> None:
        if not link.is_symlink() and not link.exists():
            self.with_folder(link).symlink_to(os.path.relpath(target.resolve(), link.parent.resolve()))

    @staticmethod
    def with_folder(path: Path) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path


@given(changes)
@settings(max_examples=15, phases=(Phase.explicit, Phase.reuse, Phase.generate))  # shrinking takes minutes
def test_after_any_changes_the_tables_are_those_of_a_first_refresh(sequence):
    with tempfile.TemporaryDirectory() as base:
        folder = ChangingFolder(Path(base).resolve())
        for change in sequence:
            folder.change(*change)
            folder.refresh()
        folder.own.check_as_fresh()
