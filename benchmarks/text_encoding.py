"""Captions encoded in every step, or kept encoded on the disk: what each costs at the sizes of SD 1.5 and SDXL.

    uv run python benchmarks/text_encoding.py                    # FLOPs, room, and how fast rows are read: a minute
    uv run python benchmarks/text_encoding.py --measure          # also seconds of SD 1.5 on this CPU: minutes, 6 GB

FLOPs are counted on the meta device, where nothing is computed: the text encoders on 32 captions of two windows, and
the U-Net forward and backward on 32 latents, where the gradient flows to the cross-attention as in a training of the
branches. Encoded captions are float16. Rows of such a cache are read in random order from a mapped file that is not in
the page cache.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from bolid_pipeline.models.architectures import SD15, SDXL, Architecture
from bolid_pipeline.models.text import encode_tokens

BATCH_SIZE, WINDOWS, POSITIONS = 32, 2, 77
NUM_CAPTIONS = 2 * 500 * 600
"""Two versions of each caption, as the presets show them, at 500 people x 600 photos."""
WANTED_SAMPLES_PER_SECOND = 500
GB = 1e9

ARCHITECTURES = {"SD 1.5": SD15, "SDXL": SDXL}


def main() -> None:
    """Print a paragraph per base model."""
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--measure", action="store_true", help="time SD 1.5 on this CPU too")
    arguments.add_argument(
        "--folder", type=Path, help="for the file that is read; default: the temporary one"
    )
    options = arguments.parse_args()
    for name, architecture in ARCHITECTURES.items():
        with torch.device("meta"):
            encode, train = _steps(architecture, BATCH_SIZE)
        text, unet = _flops(encode), _flops(train)
        row_bytes = 2 * WINDOWS * POSITIONS * architecture.unet["cross_attention_dim"]
        print(
            f"{name}, a step of {BATCH_SIZE}: text encoders {text / 1e12:.2f} TFLOP, U-Net {unet / 1e12:.1f} TFLOP: "
            f"the text is {100 * text / (text + unet):.1f} % of both"
        )
        print(
            f"  kept on the disk: {row_bytes / 1e3:.0f} kB a caption, {NUM_CAPTIONS * row_bytes / GB:.0f} GB in all, "
            f"{WANTED_SAMPLES_PER_SECOND * row_bytes / 1e6:.0f} MB/s at {WANTED_SAMPLES_PER_SECOND} samples/s; "
            f"read here: {_read_rate(row_bytes, options.folder) / 1e6:.0f} MB/s"
        )
    if options.measure:
        encode, train = _steps(SD15, 1)
        text, unet = _seconds(encode), _seconds(train)
        print(
            f"SD 1.5 on this CPU, a caption and a latent: {text:.2f} s and {unet:.1f} s: "
            f"the text is {100 * text / (text + unet):.1f} % of both"
        )


def _steps(architecture: Architecture, batch_size: int) -> tuple[Callable[[], object], Callable[[], object]]:
    """The encoding of captions, and a U-Net pass there and back, with random weights on the default device."""
    base = architecture.new_base()
    token_ids = torch.ones(batch_size, len(architecture.text_encoders), WINDOWS, POSITIONS, dtype=torch.long)
    side = architecture.resolution_px // 8
    latents = torch.zeros(batch_size, 4, side, side)
    added = {"text_embeds": torch.zeros(batch_size, 1280), "time_ids": torch.zeros(batch_size, 6)}

    def train() -> None:
        dim = architecture.unet["cross_attention_dim"]
        text = torch.zeros(batch_size, WINDOWS * POSITIONS, dim, requires_grad=True)
        timesteps = torch.ones(batch_size, dtype=torch.long)
        base.unet(latents, timesteps, text, added_cond_kwargs=added).sample.sum().backward()

    return partial(encode_tokens, base, token_ids), train


def _flops(step: Callable[[], object]) -> int:
    with FlopCounterMode(display=False) as counter, torch.device("meta"):
        step()
    return counter.get_total_flops()


def _seconds(step: Callable[[], object]) -> float:
    started = time.perf_counter()
    step()
    return time.perf_counter() - started


def _read_rate(row_bytes: int, folder: Path | None, num_rows: int = 4000, num_read: int = 1000) -> float:
    """Bytes per second of random rows of a mapped file on the disk."""
    with tempfile.NamedTemporaryFile(dir=folder) as file:
        block = os.urandom(row_bytes)
        for _ in range(num_rows):
            file.write(block)
        file.flush()
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        rows = np.memmap(file.name, np.uint8, "r").reshape(num_rows, row_bytes)
        chosen = np.random.default_rng(0).permutation(num_rows)[:num_read]
        started = time.perf_counter()
        for row in chosen:
            rows[row].copy()
        return num_read * row_bytes / (time.perf_counter() - started)


if __name__ == "__main__":
    main()
