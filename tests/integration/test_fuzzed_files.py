"""Damaged picture files of every type: each is a photo or a refusal with a reason, in bounded time and memory.

`pytest tests/integration/test_fuzzed_files.py --long 60` goes on for an hour.
"""

import time

import numpy as np
import picture_files as files
import pytest
from worker_processes import worker_processes

from bolid_pipeline.errors import PhotoRefused
from bolid_pipeline.images.decoding import decode_rgb
from bolid_pipeline.images.examination import examine
from bolid_pipeline.images.file_types import ALL_TYPES
from bolid_pipeline.images.refusals import REFUSALS

ROUNDS_IN_CI = 300
SECONDS_PER_FILE = 2.0
MEMORY_BYTES = 10**9


def damaged(data, draw):
    """A file with a few of the faults that disks, networks and hostile people make."""
    spoiled = bytearray(data)
    for _ in range(draw.integers(1, 4)):
        # Headers are short, and most faults in them are worse: every second fault is there.
        end = len(spoiled) if draw.random() < 0.5 else min(len(spoiled), 200)
        at = int(draw.integers(0, max(1, end)))
        length = int(draw.integers(1, 40))
        match draw.integers(0, 8):
            case 0:
                del spoiled[at:]
            case 1:
                del spoiled[at : at + length]
            case 2:
                spoiled[at : at + length] = bytes(length)
            case 3:
                spoiled[at : at + length] = b"\xff" * length
            case 4:
                spoiled[at : at + length] = draw.bytes(length)
            case 5:
                spoiled[at:at] = spoiled[at : at + 2000] * int(draw.integers(1, 30))
            case 6:
                spoiled[at:at] = draw.bytes(length)
            case _:
                spoiled[at : at + 1] = bytes([int(draw.integers(256))])
    return bytes(spoiled)


@pytest.mark.filterwarnings("ignore::Warning:PIL")
def test_every_damaged_file_is_a_photo_or_a_refusal(fuzz_seeds):
    outcomes = set()
    for seed in fuzz_seeds(ROUNDS_IN_CI):
        for name, whole in files.FILES.items():
            data = damaged(whole, np.random.default_rng((seed, *name.encode())))
            started = time.monotonic()
            try:
                examine(data, ALL_TYPES, max_pixels=40_000_000, seconds=SECONDS_PER_FILE)
                outcomes.add("photo")
                decode_rgb(data)  # as the stages read it again
            except PhotoRefused as refused:
                outcomes.add(refused.reason)
            assert time.monotonic() - started < 4 * SECONDS_PER_FILE + 1, (name, seed)
        for worker in worker_processes():
            assert worker.memory_info().rss < MEMORY_BYTES, seed
    assert outcomes - {"photo"} <= set(REFUSALS)
    assert {"photo", "truncated", "not_a_picture"} <= outcomes
