"""One writer at a time: a file lock on the data folder, and a note that says who holds it.

The operating system frees the lock when its process ends, in whatever way. The note of a killed writer stays behind
and tells the next one. Object storage has no such lock: see `object_lock.py`.
"""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from bolid_pipeline.errors import StoreLocked
from bolid_pipeline.storage.atomic import write_atomically
from bolid_pipeline.storage.location import Location, locate
from bolid_pipeline.storage.object_lock import hold_object, living_note
from bolid_pipeline.storage.writer_note import format_holder, holder_note

_LOCK, _NOTE = ".writer.lock", ".writer.json"
_PATIENCE_SECONDS = 1.0

_logger = logging.getLogger(__name__)


@contextmanager
def hold_store(data_dir: str | Location, holder: str) -> Iterator[None]:
    """Hold the data folder for writing while the `with` lasts.

    Args:
        data_dir: the folder or address that is written to.
        holder: the name of this process for people: `run 0a1b...`, `bolid forget`.

    Raises:
        StoreLocked: another process holds it; the message says which one, where and since when.
    """
    place = locate(data_dir)
    if isinstance(place, Path):
        with _hold_folder(place, holder):
            yield
    else:
        with hold_object(place / _NOTE, holder):
            yield


def living_holder(data_dir: str | Location) -> str | None:
    """Return the name that the current writer gave to `hold_store`; None if nobody holds the data folder.

    On object storage this waits for the next renewal of the lock, or until it should have been renewed.
    """
    place = locate(data_dir)
    if not isinstance(place, Path):
        note = living_note(place / _NOTE)
    elif _is_free(place / _LOCK):
        note = b""
    else:
        note = _read(place / _NOTE)
    return json.loads(note)["holder"] if note else None


@contextmanager
def _hold_folder(folder: Path, holder: str) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    note = folder / _NOTE
    lock = FileLock(folder / _LOCK)
    try:
        # `living_holder` takes the lock for a moment; that must not turn a writer away.
        lock.acquire(timeout=_PATIENCE_SECONDS)
    except Timeout:
        raise StoreLocked(
            f"{folder} is being written to by {_holder(note)}; wait until it has ended, or end it"
        ) from None
    try:
        if note.exists():
            _logger.warning("%s ended without giving the store back: it was killed", _holder(note))
        write_atomically(note, json.dumps(holder_note(holder)).encode())
        yield
    finally:
        note.unlink(missing_ok=True)
        lock.release()


def _holder(note: Path) -> str:
    """The writer of the note, for a message."""
    return format_holder(_read(note))


def _read(note: Path) -> bytes:
    try:
        return note.read_bytes()
    except FileNotFoundError:
        return b""


def _is_free(lock: Path) -> bool:
    if not lock.exists():
        return True
    try:
        with FileLock(lock, timeout=0):
            return True
    except Timeout:
        return False
