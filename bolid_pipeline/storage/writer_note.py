"""What a writer says of itself, for the next one to read."""

import json
import os
import socket
from datetime import UTC, datetime


def introduction(holder: str) -> dict[str, str | int]:
    """Who this process is.

    Args:
        holder: in the words of the program: `run 0a1b...`, `bolid forget`.
    """
    since = datetime.now(UTC).isoformat(timespec="seconds")
    return {"holder": holder, "pid": os.getpid(), "host": socket.gethostname(), "since": since}


def in_words(note: bytes) -> str:
    """Who left the note."""
    try:
        said = json.loads(note)
        return f"{said['holder']} (process {said['pid']} on {said['host']}, since {said['since']})"
    except (ValueError, KeyError):
        return "a process that has not said its name yet"
