"""One writer at a time on object storage: an object that only one process can create, and that its holder renews.

A process that finds the object there watches it. If the object changes, its holder is alive; if it stays the same for
DEAD_AFTER_SECONDS, the holder is dead. So no clocks are compared. Several processes may notice this at once: the one
that creates the succession object takes the place. Creating is a conditional PUT (`If-None-Match: *`, or generation 0
on Google's storage).
"""

import json
import logging
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from upath import UPath

from bolid_pipeline.errors import StoreLocked
from bolid_pipeline.storage.writer_note import format_holder, holder_note

RENEWED_EVERY_SECONDS = 10.0
"""A living holder renews the object this often; a second writer is refused after at most this long."""
DEAD_AFTER_SECONDS = 60.0
"""Time that the next writer waits after one that was killed."""

_logger = logging.getLogger(__name__)


@contextmanager
def hold_object(lock: UPath, holder: str) -> Iterator[None]:
    """Hold the lock while the `with` lasts.

    Args:
        lock: address of the object.
        holder: name of this process, for others to read.

    Raises:
        StoreLocked: another process holds the lock; or, at the end, took it over because it was not renewed in time.
    """
    note = holder_note(holder) | {"token": uuid.uuid4().hex}
    _acquire(lock, note)
    is_done = threading.Event()
    renewal = threading.Thread(target=_renew, args=(lock, note, is_done), name="store lock", daemon=True)
    renewal.start()
    try:
        yield
    finally:
        is_done.set()
        renewal.join()
        if _is_held_by(lock, note):
            lock.unlink()
        else:
            raise StoreLocked(
                f"{lock.parent} was taken over by {format_holder(_read(lock))} while this run wrote to it"
            )


def living_note(lock: UPath) -> bytes:
    """Return the note of the lock's holder, after it was seen to be renewed; empty if nobody holds the lock."""
    found = _read(lock)
    return b"" if not found or _stays(lock, found) else _read(lock)


def _acquire(lock: UPath, note: dict[str, Any]) -> None:
    if _create(lock, note):
        return
    found = _read(lock)
    if not found:  # released in between
        _acquire(lock, note)
        return
    if not (_stays(lock, found) and _succeed(lock, found, note)):
        raise StoreLocked(
            f"{lock.parent} is being written to by {format_holder(found)}; wait until it has ended, or end it "
            f"(if it has been gone for long, delete {lock})"
        )
    _logger.warning("%s ended without giving the store back: it was killed", format_holder(found))


def _stays(lock: UPath, found: bytes) -> bool:
    """True if nobody renews the lock for DEAD_AFTER_SECONDS."""
    deadline = time.monotonic() + DEAD_AFTER_SECONDS
    while time.monotonic() < deadline:
        time.sleep(RENEWED_EVERY_SECONDS / 5)
        if _read(lock) != found:
            return False
    return True


def _succeed(lock: UPath, found: bytes, note: dict[str, Any]) -> bool:
    """Take the place of a dead holder; False if another process was faster."""
    succession = lock.with_name(f".writer-{json.loads(found)['token']}.json")
    if not _create(succession, note):
        return False
    is_vacant = _read(lock) == found
    if is_vacant:
        _write(lock, note)
    succession.unlink()
    return is_vacant


def _renew(lock: UPath, note: dict[str, Any], is_done: threading.Event) -> None:
    """Write the note again and again until the end. Stops if the lock was taken over: the new holder keeps it."""
    num_renewals = 0
    while not is_done.wait(RENEWED_EVERY_SECONDS):
        num_renewals += 1
        try:
            if not _is_held_by(lock, note):
                _logger.error("%s was taken over by %s", lock, format_holder(_read(lock)))
                return
            _write(lock, {**note, "num_renewals": num_renewals})
        except OSError as error:
            _logger.warning("%s could not be renewed: %s", lock, error)


def _is_held_by(lock: UPath, note: dict[str, Any]) -> bool:
    return note["token"].encode() in _read(lock)


def _create(lock: UPath, note: dict[str, Any]) -> bool:
    """Create the object; False if it exists already, or existed a moment ago."""
    try:
        _write(lock, note, mode="create")
    except FileExistsError:
        return False
    except OSError:  # some storages answer so when two processes create at once
        if lock.exists():
            return False
        raise
    return True


def _write(lock: UPath, note: dict[str, Any], **mode: str) -> None:
    lock.fs.pipe_file(lock.path, json.dumps(note).encode(), **mode)


def _read(lock: UPath) -> bytes:
    """The note, or empty bytes if there is no lock."""
    # One request: opening the object and then reading it would fail if it was renewed in between.
    try:
        note: Any = lock.fs.cat_file(lock.path)
    except FileNotFoundError:
        return b""
    return note
