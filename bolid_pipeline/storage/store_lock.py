"""One writer at a time: a data folder is held by a lock of the operating system, with a note on who holds it.

The lock is free as soon as its process ends, however that happened; the note of a killed writer stays behind and
says so to the next one. On object storage the lock is this machine's only: runs on several machines are kept apart
by Dagster's queue.
"""

import hashlib
import json
import logging
import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from bolid_pipeline.errors import StoreLocked
from bolid_pipeline.storage.atomic import write_atomically
from bolid_pipeline.storage.location import Location, locate

_logger = logging.getLogger(__name__)


@contextmanager
def hold_store(data_dir: str | Location, holder: str) -> Iterator[None]:
    """Be the one who writes to the data folder while the `with` lasts.

    Args:
        data_dir: what is written to.
        holder: who this is, for others to read: `run 0a1b...`, `bolid forget`.

    Raises:
        StoreLocked: someone else is; the message says who, where and since when.
    """
    folder = _lock_folder(locate(data_dir))
    folder.mkdir(parents=True, exist_ok=True)
    note = folder / ".writer.json"
    lock = FileLock(folder / ".writer.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise StoreLocked(
            f"{data_dir} is being written to by {_holder(note)}; wait until it has ended, or end it"
        ) from None
    try:
        if note.exists():
            _logger.warning("%s ended without giving the store back: it was killed", _holder(note))
        write_atomically(note, json.dumps(_introduction(holder)).encode())
        yield
    finally:
        note.unlink(missing_ok=True)
        lock.release()


def _lock_folder(data_dir: Location) -> Path:
    if isinstance(data_dir, Path):
        return data_dir
    name = hashlib.sha256(str(data_dir).encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"bolid-{name}"


def _introduction(holder: str) -> dict[str, str | int]:
    since = datetime.now(UTC).isoformat(timespec="seconds")
    return {"holder": holder, "pid": os.getpid(), "host": socket.gethostname(), "since": since}


def _holder(note: Path) -> str:
    """Who left the note, in words."""
    try:
        said = json.loads(note.read_bytes())
        return f"{said['holder']} (process {said['pid']} on {said['host']}, since {said['since']})"
    except (OSError, ValueError, KeyError):
        return "a process that has not said its name yet"
