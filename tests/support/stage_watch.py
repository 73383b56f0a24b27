"""Watches from inside a process which stage writes files, and kills the process at a chosen write."""

import os
import signal
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

STAGES = (
    "identity_catalogue",
    "raw_photos",
    "watermark_scores",
    "face_detections",
    "curated_photos",
    "captions",
    "poses",
    "latents",
)


@dataclass(frozen=True, kw_only=True)
class Moment:
    """The moment at which a process is to be killed."""

    stage: str
    event: int
    """Number of the stage's file operation (open for writing, rename, remove) before which SIGKILL comes."""
    delay_seconds: float = 0.0
    """The kill comes this much later, but not later than the first write of another stage."""


class StageWatch:
    """An audit hook: Python calls it before every file operation.

    It appends the name of each stage to a log when the stage first writes, and once more where it is killed.
    """

    def __init__(self, log: Path, moment: Moment | None) -> None:
        self._log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND)
        self._moment = moment
        self._seen: list[str] = []
        self._num_events = 0

    def install(self) -> None:
        """Watch this process until its end."""
        sys.addaudithook(self)

    def finish(self) -> None:
        """Kill this process if it reached its end before the moment of the kill."""
        if self._moment:
            time.sleep(self._moment.delay_seconds)
            _kill_this_process()

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        stage = _stage_of(event, arguments)
        if stage is None:
            return
        is_new = stage not in self._seen
        if is_new and self._moment and self._moment.stage in self._seen:
            _kill_this_process()  # so that the later stages are left for later kills
        if is_new:
            self._seen.append(stage)
            self._write(stage)
        if self._moment and stage == self._moment.stage:
            self._num_events += 1
            if self._num_events == self._moment.event:
                self._write(stage)
                self._kill_soon(self._moment.delay_seconds)

    def _write(self, stage: str) -> None:
        os.write(self._log, f"{stage}\n".encode())

    def _kill_soon(self, delay_seconds: float) -> None:
        if not delay_seconds:
            _kill_this_process()
        alarm = threading.Timer(delay_seconds, _kill_this_process)
        alarm.daemon = True
        alarm.start()


def _kill_this_process() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _stage_of(event: str, arguments: tuple[Any, ...]) -> str | None:
    """The stage whose files are written, renamed or removed; None for everything else."""
    is_write = event in ("os.rename", "os.remove") or (
        event == "open" and isinstance(arguments[1], str) and "w" in arguments[1]
    )
    if not is_write or not isinstance(arguments[0], (str, os.PathLike)):
        return None
    folders = Path(arguments[0]).parts
    if "photos" in folders:
        return "raw_photos"
    return next((folder for folder in folders if folder in STAGES), None)
