"""BOLID_SOURCE_URL as people type it: it names the folder that they mean, or one line says what to write."""

import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from bolid_pipeline.cli import main
from bolid_pipeline.errors import ConfigurationError
from resources.environment import current_deployment, current_settings_file
from resources.photo_source import OwnFolder, photo_source_of
from resources.source_address import folder_of, source_address

ODD_NAMES = ("with blanks", "a#b", "50%", "a%25b", "what?", "a&b=c", "zoë", "[::1", "http:", "back\\slash")
"""Names of folders that mean something else in an address."""


@pytest.fixture
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current directory, which is the home folder too, with a folder `photos`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "photos").mkdir()
    return tmp_path


def folder_meant(text: str) -> Path:
    deployment = current_deployment({"BOLID_SOURCE_URL": text})
    source = photo_source_of(deployment)
    assert isinstance(source, OwnFolder)
    assert source.address.isascii()
    return folder_of(source.address)


@pytest.mark.parametrize("text", ["~/photos", "./photos", "photos", "../{}/photos", "file:///{}/../photos"])
def test_a_plain_path_is_a_folder(inside: Path, text: str) -> None:
    text = text.replace("file:///{}", f"{inside.as_uri()}/x").replace("{}", inside.name)
    (inside / "x").mkdir()
    assert folder_meant(text).resolve() == inside / "photos"


@pytest.mark.parametrize("name", ODD_NAMES)
@pytest.mark.parametrize(
    "form", ["{path}", "file://{path}", "file://localhost{path}", "file:{path}", "{uri}"]
)
def test_a_folder_of_any_name_is_found_in_every_form(inside: Path, name: str, form: str) -> None:
    folder = inside / name
    folder.mkdir()
    assert folder_meant(form.format(path=folder, uri=folder.as_uri())) == folder


@pytest.mark.parametrize("form", ["{path}", "file://{path}", "{uri}"])
def test_a_folder_whose_name_is_not_utf_8_is_found(inside: Path, form: str) -> None:
    folder = inside / os.fsdecode(b"fotos_\xe9")
    folder.mkdir()
    text = form.format(path=folder, uri=folder.as_uri())
    assert folder_meant(text) == folder
    assert folder.as_uri() in current_settings_file({"BOLID_SOURCE_URL": text})


def test_an_address_read_twice_is_the_same(inside: Path) -> None:
    for name in ODD_NAMES:
        (inside / name).mkdir()
        address = source_address(str(inside / name))
        assert source_address(address) == address


@pytest.mark.parametrize("text", ["", "  ", "\t"])
def test_a_blank_variable_counts_as_not_set(text: str) -> None:
    assert current_deployment({"BOLID_SOURCE_URL": text}) == current_deployment({})


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("file://photos", "'photos', names a computer: write the folder with three slashes"),
        ("file://home/me/photos", "file:///home/me/photos, or as a plain path"),
        ("file://./photos", "names a computer"),
        ("file://", "it names no folder: write file:/// and the whole path"),
        ("file:photos", "it names no folder"),
        ("file:///", "it is the whole file system"),
        ("/", "it is the whole file system"),
        ("file:///a%00b", "no folder has the character NUL"),
        ("file:///C:/photos", "is a path of Windows: write it as this system does"),
        ("file://C:/photos", "is a path of Windows"),
        ("C:\\photos", "is a path of Windows"),
        ("C:/photos", "is a path of Windows"),
        ("\\\\nas\\photos", "is a path of Windows"),
        ("~nobody_of_this_name/photos", "there is no such user"),
        ("fotos", "the address of a site begins with http:// or https://, that of a folder with /, ./"),
        ("ftp://gallery.example", "the address of a site begins with http:// or https://"),
        ("http://", "the address of a site begins with http:// or https://"),
        ("http://[::1", "Invalid IPv6"),
        ("http://[x]/", "does not appear to be an IPv4 or IPv6 address"),
        ("http://gallery.example:99999", "Failed to parse"),
        ("http://gallery.example:port", "Failed to parse"),
        ("http://a b.example", "Failed to parse"),
        ("http://.example", "URL has an invalid label"),
        ("http://gallery.example/?page=1", "has no ? and no #"),
        ("http://gallery.example/#top", "has no ? and no #"),
        (os.fsdecode(b"fotos_\xe9"), "that of a folder with /, ./"),
    ],
)
def test_what_is_no_address_is_refused_in_one_line(inside: Path, text: str, complaint: str) -> None:
    (inside / "home").mkdir()
    with pytest.raises(ConfigurationError) as refused:
        current_deployment({"BOLID_SOURCE_URL": text})
    assert "BOLID_SOURCE_URL" in str(refused.value)
    assert complaint in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.usefixtures("inside")
@pytest.mark.parametrize("text", ["file://photos", "http://[::1", "file://home/me/photos"])
def test_a_malformed_address_is_one_line_on_the_command_line_and_nothing_is_listed(text: str) -> None:
    failed = CliRunner().invoke(main, ["crawl", "--dry-run"], env={"BOLID_SOURCE_URL": text})
    assert failed.exit_code == 1
    assert failed.output.startswith("Error: BOLID_SOURCE_URL")
    assert failed.output.count("\n") == 1


@pytest.mark.usefixtures("inside")
def test_a_data_folder_is_named_like_any_other_folder() -> None:
    deployment = current_deployment({"BOLID_DATA_DIR": "~/data", "BOLID_LOCAL_DIR": "~/here"})
    assert (deployment.data_dir, deployment.local_root) == (Path.home() / "data", Path.home() / "here")
    assert current_deployment({"BOLID_DATA_DIR": "file:///data/people"}).data_dir == Path("/data/people")


def test_a_data_folder_whose_name_is_not_utf_8_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"BOLID_DATA_DIR is '/daten_\\udce9': it is not UTF-8"):
        current_deployment({"BOLID_DATA_DIR": os.fsdecode(b"/daten_\xe9")})
