"""A new user with three folders of photos follows docs/own_photos.md, command by command."""

import io
import json
import re
import shlex
import shutil
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from commands import start_command
from PIL import Image

from bodyworld.render.identity import sample_identity
from bodyworld.render.renderer import render
from bodyworld.render.scene import sample_scene

REPOSITORY = Path(__file__).parents[2]
DOCUMENT = REPOSITORY / "docs" / "own_photos.md"
PEOPLE = ("Zoë Müller", "Siobhán O'Neil", "王芳")
"""As the document calls them."""
TINY_TRAINING = json.dumps({"steps": 2, "prior": {"steps": 2}})
_ORIENTATION, _MAKE, _MADE_AT = 0x0112, 0x010F, 0x0132
_ON_ITS_SIDE = 6


def phone_jpeg(picture: Image.Image, *, is_on_its_side: bool) -> bytes:
    """The picture as a phone writes it: with EXIF, and turned if it was held upright."""
    exif = Image.Exif()
    exif[_MAKE], exif[_MADE_AT] = "Telephone", "2024:07:01 12:00:00"
    if is_on_its_side:
        picture = picture.transpose(Image.Transpose.ROTATE_90)
        exif[_ORIENTATION] = _ON_ITS_SIDE
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=88, exif=exif)
    return file.getvalue()


def write_person(folder: Path, seed: int) -> None:
    """Twelve files: nine photos, two copies of them in an album, and a note."""
    rng = np.random.default_rng(seed)
    identity = sample_identity(rng)
    for number in range(9):
        scene = sample_scene(rng, sex=identity.sex, pose="standing", facing="front")
        picture = Image.fromarray(render([(identity, scene)], 780, 560, rng).image)
        path = folder / ("Sommer am Meer" if number > 5 else ".") / f"IMG {number:04d}.JPG"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(phone_jpeg(picture, is_on_its_side=number % 3 == 0))
    album = folder / "Best of 2024"
    album.mkdir()
    for number in (0, 1):
        shutil.copy(folder / f"IMG {number:04d}.JPG", album / f"copy of {number}.jpg")
    (folder / "Thumbs.db").write_bytes(b"no picture")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `photos/` as a Mac and a phone leave them."""
    folder = tmp_path_factory.mktemp("home")
    shutil.copy(REPOSITORY / "dagster.yaml", folder)
    for seed, name in enumerate(PEOPLE):
        write_person(folder / "photos" / unicodedata.normalize("NFD", name), seed)
    return folder


def commands() -> list[str]:
    """The document's commands, in their order."""
    lines = DOCUMENT.read_text("utf-8").splitlines()
    return [line.strip() for line in lines if line.startswith("    ") and "uv run bolid" in line]


def follow(command: str, home: Path) -> str:
    """Run a command of the document in the user's folder; returns its output."""
    words = shlex.split(command)
    variables = dict(word.split("=", 1) for word in words[: words.index("uv")])
    name, *arguments = words[words.index("uv") + 2 :]
    with start_command(home, name, *arguments, **{"BOLID_TRAINING": TINY_TRAINING, **variables}) as running:
        assert running.wait() == 0, running.output
        return running.output


def lines_of(output: str) -> dict[str, str]:
    """The lines of the steps, by step."""
    steps = ("models", "settings", "read", "curate", "describe", "train", "measure", "draw")
    found = re.findall(rf"^({'|'.join(steps)}) +(.*)$", output, re.MULTILINE)
    assert [step for step, _ in found] == list(steps), output
    return dict(found)


@pytest.mark.slow
def test_a_new_user_gets_a_picture_of_each_person_by_the_document_alone(home):
    quickstart, *others = [command for command in commands() if "theplace" not in command]
    said = lines_of(follow(quickstart, home))
    assert "They know drawn people only" in said["models"]
    assert "people with 5 good photos or more, sides of 512 px or more, 2 training steps" in said["settings"]
    assert "27 photos of 3 people, 27 of them new" in said["read"]
    assert "3 people kept" in said["curate"]
    pictures = sorted((home / "own_data/reports/demo/people").glob("*.png"))
    assert len(pictures) == len(PEOPLE)
    page = (home / "own_data/overview.html").read_text("utf-8")
    assert all(name.replace("'", "&#x27;") in page for name in PEOPLE)
    assert "Best of 2024/copy of 0.jpg" in page

    for command in others:
        follow(command, home)
    assert len(list((home / "generated").glob("*.png"))) == 1

    again = lines_of(follow(quickstart, home))
    assert "0 of them new" in again["read"]
    assert "0 new" in again["describe"]
    assert "trained before" in again["train"]
    assert "0 new" in again["draw"]
