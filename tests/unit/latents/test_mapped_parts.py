import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bolid_pipeline.latents.mapped_parts import map_part
from bolid_pipeline.storage.parts import write_part
from bolid_pipeline.storage.schemas import TableSchema

WIDTH = 600
SCHEMA = TableSchema(
    key="photo_id",
    columns=pa.schema(
        [
            pa.field("photo_id", pa.string(), nullable=False),
            pa.field("latent", pa.binary(WIDTH), nullable=False),
        ]
    ),
    is_mappable=True,
)


def rows_of(num_rows, *, is_nullable=False):
    values = np.random.default_rng(0).integers(0, 256, (num_rows, WIDTH), np.uint8)
    columns = SCHEMA.columns.set(1, SCHEMA.columns.field(1).with_nullable(is_nullable))
    latents = pa.array([value.tobytes() for value in values], pa.binary(WIDTH))
    return pa.table({"photo_id": [str(n) for n in range(num_rows)], "latent": latents}, columns)


def num_bytes_copied(part):
    """Bytes that reading the arrays takes out of pyarrow's memory."""
    before = pa.total_allocated_bytes()
    mapped = map_part(part, ["latent"])
    return pa.total_allocated_bytes() - before, mapped


@pytest.mark.parametrize("num_rows", [1, 300, 10_000])
def test_a_part_as_it_is_written_is_mapped_and_equals_what_is_read(tmp_path, num_rows):
    part = tmp_path / "part.parquet"
    write_part(part, rows_of(num_rows), "latents", SCHEMA)

    num_copied, mapped = num_bytes_copied(part)

    assert num_copied < WIDTH
    assert mapped.equals(pq.read_table(part, columns=["latent"]))
    assert map_part(part, ["latent", "photo_id"]).equals(pq.read_table(part).select(["latent", "photo_id"]))


@pytest.mark.parametrize(
    "layout",
    [
        {"compression": "zstd", "use_dictionary": False},
        {"compression": "none", "use_dictionary": True},
        {
            "compression": "none",
            "use_dictionary": False,
            "data_page_size": 10 * WIDTH,
            "write_batch_size": 10,
        },
        {"compression": "none", "use_dictionary": False, "column_encoding": {"latent": "BYTE_STREAM_SPLIT"}},
        {"compression": "none", "use_dictionary": False, "data_page_version": "2.0"},
    ],
    ids=["compressed", "dictionary", "many pages", "other encoding", "other page version"],
)
@pytest.mark.parametrize("is_nullable", [False, True])
def test_any_other_layout_gives_the_same_bytes(tmp_path, layout, is_nullable):
    part, rows = tmp_path / "part.parquet", rows_of(300, is_nullable=is_nullable)
    pq.write_table(rows, part, row_group_size=100, **layout)
    assert map_part(part, ["latent", "photo_id"]).equals(rows.select(["latent", "photo_id"]))


def test_nulls_are_read_not_mapped(tmp_path):
    part = tmp_path / "part.parquet"
    rows = pa.table({"latent": pa.array([b"x" * WIDTH, None, b"y" * WIDTH], pa.binary(WIDTH))})
    pq.write_table(rows, part, compression="none", use_dictionary=False)
    assert map_part(part, ["latent"]).equals(rows)
