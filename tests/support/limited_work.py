"""What tests let worker processes do: functions that are found there by name."""

import os
import signal
import time
from collections.abc import Collection

from bolid_pipeline.errors import DownloadFailed, PhotoRefused
from bolid_pipeline.images.examination import PhotoFacts, _facts
from bolid_pipeline.images.file_types import FileType


def length(data: bytes) -> int:
    return len(data)


def process_id(pause_seconds: float = 0) -> int:
    time.sleep(pause_seconds)
    return os.getpid()


def spin() -> None:
    while True:
        pass


def hang_in_one_expression(count: int) -> bool:
    """Work of one C function, which no thread and no signal handler of Python's interrupts."""
    return (1 << count) % ((1 << count // 2) - 1) == 0


def sleep_for_ever() -> None:
    signal.pause()


def crash() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def allocate(num_bytes: int) -> int:
    return len(bytearray(num_bytes))


def print_a_lot() -> str:
    os.write(1, b"\x1b[31mfrom a decoder" * 10_000)
    os.write(2, b"\x1b[31mfrom a decoder" * 10_000)
    return "said"


def refuse(reason: str) -> None:
    raise PhotoRefused(reason)


def fail_to_download() -> None:
    raise DownloadFailed("no photo there", reason="not_found")


class OddError(Exception):
    def __init__(self, one: str, two: str) -> None:
        super().__init__(f"{one} and {two}")


def fail_oddly() -> None:
    raise OddError("this", "that")


def examine_badly(data: bytes, types: Collection[FileType], max_pixels: int) -> PhotoFacts:
    """Examine a photo by a decoder that hangs, crashes or takes memory as the last bytes of the file say."""
    if data.endswith(b"hang"):
        spin()
    if data.endswith(b"crash"):
        crash()
    if data.endswith(b"memory"):
        allocate(10**12)
    return _facts(data, types, max_pixels)
