"""Writing files so that a crash or a power cut leaves the whole file or nothing."""

import errno
import os
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from bolid_pipeline.errors import StorageFull
from bolid_pipeline.storage.location import Location

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.ENOSYS)
"""What systems say that have no hard links, such as FAT on a stick."""
_SYNCS_AT_ONCE = 16


def write_atomically(path: Location, data: bytes | memoryview, *, is_durable: bool = True) -> None:
    """Write `data` to `path`; a reader sees the old file or the new one, never a part.

    In a folder the data go to a hidden file beside `path`, which is fsynced and renamed. Folders are created as
    needed. A killed process may leave its hidden `.<name>.<random>.tmp` behind, which no reader looks at. On
    object storage it is one upload, which becomes visible when it is complete.

    Args:
        path: the file.
        data: its whole content.
        is_durable: False leaves the fsyncs to `make_durable`; until then a power cut (not a crash) may leave a
            part of the file, or nothing.

    Raises:
        StorageFull: there is no room; what was there before is untouched.
    """
    if not isinstance(path, Path):
        path.write_bytes(bytes(data))
        return
    if is_durable:
        _make_folder(path.parent)
    elif not path.parent.is_dir():
        path.parent.mkdir(parents=True, exist_ok=True)
    with _full_by_name(path), _beside(path) as file:
        file.write(data)
        if is_durable:
            file.flush()
            os.fsync(file.fileno())
    if is_durable:
        _sync(path.parent)


def write_new(path: Path, data: bytes | memoryview) -> None:
    """Write `data` to a path that nothing has taken, as atomically and durably as `write_atomically`.

    Raises:
        FileExistsError: the path is taken; what is there is untouched.
        StorageFull: there is no room.
    """
    _make_folder(path.parent)
    with _full_by_name(path), _beside(path, put=_put_new) as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    _sync(path.parent)


def write_pieces_atomically(path: Path, pieces: Iterable[bytes]) -> None:
    """Write a file piece by piece, so that it need not fit in memory; a reader sees the old file or the whole new one.

    Raises:
        StorageFull: there is no room; what was there before is untouched.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with _full_by_name(path), _beside(path) as file:
        file.writelines(pieces)


def make_durable(files: Collection[Path], folders: Collection[Path]) -> None:
    """Fsync files that were written with `is_durable=False`, concurrently.

    One after the other, 64 new files wait 64 times for the journal of the file system (5 ms each, measured on ext4);
    concurrent ones share its commits (0.5 ms each).

    Args:
        files: the files that were written.
        folders: the folders that were created or written to.

    Raises:
        StorageFull: there is no room.
    """
    with ThreadPoolExecutor(_SYNCS_AT_ONCE) as pool:
        for paths in (list(files), list(folders)):
            list(pool.map(_sync_all, [paths[start::_SYNCS_AT_ONCE] for start in range(_SYNCS_AT_ONCE)]))


@contextmanager
def _beside(path: Path, put: Callable[[Path, Path], object] = Path.replace) -> Iterator[BinaryIO]:
    """A hidden file beside `path`, which is put there at the end of the `with`, and is removed after an error."""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        with temporary.open("wb") as file:
            yield file
        put(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _put_new(temporary: Path, path: Path) -> None:
    """Give a file a name that nothing has taken; a rename would replace what is there. Raises FileExistsError."""
    try:
        path.hardlink_to(temporary)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        path.touch(exist_ok=False)
        temporary.replace(path)
    else:
        temporary.unlink()


@contextmanager
def _full_by_name(path: Path) -> Iterator[None]:
    """Raise StorageFull if the operating system reports that there is no room."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise StorageFull(f"no room for {path} ({error.strerror}): free some and start again") from error
        raise


def _make_folder(folder: Path) -> None:
    """Create a folder and the missing ones above it, durably."""
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    _sync(folder.parent)


def _sync_all(paths: Iterable[Path]) -> None:
    for path in paths:
        _sync(path)


def _sync(path: Path) -> None:
    """Make a file's content, or the renames inside a folder, durable."""
    with _full_by_name(path):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
