"""What a crawl did, and when it has failed too often to go on."""

import time
from collections import Counter
from dataclasses import dataclass, field, replace

from bolid_pipeline.errors import ScrapingError
from bolid_pipeline.scraping.client import TransferCounts


@dataclass(frozen=True, kw_only=True)
class CrawlReport:
    """What one crawl did.

    `requests` counts every request sent, retries included; `bytes` are those of bodies. `identities` counts
    galleries by status, `rejected` photos refused in this crawl by reason. `photos_known` were stored before
    and not asked for again.
    """

    requests: int
    bytes: int
    retries: int
    seconds: float
    photos_new: int = 0
    photos_known: int = 0
    identities: Counter[str] = field(default_factory=Counter[str])
    rejected: Counter[str] = field(default_factory=Counter[str])

    @property
    def requests_per_second(self) -> float:
        """The mean rate over the whole crawl."""
        return self.requests / self.seconds if self.seconds > 0 else 0.0


class CrawlTimer:
    """Measures one crawl on a source that may have served others before."""

    def __init__(self, counts: TransferCounts) -> None:
        self._counts = counts
        self._before = replace(counts)
        self._started = time.monotonic()

    def report(
        self,
        *,
        photos_new: int = 0,
        photos_known: int = 0,
        identities: Counter[str] | None = None,
        rejected: Counter[str] | None = None,
    ) -> CrawlReport:
        """The report of what was done since the timer was made."""
        return CrawlReport(
            requests=self._counts.requests - self._before.requests,
            bytes=self._counts.bytes - self._before.bytes,
            retries=self._counts.retries - self._before.retries,
            seconds=time.monotonic() - self._started,
            photos_new=photos_new,
            photos_known=photos_known,
            identities=identities or Counter(),
            rejected=rejected or Counter(),
        )


class FailureStreak:
    """Tells a broken page from a broken site: failures in a row, or nothing but failures, end a crawl."""

    def __init__(self, max_in_a_row: int) -> None:
        self._max_in_a_row = max_in_a_row
        self._in_a_row = 0
        self._has_succeeded = False
        self._last_error: ScrapingError | None = None

    def success(self) -> None:
        """Something could be had."""
        self._has_succeeded = True
        self._in_a_row = 0

    def failure(self, error: ScrapingError) -> None:
        """Something could not be had. Raises `error` once there were too many in a row."""
        self._last_error = error
        self._in_a_row += 1
        if self._in_a_row >= self._max_in_a_row:
            raise error

    def finish(self) -> None:
        """The end of the crawl. Raises the last error if there was nothing else."""
        if self._last_error is not None and not self._has_succeeded:
            raise self._last_error
