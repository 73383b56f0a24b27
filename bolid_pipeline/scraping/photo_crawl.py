"""One round of downloads: the photo pages that are neither stored nor refused."""

import hashlib
import logging
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from tqdm import tqdm

from bolid_pipeline.errors import (
    DownloadFailed,
    LayoutChanged,
    PhotoRefused,
    RobotsDenied,
    ScrapingError,
    SourceUnreachable,
)
from bolid_pipeline.images import probe
from bolid_pipeline.records import PhotoPage
from bolid_pipeline.scraping.outcomes import RETRIED_REASONS
from bolid_pipeline.scraping.perceptual_hash import perceptual_hash
from bolid_pipeline.scraping.photo_pages import read_photo_pages
from bolid_pipeline.scraping.report import CrawlReport, CrawlTimer, FailureStreak
from bolid_pipeline.scraping.sources.base import PhotoSource
from bolid_pipeline.storage.photos import PhotoStore
from bolid_pipeline.storage.tables import TableStore

_logger = logging.getLogger(__name__)

_Row = dict[str, Any]


class PhotoCrawl:
    """The state of one round; see `bolid_pipeline.scraping.crawler.crawl_photos`."""

    def __init__(self, source: PhotoSource, tables: TableStore, photos: PhotoStore) -> None:
        self._source = source
        self._tables = tables
        self._photos = photos
        self._bounds = source.bounds
        stored = tables.read("raw_photos", ["photo_id", "identity", "page_url"]).to_pylist()
        refused = tables.read("rejected_downloads", ["page_url", "reason"]).to_pylist()
        self._identity_of_photo = {row["photo_id"]: row["identity"] for row in stored}
        self._num_stored = Counter(row["identity"] for row in stored)
        self._stored_pages = {row["page_url"] for row in stored}
        self._retried_pages = {row["page_url"] for row in refused if row["reason"] in RETRIED_REASONS}
        self._refused_pages = {row["page_url"] for row in refused} - self._retried_pages
        self._streak = FailureStreak(self._bounds.max_failures_in_a_row)
        self._rejected: Counter[str] = Counter()
        self._num_new = 0
        self._new_photos: list[_Row] = []
        self._new_rejections: list[_Row] = []

    def run(self) -> CrawlReport:
        """Fetch what is outstanding, commit it, say what was done."""
        timer = CrawlTimer(self._source.counts)
        num_known = len(self._stored_pages)
        outstanding = self._outstanding()
        num_expected = sum(self._expected(identity, pages) for identity, pages in outstanding.items())
        try:
            with tqdm(total=num_expected, desc="photos", unit="photo", mininterval=1.0) as progress:
                for identity, pages in outstanding.items():
                    progress.set_postfix_str(identity, refresh=False)
                    self._fetch_all(identity, pages, progress)
        finally:
            self._commit()
        self._streak.finish()
        return timer.report(photos_new=self._num_new, photos_known=num_known, rejected=self._rejected)

    def _outstanding(self) -> dict[str, list[str]]:
        """Photo pages left to fetch, by person, in the gallery's order."""
        catalogue = self._tables.read("identity_catalogue", ["identity", "status"]).to_pylist()
        listed = {row["identity"] for row in catalogue if row["status"] == "listed"}
        listed -= self._bounds.excluded_identities
        done = self._stored_pages | self._refused_pages
        pages = read_photo_pages(self._tables)
        left = {identity: [url for url in pages[identity] if url not in done] for identity in pages}
        return {identity: urls for identity, urls in left.items() if urls and identity in listed}

    def _num_wanted(self, identity: str) -> int | None:
        limit = self._bounds.max_photos_per_identity
        return None if limit is None else max(0, limit - self._num_stored[identity])

    def _expected(self, identity: str, pages: list[str]) -> int:
        wanted = self._num_wanted(identity)
        return len(pages) if wanted is None else min(wanted, len(pages))

    def _fetch_all(self, identity: str, page_urls: list[str], progress: "tqdm[Any]") -> None:
        for page_url in page_urls:
            if self._num_wanted(identity) == 0:
                return
            self._fetch(PhotoPage(identity=identity, page_url=page_url))
            progress.update()
            if len(self._new_photos) + len(self._new_rejections) >= self._bounds.photos_per_commit:
                self._commit()

    def _fetch(self, page: PhotoPage) -> None:
        """Store the photo behind a page, or record why not."""
        try:
            self._store_best_file(page)
        except ScrapingError as error:
            self._fail(page, None, error)

    def _store_best_file(self, page: PhotoPage) -> None:
        """Store the first file that is a whole photo; if none is, record why the best one is not."""
        failures: list[tuple[str, DownloadFailed | PhotoRefused]] = []
        for url in self._source.picture_urls(page):
            try:
                data = self._source.download(url, page)
                width_px, height_px, content_type, extension = probe(data)
            except (DownloadFailed, PhotoRefused) as error:
                failures.append((url, error))
                continue
            facts = {"width_px": width_px, "height_px": height_px, "content_type": content_type}
            self._store(page, url, data, extension, facts)
            self._streak.success()
            return
        there = (failure for failure in failures if failure[1].reason != "not_found")
        self._fail(page, *next(there, failures[0]))

    def _fail(self, page: PhotoPage, url: str | None, error: ScrapingError | PhotoRefused) -> None:
        """Record why a photo could not be had. Raises `error` if it is the site that fails, too often."""
        reason = _reason(error)
        _logger.info("no photo from %s (%s): %s", page.page_url, reason, error)
        self._reject(page, url, reason)
        if reason in RETRIED_REASONS and isinstance(error, ScrapingError):
            self._streak.failure(error)
        else:
            self._streak.success()

    def _store(
        self, page: PhotoPage, url: str, data: bytes, extension: str, facts: Mapping[str, Any]
    ) -> None:
        """Store a photo, unless the very same bytes are there already."""
        owner = self._identity_of_photo.get(hashlib.sha256(data).hexdigest())
        if owner is not None:
            is_own = owner == page.identity
            self._reject(page, url, "duplicate_photo" if is_own else "photo_of_another_identity")
            return
        photo_id, path = self._photos.add(data, extension)
        row = {
            "photo_id": photo_id,
            "identity": page.identity,
            "source_url": url,
            "page_url": page.page_url,
            "path": path,
            "size_bytes": len(data),
            "perceptual_hash": perceptual_hash(data),
            "fetched_at": datetime.now(UTC),
        }
        self._new_photos.append({**row, **facts})
        self._identity_of_photo[photo_id] = page.identity
        self._num_stored[page.identity] += 1
        self._num_new += 1

    def _reject(self, page: PhotoPage, url: str | None, reason: str) -> None:
        row = {"page_url": page.page_url, "identity": page.identity, "source_url": url, "reason": reason}
        self._new_rejections.append({**row, "checked_at": datetime.now(UTC)})
        self._rejected[reason] += 1

    def _commit(self) -> None:
        """Photos before the old refusals that they settle, so that a page is never in neither table."""
        self._tables.append("raw_photos", self._new_photos)
        settled = self._retried_pages & {row["page_url"] for row in self._new_photos}
        if settled:
            self._tables.delete("rejected_downloads", "page_url", settled)
        self._tables.append("rejected_downloads", self._new_rejections)
        self._new_photos, self._new_rejections = [], []


def _reason(error: ScrapingError | PhotoRefused) -> str:
    match error:
        case DownloadFailed() | PhotoRefused():
            return error.reason
        case LayoutChanged():
            return "layout_changed"
        case RobotsDenied():
            return "robots_denied"
        case SourceUnreachable():
            return "unreachable"
        case _:
            raise error
