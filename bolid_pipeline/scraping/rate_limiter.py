"""Rate limits: requests in flight, requests per second, and pauses that the host asks for."""

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import cast

from pyrate_limiter import InMemoryBucket, Rate, RateItem

_LONGEST_BURST_SECONDS = 0.05
_MAX_SLOWDOWN = 16
_ANSWERS_PER_SPEED_UP = 50


class RateLimiter:
    """Spaces the requests of all threads to one host, further tries included.

    A host that answers 429 or 503 is asked half as often from then on. After every 50 good answers the rate doubles
    again, until the allowed rate is reached.

    Args:
        requests_per_second: the allowed rate. No second holds more requests, and up to 20 per second they are
            evenly spaced.
        max_concurrency: most requests in flight at any moment.
        sleep: waits for so many seconds; an error that it raises ends the turn.
    """

    def __init__(
        self, requests_per_second: float, max_concurrency: int, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._sleep = sleep
        self._in_flight = threading.BoundedSemaphore(max_concurrency)
        self._queue = threading.Lock()
        self._state = threading.Lock()
        self._quiet_until = 0.0
        self._slowdown = 1
        self._slowed_at = -math.inf
        self._good_answers = 0
        self._allowed_rate = requests_per_second
        self._bucket = InMemoryBucket([_rate(requests_per_second)])

    @property
    def requests_per_second(self) -> float:
        """The present rate: the allowed one, or a fraction of it while the host is busy."""
        return self._allowed_rate / self._slowdown

    def cap_rate(self, requests_per_second: float) -> None:
        """Lower the allowed rate to this one; a higher one changes nothing."""
        if requests_per_second < self._allowed_rate:
            self._allowed_rate = requests_per_second
            self._bucket.rates = [_rate(requests_per_second)]

    @contextmanager
    def turn(self) -> Iterator[float]:
        """Wait until a request may be sent, and count it as in flight until the block ends; yields seconds waited."""
        with self._in_flight:
            started = time.monotonic()
            with self._queue:
                self._wait()
            yield time.monotonic() - started

    def keep_quiet(self, seconds: float) -> None:
        """Let no request through for this many seconds (Retry-After)."""
        with self._state:
            self._quiet_until = max(self._quiet_until, time.monotonic() + seconds)

    def slow_down(self, asked_at: float) -> None:
        """Halve the rate, once for all requests that were in flight together.

        Args:
            asked_at: time (`time.monotonic`) at which the refused request was sent.
        """
        with self._state:
            if asked_at > self._slowed_at:
                self._slowdown = min(2 * self._slowdown, _MAX_SLOWDOWN)
                self._slowed_at = time.monotonic()
                self._good_answers = 0

    def speed_up(self) -> None:
        """Count a good answer; enough of them double a lowered rate."""
        with self._state:
            self._good_answers += 1
            if self._slowdown > 1 and self._good_answers % _ANSWERS_PER_SPEED_UP == 0:
                self._slowdown //= 2

    def _wait(self) -> None:
        while (left := self._quiet_until - time.monotonic()) > 0:
            self._sleep(left)
        for _ in range(self._slowdown):
            self._take_place()

    def _take_place(self) -> None:
        """Wait for a place in the limiter's window."""
        while True:
            # The place counts from now, not from when it fell free: lost time is never made up for by a burst.
            now_ms = time.monotonic_ns() // 1_000_000
            self._bucket.leak(now_ms)
            place = RateItem("request", now_ms)
            if self._bucket.put(place):
                return
            self._sleep(cast(int, self._bucket.waiting(place)) / 1000)


def _rate(requests_per_second: float) -> Rate:
    limit = max(1, math.floor(requests_per_second * _LONGEST_BURST_SECONDS))
    return Rate(limit, math.ceil(1000 * limit / requests_per_second))
