"""Crawls of a gallery of three good photos and an odd one, whose file, page or host misbehaves.

Every crawl is a whole one, and ends with exactly the right photos stored and the right reason recorded.
"""

import io
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from fault_server import FaultySite, Page, gallery, original_path, picture, resized_path
from PIL import Image
from small_crawls import Crawl

from bolid_pipeline.scraping.report import CrawlReport

ODD = "odd"


def encoded(seed: int, kind: str = "JPEG", **options: Any) -> bytes:
    """A small picture that no other seed gives."""
    blocks = np.random.default_rng(seed).integers(0, 255, (8, 6, 3), dtype=np.uint8)
    target = io.BytesIO()
    image = Image.fromarray(blocks).resize((96, 128), Image.Resampling.NEAREST)
    image.convert(options.pop("mode", "RGB")).save(target, kind, **options)
    return target.getvalue()


GOOD = {"a": encoded(1), "b": encoded(2), "c": encoded(3)}
ODD_PHOTO = encoded(4)
FINE = picture(ODD_PHOTO)
QUICK = {"read_timeout_seconds": 0.5, "max_retries": 1}


class OddPhotoCrawl:
    """A site with the four photos, and whole crawls of it into one data folder."""

    def __init__(self, data_dir: Path) -> None:
        self.site = FaultySite(gallery(GOOD | {ODD: ODD_PHOTO}))
        self._crawl = Crawl(data_dir)
        self.tables = self._crawl.tables

    def run(self, **options: Any) -> CrawlReport:
        """Crawl the whole site, and return the report of the photos."""
        return self._crawl.run(self.site, **({"max_retries": 2, "backoff_seconds": 0.01} | options))

    @property
    def stored(self) -> Counter[bytes]:
        """The stored photos' bytes."""
        return Counter(self._crawl.stored)

    @property
    def refused(self) -> dict[str, str]:
        """Photo page -> reason."""
        return self._crawl.refused


def break_files(crawl: OddPhotoCrawl, page: Page) -> None:
    """Make both files of the odd photo answer so."""
    crawl.site.pages[original_path(ODD)] = crawl.site.pages[resized_path(ODD)] = page
