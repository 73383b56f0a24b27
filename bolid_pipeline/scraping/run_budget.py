"""The budget of one run: requests, bytes and minutes."""

import math
import threading
import time

from bolid_pipeline.errors import BudgetSpent
from bolid_pipeline.scraping.config import CrawlConfig
from bolid_pipeline.scraping.transfer_counts import TransferCounts


class RunBudget:
    """Ends a run for all its threads once a limit of the configuration is reached, or once `stop` was called.

    Args:
        config: its `max_requests`, `max_bytes` and `max_minutes`; the minutes count from now.
        counts: what the run has transferred so far.
    """

    def __init__(self, config: CrawlConfig, counts: TransferCounts) -> None:
        self._config = config
        self._counts = counts
        self._started = time.monotonic()
        self._lock = threading.Lock()
        self._stopped_because: str | None = None
        self._stopped = threading.Event()

    def take_request(self, seconds_waited: float) -> None:
        """Count a request that is about to be sent. Raises BudgetSpent if none is left."""
        with self._lock:  # checks and counts at once, so that threads together never exceed the limit
            reason = self._stopped_because or self._spent()
            if reason:
                self.stop(reason)
                raise BudgetSpent(reason)
            self._counts.add(requests=1, seconds_waited=seconds_waited)

    def stop(self, reason: str) -> None:
        """Let no further request through; BudgetSpent will give the reason."""
        self._stopped_because = reason
        self._stopped.set()

    def wait(self, seconds: float) -> None:
        """Sleep. Raises BudgetSpent once no request could follow: at once if the run's minutes end before."""
        if seconds >= self._seconds_left():
            raise BudgetSpent(_message(f"max_minutes={self._config.max_minutes}"))
        if self._stopped.wait(seconds):
            raise BudgetSpent(str(self._stopped_because))

    def _seconds_left(self) -> float:
        limit = self._config.max_minutes
        return math.inf if limit is None else self._started + 60 * limit - time.monotonic()

    def _spent(self) -> str | None:
        config, counts = self._config, self._counts
        if config.max_requests is not None and counts.requests >= config.max_requests:
            return _message(f"max_requests={config.max_requests}")
        if config.max_bytes is not None and counts.bytes >= config.max_bytes:
            return _message(f"max_bytes={config.max_bytes}")
        if self._seconds_left() <= 0:
            return _message(f"max_minutes={config.max_minutes}")
        return None


def _message(limit: str) -> str:
    return f"{limit} of this run are spent; the next run goes on from here"
