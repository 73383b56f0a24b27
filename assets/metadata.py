"""Metadata of the assets for the web page: numbers that Dagster plots over time, pictures, and versions."""

import base64
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import dagster as dg
import numpy as np
import pyarrow as pa

from bolid_pipeline.images.decoding import Rgb, decode_many, encode_jpeg
from bolid_pipeline.images.drawing import contact_sheet, draw_skeleton
from bolid_pipeline.pose.skeleton import EDGES
from bolid_pipeline.stages.recipe import fingerprint
from bolid_pipeline.stages.refresh import RefreshReport
from bolid_pipeline.storage.photos import PhotoStore

SHEET_MAX_BYTES = 60_000
"""Largest picture in the run history: it is stored again with every materialisation."""
_CELL_PX = 96


def stage_version(photos: pa.Table, *fingerprints: str, copied: Sequence[str] = ()) -> dg.DataVersion:
    """Return the version of a stage's rows, which are a function of its photos and of what made them.

    Args:
        photos: rows with a `photo_id`, which is a digest of the photo.
        fingerprints: of the recipes.
        copied: further columns of `photos` that the stage's rows hold.
    """
    columns = photos.select(["photo_id", *copied]).to_pydict().values()
    of_photos = fingerprint(photos=sorted(zip(*columns, strict=True)))
    return dg.DataVersion("-".join([*fingerprints, of_photos]))


def rows_version(rows: pa.Table, columns: Sequence[str]) -> dg.DataVersion:
    """Return a digest of some columns of a table, the key first, whatever the order of its rows."""
    values = rows.select(columns).to_pydict().values()
    return dg.DataVersion(fingerprint(rows=sorted(zip(*values, strict=True))))


def refresh_metadata(report: RefreshReport) -> dict[str, Any]:
    """Return how many rows there are, and how many of them were computed or left alone in this run."""
    return {
        "dagster/row_count": report.num_rows,
        "num_computed": report.num_computed,
        "num_up_to_date": report.num_up_to_date,
        "num_relabelled": report.num_relabelled,
        "num_pruned": report.num_pruned,
        "num_skipped": report.num_skipped,
        "rows_per_second": round(report.rows_per_second, 2),
        "seconds": round(report.seconds, 2),
    }


def count_table(column: str, values: Iterable[str]) -> dg.TableMetadataValue:
    """Return a table of how often each value occurs, the most frequent first."""
    return counts_as_table(column, dict(Counter(values).most_common()))


def counts_as_table(column: str, counts: Mapping[str, int]) -> dg.TableMetadataValue:
    """Return a table of names and numbers, in the given order."""
    schema = dg.TableSchema([dg.TableColumn(column, "string"), dg.TableColumn("count", "int")])
    return dg.MetadataValue.table(
        [dg.TableRecord({column: name, "count": n}) for name, n in counts.items()], schema
    )


def counts_as_numbers(prefix: str, counts: Mapping[str, int]) -> dict[str, int]:
    """Return counts by stable names, `num_rejected_too_small`, so that Dagster plots each of them over time."""
    return {f"{prefix}_{name}": count for name, count in counts.items()}


def spread(rows: pa.Table, num_rows: int) -> pa.Table:
    """Return at most `num_rows` rows, evenly spaced, so that a sheet shows all parts of a table."""
    step = max(1, -(-rows.num_rows // num_rows))
    return rows.take(pa.array(range(0, rows.num_rows, step), pa.int64()))


def photo_sheet(
    photos: PhotoStore, paths: Sequence[str], labels: Sequence[str] | None = None
) -> dg.MarkdownMetadataValue:
    """Return a small contact sheet of stored photos, eight in a row; unreadable ones are black."""
    images = decode_many(photos.read, paths, min_side_px=_CELL_PX)
    return _sheet([_BLACK if image is None else image for image in images], labels)


def skeleton_sheet(photos: PhotoStore, shown: pa.Table, poses: pa.Table) -> dg.MarkdownMetadataValue:
    """Return a small contact sheet of photo rows, with the keypoints of `poses` drawn over them."""
    keypoints = dict(zip(poses["photo_id"].to_pylist(), poses["keypoints"].to_pylist(), strict=True))
    images = decode_many(photos.read, shown["path"].to_pylist(), min_side_px=_CELL_PX)
    drawn: list[Rgb] = []
    for image, row in zip(images, shown.to_pylist(), strict=True):
        found = keypoints.get(row["photo_id"])
        if image is None or found is None:
            drawn.append(_BLACK)
            continue
        scale = (image.shape[1] / row["width_px"], image.shape[0] / row["height_px"], 1)
        drawn.append(draw_skeleton(image, np.array(found) * scale, EDGES))
    return _sheet(drawn, None)


def picture(image: Rgb) -> dg.MarkdownMetadataValue:
    """Return an image inside the metadata, as a JPEG of at most SHEET_MAX_BYTES (or of the lowest quality)."""
    data = next(
        (jpeg for quality in (85, 70, 50, 30) if len(jpeg := encode_jpeg(image, quality)) <= SHEET_MAX_BYTES),
        encode_jpeg(image, 10),
    )
    return dg.MetadataValue.md(f"![picture](data:image/jpeg;base64,{base64.b64encode(data).decode()})")


_BLACK: Rgb = np.zeros((_CELL_PX, _CELL_PX, 3), np.uint8)


def _sheet(images: Sequence[Rgb], labels: Sequence[str] | None) -> dg.MarkdownMetadataValue:
    return picture(contact_sheet(images, columns=8, cell_px=_CELL_PX, labels=labels))
