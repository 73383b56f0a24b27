"""The photos that stand in the report beside the drawn pictures."""

from types import SimpleNamespace
from typing import Any

import picture_files
import pyarrow as pa

from assets.evaluation import _photo_reader


def test_a_photo_that_was_damaged_after_the_crawl_stands_as_a_grey_square(caplog):
    files = {"good.jpg": picture_files.FILES["jpeg"], "bad.avif": picture_files.FILES["avif"][:99]}
    rows = pa.table({"photo_id": ["g", "b", "gone"], "path": [*files, "gone.jpg"]})

    def read(path: str) -> bytes:
        if path not in files:
            raise FileNotFoundError(path)
        return files[path]

    store: Any = SimpleNamespace(kept_photos=lambda: rows, photos=SimpleNamespace(read=read))
    read_photo = _photo_reader(store)
    assert read_photo("g").shape == (120, 80, 3)
    assert (read_photo("b") == 114).all()
    assert (read_photo("gone") == 114).all()
    assert ["bad.avif" in caplog.text, "gone.jpg" in caplog.text] == [True, True]
