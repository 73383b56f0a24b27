"""Rows of photos whose files were lost, so that the next refresh fetches the photos again."""

import logging

from bolid_pipeline.errors import TableError
from bolid_pipeline.storage.photos import PhotoStore
from bolid_pipeline.storage.tables import TableStore

_logger = logging.getLogger(__name__)


def drop_photos_without_file(tables: TableStore, photos: PhotoStore) -> None:
    """Delete the rows of `raw_photos` whose file is not in the photo store.

    Raises:
        TableError: none of the files is there. The folder was probably moved, or its disk is missing.
    """
    rows = tables.read("raw_photos", ["photo_id", "path"]).to_pylist()
    stored = photos.paths() if rows else set[str]()
    lost = [row["photo_id"] for row in rows if row["path"] not in stored]
    if lost and len(lost) == len(rows):
        raise TableError(
            f"{tables.root.parent / 'photos'} holds none of the {len(rows)} photos of the tables, and nothing is "
            f"changed: put the folder back, or delete {tables.root} as well to fetch everything again"
        )
    if lost:
        _logger.warning("%d photos have lost their file and are fetched again", len(lost))
        tables.delete("raw_photos", "photo_id", lost)
