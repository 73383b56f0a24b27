"""The report of a crawl."""

import time
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any

from bolid_pipeline.scraping.transfer_counts import TransferCounts


@dataclass(frozen=True, kw_only=True)
class CrawlReport:
    """Results and costs of one crawl."""

    requests: int
    """Every request sent, further tries and redirects included."""
    bytes: int
    """Bytes of bodies, unpacked."""
    retries: int
    """Further tries."""
    seconds: float
    """Length of the crawl."""
    not_modified: int = 0
    """Pages that had not changed since the last crawl."""
    seconds_waited: float = 0.0
    """Waits for the rate, for Retry-After and before further tries, summed over threads."""
    photos_new: int = 0
    """Photos that this crawl stored."""
    photos_known: int = 0
    """Photos that were stored before, and were not asked for again."""
    photos_gone: int = 0
    """Photos that were deleted, because no file of the folder holds them any more."""
    identities: Counter[str] = field(default_factory=Counter[str])
    """Galleries by status."""
    failures: Counter[str] = field(default_factory=Counter[str])
    """Galleries and lists of people that could not be read in this crawl, by reason."""
    rejected: Counter[str] = field(default_factory=Counter[str])
    """Photos refused in this crawl, by reason."""
    stopped_by: str | None = None
    """Why the crawl stopped early; the next one goes on from there. None if it came to its end."""

    @property
    def requests_per_second(self) -> float:
        """The mean rate over the whole crawl."""
        return self.requests / self.seconds if self.seconds > 0 else 0.0

    @property
    def costs(self) -> dict[str, int | float | str]:
        """The crawl's requests, bytes and times, rounded for people to read."""
        costs: dict[str, int | float | str] = {
            "requests": self.requests,
            "bytes": self.bytes,
            "requests_per_second": round(self.requests_per_second, 2),
            "retries": self.retries,
            "not_modified": self.not_modified,
            "seconds_waited": round(self.seconds_waited, 1),
            "seconds": round(self.seconds, 1),
        }
        return costs | ({"stopped_by": self.stopped_by} if self.stopped_by else {})

    def __str__(self) -> str:
        """One line of results, one line of costs."""
        found = {"galleries": self.identities, "failures": self.failures, "refused": self.rejected}
        counts = [f"{self.photos_new} new photos, {self.photos_known} known"] if not self.identities else []
        counts += [f"{self.photos_gone} gone"] if self.photos_gone else []
        counts += [
            f"{name}: {', '.join(f'{count} {word}' for word, count in words.most_common())}"
            for name, words in found.items()
            if words
        ]
        costs = ", ".join(f"{name} {value}" for name, value in self.costs.items())
        return f"{'; '.join(counts)}\n  {costs}"


class CrawlTimer:
    """Measures one crawl on a source that may have served others before."""

    def __init__(self, counts: TransferCounts) -> None:
        self._counts = counts
        self._before = replace(counts)
        self._started = time.monotonic()

    def report(self, **done: Any) -> CrawlReport:
        """A report of the transfers since the timer was made; `done` holds the other fields of CrawlReport."""
        before, now = self._before, self._counts
        return CrawlReport(
            requests=now.requests - before.requests,
            bytes=now.bytes - before.bytes,
            retries=now.retries - before.retries,
            not_modified=now.not_modified - before.not_modified,
            seconds_waited=now.seconds_waited - before.seconds_waited,
            seconds=time.monotonic() - self._started,
            **done,
        )
