"""Shuffled and sequential reading of cached latents, against the ways others keep theirs.

    uv run --with datasets --with webdataset --with litdata --with mosaicml-streaming python benchmarks/latent_read.py

Latents of 4 x 128 x 128 float16 (131 KB, as of a photo of 1024 px), random numbers, all in the page cache, one thread.
Each reader copies every row into the same buffer, in the same order; the rounds of all readers take turns, and the
fastest round of each counts. A peer that is not installed is left out and named.
"""

import argparse
import io
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import cycle
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from bolid_pipeline.latents.buckets import Bucket
from bolid_pipeline.latents.cache import LatentTable, open_latents
from bolid_pipeline.latents.layout import TABLE, LatentLayout, to_binary
from bolid_pipeline.storage.tables import TableStore

SHAPE = (4, 128, 128)
Order = NDArray[np.intp]
Reader = Callable[[Order], Iterable[NDArray[np.float16]]]
"""Gives the latents in the order asked for."""


class OurModels:
    """Stands in for `LatentModels`: the benchmark's latents are of no model."""

    vae = "the benchmark"

    def fingerprint(self) -> str:
        """The fingerprint of all rows of the table."""
        return "benchmark"


def bolid(latents: NDArray[np.float16], folder: Path) -> Reader:
    """This repository's table, as a refresh leaves it: parts of 64 rows, compacted."""
    layout = LatentLayout(
        latent_shapes={Bucket(1024, 1024): SHAPE},
        scaling_factor=1.0,
        shift_factor=0.0,
        image_embed_dim=8,
        models="benchmark",
    )
    tables = TableStore(folder)
    for start in range(0, len(latents), 64):
        rows = list(latents[start : start + 64])
        small = [np.zeros(length, np.float16) for length in (8, 51)]
        columns = {
            "photo_id": [f"{start + n:08d}" for n in range(len(rows))],
            "identity": ["someone"] * len(rows),
            "latent": to_binary(rows, layout.latent_length),
            "body_latent": to_binary([small[0]] * len(rows), layout.latent_length),
            "image_embed": to_binary([small[0]] * len(rows), 8),
            "crop": pa.array([[0.0, 0.0, 1024.0, 1024.0]] * len(rows), pa.list_(pa.float32(), 4)),
            "keypoints": to_binary([small[1]] * len(rows), 51),
            "model_fingerprint": [""] * len(rows),
            "body_fingerprint": [""] * len(rows),
        }
        tables.append(TABLE, pa.table(columns, layout.columns))
    tables.compact(TABLE)
    table: LatentTable = open_latents(tables, OurModels())  # pyright: ignore[reportArgumentType]
    return lambda order: map(table.latent, order.tolist())


def numpy_memmap(latents: NDArray[np.float16], folder: Path) -> Reader:
    """One array in one file: the limit."""
    np.save(folder / "latents.npy", latents)
    mapped = np.load(folder / "latents.npy", mmap_mode="r")
    return lambda order: (mapped[row] for row in order.tolist())


def npz_per_sample(latents: NDArray[np.float16], folder: Path) -> Reader:
    """A file per photo, as kohya's scripts keep them."""
    for row, latent in enumerate(latents):
        np.savez(folder / f"{row}.npz", latents=latent)

    def read(order: Order) -> Iterator[NDArray[np.float16]]:
        for row in order.tolist():
            with np.load(folder / f"{row}.npz") as file:
                yield file["latents"]

    return read


def parquet_row_groups(latents: NDArray[np.float16], folder: Path) -> Reader:
    """Plain Parquet with a row group per row, read as usual."""
    table = pa.table({"latent": to_binary(list(latents), latents[0].size)})
    pq.write_table(
        table, folder / "latents.parquet", compression="none", use_dictionary=False, row_group_size=1
    )
    file = pq.ParquetFile(folder / "latents.parquet")

    def read(order: Order) -> Iterator[NDArray[np.float16]]:
        for row in order.tolist():
            column = file.read_row_group(row)["latent"].chunk(0)
            yield np.frombuffer(column.buffers()[1], np.float16).reshape(SHAPE)

    return read


