"""The columns of every table: the contract for readers of the data set."""

from dataclasses import dataclass

import pyarrow as pa

from bolid_pipeline.errors import UnknownTable

_FACE = pa.struct([(name, pa.float32()) for name in ("x1", "y1", "x2", "y2", "conf")])
_KEYPOINTS = pa.list_(pa.list_(pa.float32(), 3), 17)
_BOX = pa.list_(pa.float32(), 4)
_TIME = pa.timestamp("us", tz="UTC")


@dataclass(frozen=True, kw_only=True)
class TableSchema:
    """One table: its key column and its columns in order."""

    key: str
    columns: pa.Schema
    version: int = 1
    """Raised when the columns stay and their meaning changes; written into every file."""
    is_mappable: bool = False
    """Lays the file out for memory mapping: uncompressed, no dictionary, one page per row group."""
    is_sized_by_model: bool = False
    """The widths of the binary columns depend on the model that made them: the files say how wide they are."""
    cluster_by: tuple[str, ...] = ()
    """Columns whose equal values lie together in a compacted file."""
    added: tuple[str, ...] = ()
    """Columns that came later, at the end; a file without them is read with nulls in their place."""


def _table(key: str, *columns: tuple[str, pa.DataType], added: tuple[str, ...] = ()) -> TableSchema:
    return TableSchema(
        key=key,
        columns=pa.schema([pa.field(name, type_, nullable=name != key) for name, type_ in columns]),
        added=added,
    )


SCHEMAS: dict[str, TableSchema] = {
    "identity_catalogue": _table(
        "identity",
        ("identity", pa.string()),
        ("name", pa.string()),
        ("page_url", pa.string()),
        ("stated_photos", pa.int32()),
        ("listed_photos", pa.int32()),
        ("status", pa.string()),
        ("refreshed_at", _TIME),
        ("source", pa.string()),
        ("failed_at", _TIME),
        added=("source", "failed_at"),
    ),
    "raw_photos": _table(
        "photo_id",
        ("photo_id", pa.string()),
        ("identity", pa.string()),
        ("source_url", pa.string()),
        ("page_url", pa.string()),
        ("path", pa.string()),
        ("width_px", pa.int32()),
        ("height_px", pa.int32()),
        ("size_bytes", pa.int64()),
        ("content_type", pa.string()),
        ("perceptual_hash", pa.string()),
        ("mirrored_hash", pa.string()),
        ("fetched_at", _TIME),
    ),
    # Groups of near-duplicate photos, and pictures that several people's galleries show.
    "photo_clusters": _table(
        "photo_id",
        ("photo_id", pa.string()),
        ("cluster_id", pa.string()),
        ("is_shared", pa.bool_()),
        ("identity", pa.string()),
        added=("identity",),
    ),
    # The site's index, its pages by letter and the first page of each gallery (zlib), for conditional requests.
    "catalogue_pages": _table(
        "page_url",
        ("page_url", pa.string()),
        ("etag", pa.string()),
        ("last_modified", pa.string()),
        ("html", pa.binary()),
    ),
    # Every photo page that a gallery's grid names or once named, in the grid's order: it says what is left to fetch
    # without asking the site again.
    "photo_pages": _table(
        "page_url",
        ("page_url", pa.string()),
        ("identity", pa.string()),
        ("position", pa.int32()),
        ("listed_at", _TIME),
        ("vanished_at", _TIME),
    ),
    # Photo pages whose picture was fetched and refused, so that it is not fetched again.
    "rejected_downloads": _table(
        "page_url",
        ("page_url", pa.string()),
        ("identity", pa.string()),
        ("source_url", pa.string()),
        ("reason", pa.string()),
        ("photo_id", pa.string()),
        ("checked_at", _TIME),
    ),
    # Every file of a folder of one's own photos, as it was when it was last read: one of the same size and time is not
    # read again, and known content is not decoded again. `raw_photos` and `rejected_downloads` follow from it.
    "folder_files": _table(
        "page_url",
        ("page_url", pa.string()),
        ("identity", pa.string()),
        ("size_bytes", pa.int64()),
        ("mtime_ns", pa.int64()),
        ("is_read", pa.bool_()),
        ("sha256", pa.string()),
        ("reason", pa.string()),
        ("limits", pa.string()),
    ),
    "watermark_scores": _table(
        "photo_id",
        ("photo_id", pa.string()),
        ("watermark_prob", pa.float32()),
        ("model_fingerprint", pa.string()),
    ),
    "face_detections": _table(
        "photo_id",
        ("photo_id", pa.string()),
        ("num_faces", pa.int32()),
        ("num_persons", pa.int32()),
        ("faces", pa.list_(_FACE)),
        ("model_fingerprint", pa.string()),
    ),
    "curated_photos": _table(
        "photo_id",
        ("photo_id", pa.string()),
        ("identity", pa.string()),
        ("is_kept", pa.bool_()),
        ("reasons", pa.list_(pa.string())),
    ),
    "captions": _table(
        "photo_id",
        ("photo_id", pa.string()),
        ("caption", pa.string()),
        ("model_fingerprint", pa.string()),
    ),
    "poses": _table(
        "photo_id",
        ("photo_id", pa.string()),
        ("keypoints", _KEYPOINTS),
        ("person_box", _BOX),
        ("model_fingerprint", pa.string()),
    ),
    # Arrays of float16, see `bolid_pipeline.latents.layout`.
    "latents": TableSchema(
        key="photo_id",
        columns=pa.schema(
            [
                pa.field(name, type_, nullable=False)
                for name, type_ in (
                    ("photo_id", pa.string()),
                    ("identity", pa.string()),
                    ("latent", pa.binary()),
                    ("body_latent", pa.binary()),
                    ("image_embed", pa.binary()),
                    ("crop", _BOX),
                    ("keypoints", pa.binary()),
                    ("model_fingerprint", pa.string()),
                    ("body_fingerprint", pa.string()),
                )
            ]
        ),
        is_mappable=True,
        is_sized_by_model=True,
        cluster_by=("identity", "photo_id"),
    ),
}
"""Every table of the data set."""


def schema_of(table: str) -> TableSchema:
    """The schema of a table. Raises UnknownTable."""
    try:
        return SCHEMAS[table]
    except KeyError:
        raise UnknownTable(f"no table {table!r}; known tables: {', '.join(sorted(SCHEMAS))}") from None


def without_fingerprints(columns: pa.Schema) -> pa.Schema:
    """The columns that a model makes: all but those that say what made the row."""
    content = [field for field in columns if not field.name.endswith("_fingerprint")]
    return pa.schema(content, columns.metadata)
