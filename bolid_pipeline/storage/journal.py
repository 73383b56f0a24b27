"""A journal of the work since the last commit; it survives a kill of the process.

In a folder it is a file with one JSON object per line, without fsync: a power cut may lose the last lines. Object
storage cannot append, so each entry is an object of its own.
"""

import json
import threading
import time
import uuid
from pathlib import Path
from typing import Any, Protocol

from upath import UPath

from bolid_pipeline.storage.atomic import write_atomically
from bolid_pipeline.storage.location import Location

Entry = dict[str, Any]


class Journal(Protocol):
    """Entries in the order in which they were added; `add` may be called from any thread."""

    def entries(self) -> list[Entry]:
        """All entries; one that was cut short by a kill is left out."""
        ...

    def add(self, entry: Entry) -> None:
        """Add an entry."""
        ...

    def keep_only(self, entries: list[Entry]) -> None:
        """Replace the entries by these; without entries the journal is removed."""
        ...


def open_journal(data_dir: Location, name: str) -> Journal:
    """`<data_dir>/<name>.jsonl`, or the objects `<data_dir>/<name>/*.json`."""
    if isinstance(data_dir, Path):
        return _LineJournal(data_dir / f"{name}.jsonl")
    return _ObjectJournal(data_dir / name)


class _LineJournal:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()

    def entries(self) -> list[Entry]:
        """The entries of all whole lines."""
        # End a line that a kill has cut short, so that the next entry starts on a new line.
        if not self._path.exists():
            return []
        text = self._path.read_text("utf-8", errors="replace")
        if not text.endswith("\n"):
            with self._path.open("a", encoding="utf-8") as file:
                file.write("\n")
        return [entry for line in text.splitlines() if (entry := _parse(line)) is not None]

    def add(self, entry: Entry) -> None:
        line = f"{json.dumps(entry)}\n".encode()
        with self._lock:
            if not self._path.parent.is_dir():
                self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("ab") as file:
                file.write(line)

    def keep_only(self, entries: list[Entry]) -> None:
        if entries:
            write_atomically(self._path, "".join(f"{json.dumps(entry)}\n" for entry in entries).encode())
        else:
            self._path.unlink(missing_ok=True)


class _ObjectJournal:
    def __init__(self, folder: UPath) -> None:
        self._folder = folder

    def entries(self) -> list[Entry]:
        """The entries of all objects, fetched concurrently."""
        names = self._names()
        notes: Any = self._folder.fs.cat(names) if names else {}
        return [json.loads(notes[name]) for name in names]

    def add(self, entry: Entry) -> None:
        name = f"{time.time_ns():020d}-{uuid.uuid4().hex}.json"
        write_atomically(self._folder / name, json.dumps(entry).encode())

    def keep_only(self, entries: list[Entry]) -> None:
        # New objects first, then the old ones go: a kill in between leaves entries twice and loses none.
        old = self._names()
        for entry in entries:
            self.add(entry)
        if old:
            self._folder.fs.rm(old)

    def _names(self) -> list[str]:
        """Paths of the objects, by time of writing."""
        return sorted(self._folder.fs.find(self._folder.path))


def _parse(line: str) -> Entry | None:
    try:
        return json.loads(line)
    except ValueError:
        return None
