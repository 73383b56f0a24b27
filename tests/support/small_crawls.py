"""Small crawls of a site that is made for a test: pictures, people, a data folder, and the results of crawls."""

import hashlib
import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from fault_server import (
    CANONICAL_URL,
    FaultySite,
    Page,
    Response,
    gallery,
    gallery_page,
    gallery_path,
    index_page,
    letter_page,
    letter_path,
)
from PIL import Image

from bolid_pipeline.scraping.config import CrawlConfig
from bolid_pipeline.scraping.crawler import CrawlReport, crawl_catalogue, crawl_photos
from bolid_pipeline.scraping.outcomes import IDENTITY_STATUSES, REJECTION_REASONS
from bolid_pipeline.scraping.sources.site import open_site
from bolid_pipeline.storage.photos import PhotoStore
from bolid_pipeline.storage.tables import TableStore


def jpeg(seed: int, quality: int = 80, scale: int = 1, kind: str = "JPEG") -> bytes:
    """A picture that differs from those of all other seeds."""
    blocks = np.random.default_rng(seed).integers(0, 255, (8, 6, 3), dtype=np.uint8)
    target = io.BytesIO()
    Image.fromarray(blocks).resize((96 * scale, 128 * scale), Image.Resampling.BICUBIC).save(
        target, kind, quality=quality
    )
    return target.getvalue()


class Crawl:
    """A data folder, and crawls into it."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.tables = TableStore(data_dir)
        self.photos = PhotoStore(data_dir)
        self.catalogue: CrawlReport

    def config(self, site: FaultySite, **options: Any) -> CrawlConfig:
        manners: dict[str, Any] = {
            "base_url": site.url,
            "canonical_url": CANONICAL_URL,
            "requests_per_second": 10_000.0,
            "max_retries": 0,
            "min_photos": 1,
        }
        return CrawlConfig(**(manners | options))

    def run(self, site: FaultySite, **options: Any) -> CrawlReport:
        with open_site(self.config(site, **options)) as source:
            self.catalogue = crawl_catalogue(source, self.tables)
            return crawl_photos(source, self.tables, self.photos)

    def rows(self, table: str, *columns: str) -> list[tuple[Any, ...]]:
        return sorted(tuple(row.values()) for row in self.tables.read(table, columns).to_pylist())

    @property
    def statuses(self) -> dict[str, str]:
        found = {row["identity"]: row["status"] for row in self.tables.read("identity_catalogue").to_pylist()}
        assert set(found.values()) <= IDENTITY_STATUSES
        return found

    @property
    def stored(self) -> list[bytes]:
        """The bytes of all rows' photos, each with the hash that is its id; no file is there without a row."""
        path_of = dict(self.rows("raw_photos", "photo_id", "path"))
        files = {str(path.relative_to(self.data_dir)) for path in self.data_dir.glob("photos/*/*")}
        assert files == set(path_of.values())
        bytes_of = {photo_id: self.photos.read(path) for photo_id, path in path_of.items()}
        assert all(hashlib.sha256(data).hexdigest() == photo_id for photo_id, data in bytes_of.items())
        return list(bytes_of.values())

    @property
    def refused(self) -> dict[str, str]:
        """Photo page -> reason."""
        found = dict(self.rows("rejected_downloads", "page_url", "reason"))
        assert set(found.values()) <= REJECTION_REASONS
        return {url.removeprefix(CANONICAL_URL): reason for url, reason in found.items()}


def bodies(site: FaultySite) -> list[str]:
    """The files that were requested."""
    return [request.path for request in site.log if "/archive/" in request.path]


def people(photos_of: dict[str, dict[str, bytes]]) -> dict[str, Page]:
    """A site with several people on one list."""
    pages: dict[str, Page] = {}
    for slug, photos in photos_of.items():
        pages |= gallery(photos, slug=slug, name=slug.title())
    return pages | {
        "/photos/": index_page(["A"]),
        letter_path("A"): letter_page({s: s.title() for s in photos_of}),
    }


def grid_page(names: Iterable[str], links: Iterable[int], *, stated: int, slug: str = "anna") -> Response:
    """A page of a gallery of many, with its window of page numbers."""
    path = gallery_path(slug)
    window = "".join(f'<a href="{path}{f"?page={n}" if n > 1 else ""}">{n}</a>' for n in links)
    page = gallery_page(names, slug=slug, stated=stated)
    pagination = f'<div class="listalka">{window}</div>'.encode()
    return Response(body=page.body.replace(b"</body>", pagination + b"</body>"))
