"""Whatever is typed behind an option or into a variable: the command works, or says in a line what is wrong."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from bodyworld.site.server import BodyworldSite
from bolid_pipeline.cli import main
from bolid_pipeline.storage.tables import TableStore

NUMBERS = ("-1", "0", "nan", "inf", "-inf", "1e400", "1e-320", "9" * 30, "", " ", "abc", "1,5", "٣")
TEXTS = ("", "  ", "a\nb", "\x1b[31m", "x" * 5000, "../..", "a\udce9b", "\u202egnp.exe", "\N{SNOWMAN}")
PLACES = ("file", "/dev/null/x", "missing", "empty", "x" * 300, "", "bad\udce9name")

Run = Callable[..., Result]


@pytest.fixture
def bolid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command in a folder with photos of Anna, a file and an empty folder; fails on anything but a line."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos" / "anna").mkdir(parents=True)
    pixels = np.random.default_rng(0).integers(0, 255, (40, 30, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photos" / "anna" / "1.png")
    (tmp_path / "file").write_text("mine")
    (tmp_path / "empty").mkdir()
    monkeypatch.setattr(BodyworldSite, "serve", lambda site: site._server.server_close())

    def run(*arguments: str, **environment: str) -> Result:
        env = {"BOLID_DATA_DIR": "data", "BOLID_SOURCE_URL": "photos", **environment}
        result = CliRunner().invoke(main, arguments, env=env)
        case = f"{arguments} {environment}"[:300]
        assert result.exception is None or isinstance(result.exception, SystemExit), case
        if result.exit_code == 1:
            assert result.output.splitlines()[-1].startswith("Error: "), case
            assert not {"\x1b", "\u202e"} & {*result.output}, case
        assert (tmp_path / "file").read_text() == "mine", case
        assert (tmp_path / "photos" / "anna" / "1.png").is_file(), case
        return result

    return run


@pytest.mark.parametrize(
    "option",
    ["--seed", "--max-people", "--min-photos", "--max-photos", "--max-requests", "--max-minutes", "--rate"],
)
def test_numbers_of_a_crawl(bolid: Run, option: str) -> None:
    for number in NUMBERS:
        bolid("crawl", "--dry-run", option, number)


@pytest.mark.parametrize("option", ["--only", "--block", "--contact", "--order"])
def test_texts_of_a_crawl(bolid: Run, option: str) -> None:
    for text in TEXTS:
        bolid("crawl", "--dry-run", option, text)


@pytest.mark.parametrize("command", [("forget", "--yes"), ("block",)])
def test_names_of_people(bolid: Run, command: tuple[str, ...]) -> None:
    for text in TEXTS:
        bolid(*command, text)


@pytest.mark.parametrize("option", ["--identities", "--photos", "--seed"])
def test_numbers_of_a_world(bolid: Run, option: str) -> None:
    for number in NUMBERS:
        others = {"--identities": "0", "--photos": "0", "--seed": "0", option: number}
        if option != "--identities" or not number.isdecimal() or int(number) < 10:
            bolid("bodyworld", "render", "world", *(word for pair in others.items() for word in pair))


def test_places_of_a_world(bolid: Run) -> None:
    for place in (*PLACES, "photos"):
        bolid("bodyworld", "render", place, "--identities", "0", "--photos", "0")
        bolid("bodyworld", "site", place, "--port", "0")
    for port in (*NUMBERS, "65536"):
        bolid("bodyworld", "site", "empty", "--port", port)


@pytest.mark.parametrize(
    "command", [("crawl", "--dry-run"), ("settings",), ("compact",), ("prune", "--yes"), ("overview",)]
)
def test_places_of_the_data(bolid: Run, command: tuple[str, ...]) -> None:
    for place in (
        *PLACES,
        "s3://",
        "s3:///",
        "nfs://x/y",
        "http://x/y",
        "~nobody_of_this_name/x",
        "file://x",
    ):
        bolid(*command, BOLID_DATA_DIR=place)


@pytest.mark.parametrize(
    "command", [("inspect",), ("overview", "--out"), ("generate", "--prompt", "a", "--checkpoint")]
)
def test_places_of_pictures_and_checkpoints(bolid: Run, command: tuple[str, ...]) -> None:
    for place in PLACES:
        if command[0] != "overview" or place != "file":
            bolid(*command, place)


@pytest.mark.parametrize("name", ["a 100% b", "%2F", "a#b", "what?", "with blanks", "zoë", "a%25b", "[x]*"])
def test_a_data_folder_may_have_any_name(bolid: Run, tmp_path: Path, name: str) -> None:
    done = bolid("crawl", "--min-photos", "1", BOLID_DATA_DIR=name)
    assert "1 new photos" in done.output
    again = bolid("crawl", "--min-photos", "1", BOLID_DATA_DIR=name)
    assert "0 new photos, 1 known" in again.output
    assert TableStore(tmp_path / name).read("raw_photos")["identity"].to_pylist() == ["anna"]


def test_places_of_settings(bolid: Run, tmp_path: Path) -> None:
    (tmp_path / "binary.toml").write_bytes(b"\xff\x00")
    for place in (*PLACES, "empty/a.toml", "binary.toml", f"{'x' * 300}.toml"):
        bolid("settings", BOLID_SETTINGS=place)


VARIABLES: dict[str, Any] = {
    "BOLID_DEPLOYMENT": TEXTS,
    "BOLID_COMPUTE": TEXTS,
    "BOLID_LOCAL_DIR": PLACES,
    "BOLID_SITE_PARSERS": (*TEXTS, ".", "a..b", "os.path"),
    "BOLID_REQUESTS_PER_SECOND": NUMBERS,
    "BOLID_CONTACT": TEXTS,
    "BOLID_TRAINING": (*TEXTS, "[" * 100_000, "null", "3", '{"steps": NaN}', '{"steps": 1e400}'),
    "BOLID_DEVICES": NUMBERS,
    "BOLID_RAY_GPUS": NUMBERS,
    "BOLID_SOURCE_URL": (*TEXTS, *PLACES),
}


@pytest.mark.parametrize("variable", VARIABLES)
def test_variables(bolid: Run, variable: str) -> None:
    for value in VARIABLES[variable]:
        bolid("settings", **{variable: value})
