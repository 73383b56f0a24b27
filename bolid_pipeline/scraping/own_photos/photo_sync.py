"""One refresh of the photos from a folder: new and changed files are read, and the tables say what the files are.

Read files are committed in small batches, so that a killed refresh goes on where it was. At the end the tables are
settled: each photo belongs to the first of its files, other files are refused with a reason, and photos without a file
go.
"""

import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tqdm import tqdm

from bolid_pipeline.errors import BudgetSpent
from bolid_pipeline.names import printable
from bolid_pipeline.scraping.config import CrawlConfig
from bolid_pipeline.scraping.fetch_journal import FetchJournal
from bolid_pipeline.scraping.own_photos.content import ContentReader, ReadFile, UnreadableFile
from bolid_pipeline.scraping.own_photos.folder_tables import FolderTables
from bolid_pipeline.scraping.report import CrawlReport, CrawlTimer
from bolid_pipeline.scraping.selection import PersonPlan, plan_photos
from bolid_pipeline.scraping.transfer_counts import TransferCounts
from bolid_pipeline.storage.photos import PhotoStore
from bolid_pipeline.storage.tables import TableStore


class PhotoSync:
    """One refresh; made anew for each.

    Args:
        root: the folder.
        label: the folder's address.
        bounds: what to take.
        counts: what was read so far.
        tables: what is known, and where rows go.
        photos: where photos go.
    """

    def __init__(
        self,
        root: Path,
        label: str,
        bounds: CrawlConfig,
        counts: TransferCounts,
        tables: TableStore,
        photos: PhotoStore,
    ) -> None:
        self._bounds = bounds
        self._counts = counts
        self._plan = plan_photos(tables, bounds, label)
        self._known = FolderTables(tables, photos, label, bounds)
        self._journal = FetchJournal(tables.root.parent, photos)
        self._journal.discard(self._known.path_of_photo.values())
        self._read = ContentReader(
            root,
            bounds,
            counts,
            photos,
            self._journal,
            path_of_photo=self._known.path_of_photo,
            reason_of=self._known.reason_of_content,
        )
        self._under_way: list[ReadFile | UnreadableFile] = []

    def run(self) -> CrawlReport:
        """Read what is new or has changed, settle the tables, and return the report."""
        timer = CrawlTimer(self._counts)
        before = self._known.own_photos
        stopped_by: str | None = None
        try:
            self._read_all()
        except BudgetSpent as spent:
            stopped_by = str(spent)
        finally:
            self._note_batch()
            self._known.commit(self._read.new_photos())
        refused = self._known.settle()
        now = self._known.own_photos
        self._journal.discard(self._known.path_of_photo.values())
        return timer.report(
            photos_new=len(now - before),
            photos_known=len(now & before),
            photos_gone=len(before - now),
            rejected=refused,
            stopped_by=stopped_by,
        )

    def _read_all(self) -> None:
        with (
            tqdm(total=self._plan.num_photos, desc="photos", unit="photo", mininterval=1.0) as progress,
            ThreadPoolExecutor(os.cpu_count() or 1, "photos") as pool,
        ):
            try:
                for person in self._plan.people:
                    progress.set_postfix_str(printable(person.identity), refresh=False)
                    for batch in self._batches(person):
                        for file in pool.map(self._read, batch):
                            self._under_way.append(file)
                            progress.update()
                        self._note_batch()
            finally:
                pool.shutdown(cancel_futures=True)

    def _note_batch(self) -> None:
        """Note what was read, and commit it once it is enough."""
        for file in self._under_way:
            self._known.note(file, self._read.finding(file))
        self._under_way.clear()
        if self._known.num_uncommitted >= self._bounds.photos_per_commit:
            self._known.commit(self._read.new_photos())

    def _batches(self, person: PersonPlan) -> Iterator[list[str]]:
        """The person's files to read, changed ones first; new ones only as long as the person may have more photos."""
        left = (*person.page_urls, *person.failed_page_urls)
        urls = [url for url in left if self._known.is_unread(url)]
        changed = [url for url in urls if self._known.was_read(url)]
        new = [url for url in urls if not self._known.was_read(url)]
        size = self._bounds.photos_per_commit
        yield from (changed[i : i + size] for i in range(0, len(changed), size))
        while room := min(size, self._num_missing(person.identity)):
            batch, new = new[:room], new[room:]
            if not batch:
                return
            yield batch

    def _num_missing(self, identity: str) -> int:
        """Number of photos of the person that may still be stored."""
        limit = self._bounds.max_photos_per_identity
        return sys.maxsize if limit is None else max(0, limit - self._known.num_photos(identity))
