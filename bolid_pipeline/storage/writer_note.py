"""The note that a writer leaves beside the data: who holds the store, for the next writer to read."""

import json
import os
import socket
from datetime import UTC, datetime


def holder_note(holder: str) -> dict[str, str | int]:
    """This process as a note: holder, process id, host and time.

    Args:
        holder: its name for people: `run 0a1b...`, `bolid forget`.
    """
    since = datetime.now(UTC).isoformat(timespec="seconds")
    return {"holder": holder, "pid": os.getpid(), "host": socket.gethostname(), "since": since}


def format_holder(note: bytes) -> str:
    """The writer of a note, for a message: `run 42 (process 7 on host, since ...)`."""
    try:
        said = json.loads(note)
        return f"{said['holder']} (process {said['pid']} on {said['host']}, since {said['since']})"
    except (ValueError, KeyError):
        return "a process that has not said its name yet"
