"""The rule that leaves a person, or ends a crawl, after too many failures in a row."""

from collections import Counter

from bolid_pipeline.errors import ScrapingError
from bolid_pipeline.scraping.config import CrawlBounds
from bolid_pipeline.scraping.outcomes import SITE_FAILURES

_SEVERAL_PEOPLE = 3


class FailureStreak:
    """Tells a broken page, a broken person and a broken site apart, by the failures since the last success.

    - A person is given up for this run after `max_failures_in_a_row` failures of the site (`SITE_FAILURES`), or
      `max_refusals_in_a_row` other ones.
    - A crawl ends after as many if they come from at least three people. Refusals end it only while nothing has
      succeeded: a site that refuses everything refuses this crawler, and is asked no further.
    """

    def __init__(self, bounds: CrawlBounds) -> None:
        self._bounds = bounds
        self._num_failures = Counter[
            bool
        ]()  # whether the site is to blame -> failures since the last success
        self._num_of_person = Counter[tuple[str, bool]]()
        self._people = set[str]()
        self._last_error: ScrapingError | None = None
        self.has_succeeded = False

    def success(self, identity: str) -> None:
        """Note a success with a page of the person."""
        self.has_succeeded = True
        self._num_failures.clear()
        self._people.clear()
        for is_of_site in (True, False):
            del self._num_of_person[identity, is_of_site]

    def failure(self, identity: str, error: ScrapingError) -> None:
        """Note a failure with a page of the person. Raises `error` if the crawl is to end."""
        is_of_site = error.reason in SITE_FAILURES
        self._num_failures[is_of_site] += 1
        self._num_of_person[identity, is_of_site] += 1
        self._people.add(identity)
        self._last_error = error
        may_end = is_of_site or not self.has_succeeded
        if (
            may_end
            and len(self._people) >= _SEVERAL_PEOPLE
            and self._is_too_many(is_of_site, self._num_failures[is_of_site])
        ):
            raise error

    def gives_up(self, identity: str) -> bool:
        """True if too many pages of the person have failed in a row."""
        return any(self._is_too_many(kind, self._num_of_person[identity, kind]) for kind in (True, False))

    def finish(self) -> None:
        """Note the end. Raises the last error if there was no success, or if the site has failed since the last one."""
        if self._last_error is not None and (
            not self.has_succeeded or self._is_too_many(True, self._num_failures[True])
        ):
            raise self._last_error

    def _is_too_many(self, is_of_site: bool, count: int) -> bool:
        bounds = self._bounds
        return count >= (bounds.max_failures_in_a_row if is_of_site else bounds.max_refusals_in_a_row)
