"""Notes of what was done since the last commit, which survive the end of the process.

In a folder: one JSON object per line of a file, not fsynced (a power cut may cost the last ones). On object storage,
where nothing can be appended to: an object each.
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
        """What is noted; the one that a kill has cut is left out."""
        ...

    def add(self, entry: Entry) -> None:
        """Note one more."""
        ...

    def keep_only(self, entries: list[Entry]) -> None:
        """Drop everything else, and the journal itself where nothing is left."""
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
        """The whole lines; one that a kill has cut is ended, so that the next one begins on its own."""
        if not self._path.exists():
            return []
        text = self._path.read_text("utf-8", errors="replace")
        if not text.endswith("\n"):
            with self._path.open("a", encoding="utf-8") as file:
                file.write("\n")
        return [entry for line in text.splitlines() if (entry := _parse(line)) is not None]

    def add(self, entry: Entry) -> None:
        line = json.dumps(entry) + "\n"
        with self._lock:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a", encoding="utf-8") as file:
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
        """All objects, fetched side by side."""
        names = self._names()
        notes: Any = self._folder.fs.cat(names) if names else {}
        return [json.loads(notes[name]) for name in names]

    def add(self, entry: Entry) -> None:
        name = f"{time.time_ns():020d}-{uuid.uuid4().hex}.json"
        write_atomically(self._folder / name, json.dumps(entry).encode())

    def keep_only(self, entries: list[Entry]) -> None:
        """The kept ones are written anew before the old ones go: a kill in between leaves entries twice."""
        old = self._names()
        for entry in entries:
            self.add(entry)
        if old:
            self._folder.fs.rm(old)

    def _names(self) -> list[str]:
        """By time of writing."""
        return sorted(self._folder.fs.find(self._folder.path))


def _parse(line: str) -> Entry | None:
    try:
        return json.loads(line)
    except ValueError:
        return None
