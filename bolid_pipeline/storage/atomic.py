"""A file is there whole or not at all, also after a crash or a power cut."""

import errno
import os
import uuid
from pathlib import Path

from bolid_pipeline.errors import StorageFull
from bolid_pipeline.storage.location import Location

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def write_atomically(path: Location, data: bytes | memoryview) -> None:
    """Write `data` to `path`; a reader sees the old file or the new one, never a part.

    In a folder: under a hidden name beside `path`, fsynced, then renamed over it. Folders are created as
    needed. A killed process may leave its hidden `.<name>.<random>.tmp` behind, which no reader looks at. On
    object storage: by one upload, which shows when it is complete.

    Raises:
        StorageFull: there is no room; what was there before is untouched.
    """
    if not isinstance(path, Path):
        path.write_bytes(bytes(data))
        return
    _make_folder(path.parent)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        if error.errno in _FULL:
            raise StorageFull(f"no room for {path} ({error.strerror}): free some and start again") from error
        raise
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _make_folder(folder: Path) -> None:
    """Create a folder and the missing ones above it, durably."""
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    """Make a rename inside `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
