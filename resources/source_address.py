"""The address of the photos as people write it: a site, a `file:///` address, or simply the path of a folder."""

import os
import re
from pathlib import Path
from urllib.parse import unquote_to_bytes

from bolid_pipeline.scraping.config import check_site_url

_WINDOWS_PATH = re.compile(r"/?[A-Za-z]:($|[\\/])|\\\\")
_BEGINS_A_PATH = ("/", "~", "./", "../")
_FORMS = "the address of a site begins with http:// or https://, that of a folder with /, ./, ~/ or file:///"


def source_address(text: str) -> str:
    """The address in its one form: that of a site as it is written, that of a folder as `file:///` and escaped.

    In a folder's address `#` and `?` are letters like others, and `%20` is a blank unless there is a folder that is
    really called so.

    Raises:
        ValueError: the text is no such address; says what to write.
    """
    scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]+):", text.strip())
    if scheme is None:
        return _folder_by_path(text).as_uri()
    if scheme[1].lower() == "file":
        return _folder_by_address(text.strip()).as_uri()
    if scheme[1].lower() in ("http", "https"):
        return check_site_url(text.strip())
    raise ValueError(_FORMS)


def is_folder(address: str) -> bool:
    """True if an address from `source_address` is that of a folder."""
    return address.startswith("file://")


def folder_of(address: str) -> Path:
    """The folder that an address from `source_address` names."""
    return Path(_unescaped(address.removeprefix("file://")))


def folder_path(text: str) -> Path:
    """The absolute folder that a path or a `file:///` address names; `~` is the home folder. Raises ValueError."""
    return _folder_by_address(text) if text.startswith("file:") else _expanded(text)


def _folder_by_address(address: str) -> Path:
    rest = address[len("file:") :]
    host, slash, path = rest[2:].partition("/") if rest.startswith("//") else ("", "", rest)
    path = slash + path
    if _WINDOWS_PATH.match(host or path):
        raise ValueError(_not_windows(host + path))
    if host not in ("", "localhost"):
        raise ValueError(
            f"what stands between the second slash and the third, {host!r}, names a computer: write the folder "
            f"with three slashes, file:///{host}{path}, or as a plain path"
        )
    if not path.startswith("/"):
        raise ValueError(
            "it names no folder: write file:/// and the whole path, or a plain path such as ./photos"
        )
    unescaped, literal = _checked(_unescaped(path)), Path(path)
    return literal if literal.is_dir() and not unescaped.is_dir() else unescaped


def _folder_by_path(text: str) -> Path:
    if _WINDOWS_PATH.match(text):
        raise ValueError(_not_windows(text))
    folder = _expanded(text)
    if not (text.startswith(_BEGINS_A_PATH) or text in (".", "..") or (text and folder.is_dir())):
        raise ValueError(_FORMS)
    return _checked(folder)


def _expanded(text: str) -> Path:
    try:
        return Path(text).expanduser().absolute()
    except RuntimeError as error:
        raise ValueError(f"there is no such user: {error}") from error


def _checked(folder: Path | str) -> Path:
    folder = Path(folder)
    if folder == Path("/"):
        raise ValueError("it is the whole file system: name the folder that holds one folder per person")
    if "\0" in str(folder):
        raise ValueError("no folder has the character NUL in its name")
    return folder


def _unescaped(path: str) -> str:
    return os.fsdecode(unquote_to_bytes(os.fsencode(path)))


def _not_windows(path: str) -> str:
    return (
        f"{path!r} is a path of Windows: write it as this system does, under WSL /mnt/c/photos for C:\\photos"
    )