def hf_datasets(latents: NDArray[np.float16], folder: Path) -> Reader:
    """Hugging Face datasets: an Arrow file, mapped."""
    import datasets

    features = datasets.Features({"latent": datasets.Value("binary")})
    rows = {"latent": [latent.tobytes() for latent in latents]}
    datasets.Dataset.from_dict(rows, features=features).save_to_disk(folder / "hf")
    stored = datasets.load_from_disk(folder / "hf")
    return lambda order: (
        np.frombuffer(stored[row]["latent"], np.float16).reshape(SHAPE) for row in order.tolist()
    )


def mosaicml_streaming(latents: NDArray[np.float16], folder: Path) -> Reader:
    """MosaicML streaming: local shards."""
    import streaming

    with streaming.MDSWriter(out=str(folder / "mds"), columns={"latent": "bytes"}) as writer:
        for latent in latents:
            writer.write({"latent": latent.tobytes()})
    stored = streaming.LocalDataset(str(folder / "mds"))
    return lambda order: (
        np.frombuffer(stored[row]["latent"], np.float16).reshape(SHAPE) for row in order.tolist()
    )


def webdataset(latents: NDArray[np.float16], folder: Path) -> Reader:
    """webdataset: a tar file; it knows no random access, so its shuffled read is its sequential one."""
    import webdataset as wds

    with wds.TarWriter(str(folder / "latents.tar")) as writer:
        for row, latent in enumerate(latents):
            buffer = io.BytesIO()
            np.save(buffer, latent)
            writer.write({"__key__": f"{row:08d}", "npy": buffer.getvalue()})
    return lambda order: (
        sample["npy"]
        for sample in wds.WebDataset(str(folder / "latents.tar"), shardshuffle=False)
        .decode()
        .slice(len(order))
    )


def litdata(latents: NDArray[np.float16], folder: Path) -> Reader:
    """litdata: local chunks, through its own index."""
    import litdata as ld
    from litdata.streaming.writer import BinaryWriter

    writer = BinaryWriter(str(folder / "lit"), chunk_bytes="64MB")
    for row, latent in enumerate(latents):
        writer[row] = latent.tobytes()
    writer.done()
    writer.merge()
    stored = ld.StreamingDataset(str(folder / "lit"))
    return lambda order: (np.frombuffer(stored[row], np.float16).reshape(SHAPE) for row in order.tolist())


READERS = (
    bolid,
    numpy_memmap,
    npz_per_sample,
    parquet_row_groups,
    hf_datasets,
    mosaicml_streaming,
    webdataset,
    litdata,
)


def main() -> None:
    """Print rows per second of each, and the ratio to this repository's."""
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--rows", type=int, default=1024)
    arguments.add_argument("--rounds", type=int, default=5)
    options = arguments.parse_args()
    rng = np.random.default_rng(0)
    latents = rng.standard_normal((options.rows, *SHAPE), np.float32).astype(np.float16)
    folder = Path(tempfile.mkdtemp())
    try:
        readers = dict(_prepared(latents, folder))
        for name, order in (
            ("sequential", np.arange(options.rows)),
            ("shuffled", rng.permutation(options.rows)),
        ):
            _report(name, _rows_per_second(readers, order, options.rounds))
    finally:
        shutil.rmtree(folder)


def _prepared(latents: NDArray[np.float16], folder: Path) -> Iterator[tuple[str, Reader]]:
    for prepare in READERS:
        own = folder / prepare.__name__
        own.mkdir()
        try:
            yield prepare.__name__, prepare(latents, own)
        except ImportError as error:
            print(f"left out: {prepare.__name__} ({error})")


def _rows_per_second(readers: dict[str, Reader], order: Order, num_rounds: int) -> dict[str, float]:
    seconds: dict[str, list[float]] = {name: [] for name in readers}
    batch = np.empty((16, *SHAPE), np.float16)
    for _ in range(num_rounds):
        for name, read in readers.items():
            started = time.perf_counter()
            for slot, row in zip(cycle(range(len(batch))), read(order), strict=False):
                batch[slot] = row
            seconds[name].append(time.perf_counter() - started)
    return {name: len(order) / min(rounds) for name, rounds in seconds.items()}


def _report(order: str, rows_per_second: dict[str, float]) -> None:
    print(f"\n{order}, rows of {2 * np.prod(SHAPE)} bytes")
    for name, speed in rows_per_second.items():
        print(f"  {name:20s} {speed:10.0f} rows/s   bolid is {rows_per_second['bolid'] / speed:6.2f} x")


if __name__ == "__main__":
    main()
