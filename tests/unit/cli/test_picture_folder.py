"""Every picture gets a file of its own, whatever its prompt, and earlier pictures stay."""

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from bolid_pipeline.cli.picture_folder import PictureFolder
from bolid_pipeline.errors import ConfigurationError
from bolid_pipeline.storage import atomic

DOT = Image.new("RGB", (1, 1), "teal")
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
NAME = st.none() | st.sampled_from(["anna", "Анна Каренина", "王芳", "x" * 300, "a/../b", "..", "a%0Ab"])


def save(folder: PictureFolder, prompt: str, identity: str | None = None, seed: int = 0) -> Path:
    return folder.save(DOT, prompt=prompt, identity=identity, seed=seed)


@given(st.lists(st.tuples(TEXT, NAME, st.integers(0, 2**64 - 1) | st.just(0)), max_size=6), st.booleans())
@example([("a woman (red dress)", None, 0), ("a woman, red dress", None, 0)], False)
@example([("\N{DROMEDARY CAMEL}", None, 0), ("\N{SNOWMAN}", None, 0)], True)
@example([("x" * 60 + " by day", "anna", 3), ("x" * 60 + " by night", "anna", 3)], False)
@example([("王" * 200, "王" * 200, 2**64 - 1)] * 3, False)
def test_so_many_requests_give_so_many_files(
    requests: list[tuple[str, str | None, int]], overwrite: bool
) -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = PictureFolder(Path(place) / "out", overwrite=overwrite)
        paths = [save(folder, *request) for request in requests]
        assert len(set(paths)) == len(paths)
        assert {path.name for path in Path(place).glob("out/*")} == {path.name for path in paths}
        assert {path.parent for path in paths} <= {Path(place) / "out"}


def test_a_later_run_numbers_its_pictures_and_leaves_the_earlier_ones(tmp_path: Path) -> None:
    paths = [save(PictureFolder(tmp_path), "A woman!", "anna", 7) for _ in range(3)]
    assert [path.name for path in paths] == [
        "anna-a_woman-7.png",
        "anna-a_woman-7-2.png",
        "anna-a_woman-7-3.png",
    ]


def test_on_demand_a_later_run_replaces_the_pictures_of_an_earlier_one(tmp_path: Path) -> None:
    (tmp_path / "a_woman-0.png").write_bytes(b"old")
    folder = PictureFolder(tmp_path, overwrite=True)
    assert [save(folder, "a woman").name, save(folder, "a woman").name] == [
        "a_woman-0.png",
        "a_woman-0-2.png",
    ]
    assert (tmp_path / "a_woman-0.png").read_bytes() != b"old"


@pytest.mark.parametrize("taken", [Path.mkdir, Path.touch, lambda path: path.symlink_to("nowhere")])
def test_whatever_has_taken_a_name_stays(tmp_path: Path, taken) -> None:
    taken(tmp_path / "a_woman-0.png")
    assert save(PictureFolder(tmp_path), "a woman").name == "a_woman-0-2.png"
    assert not (tmp_path / "a_woman-0.png").is_file() or not (tmp_path / "a_woman-0.png").stat().st_size


def test_where_there_are_no_hard_links_nothing_is_overwritten_either(tmp_path: Path, monkeypatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    names = [save(PictureFolder(tmp_path), "a woman").name for _ in range(2)]
    assert names == ["a_woman-0.png", "a_woman-0-2.png"]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)


def test_a_picture_is_whole_or_not_there(tmp_path: Path, monkeypatch) -> None:
    def power_cut(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(atomic.os, "fsync", power_cut)
    with pytest.raises(KeyboardInterrupt):
        save(PictureFolder(tmp_path), "a woman")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("place", "complaint"),
    [
        ("file/out", "cannot be made: .*file is no folder"),
        ("link", "cannot be made: .*link is no folder"),
        ("x" * 300, "File name too long"),
    ],
)
def test_a_folder_that_cannot_be_made_is_refused_before_anything_is_drawn(tmp_path, place, complaint) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("nowhere")
    with pytest.raises(ConfigurationError, match=complaint):
        PictureFolder(tmp_path / place).check()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "link"]


def test_looking_at_a_folder_makes_nothing(tmp_path: Path) -> None:
    PictureFolder(tmp_path / "a" / "b").check()
    assert list(tmp_path.iterdir()) == []
