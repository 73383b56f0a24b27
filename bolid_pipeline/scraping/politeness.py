"""When a request may be sent: so many at once, so many per second, none while the host asked for quiet."""

import math
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import cast

from pyrate_limiter import InMemoryBucket, Rate, RateItem

_LONGEST_BURST_SECONDS = 0.05
_MAX_SLOWNESS = 16
_ANSWERS_PER_STEP_UP = 50
_FORBIDS_AI = frozenset({"noai", "noimageai"})
# Rules of X-Robots-Tag with a value: their names are followed by a colon, as a robot's is.
_RULES_WITH_VALUE = frozenset({"unavailable_after", "max-snippet", "max-image-preview", "max-video-preview"})


class Turnstile:
    """Lets the requests to one host through, of all threads, further tries included.

    A host that answers 429 or 503 is asked half as often from then on, and twice as often again after every
    50 good answers, until the allowed rate is reached.

    Args:
        requests_per_second: the allowed rate, in no second exceeded; up to 20 per second evenly spaced.
        max_concurrency: requests in flight at any moment.
    """

    def __init__(self, requests_per_second: float, max_concurrency: int) -> None:
        self._in_flight = threading.BoundedSemaphore(max_concurrency)
        self._queue = threading.Lock()
        self._state = threading.Lock()
        self._quiet_until = 0.0
        self._slowness = 1
        self._slowed_at = -math.inf
        self._good_answers = 0
        self._allowed_rate = requests_per_second
        self._bucket = InMemoryBucket([_rate(requests_per_second)])

    @property
    def requests_per_second(self) -> float:
        """The rate at present: the allowed one, or a part of it."""
        return self._allowed_rate / self._slowness

    def set_rate(self, requests_per_second: float) -> None:
        """Allow this rate from now on."""
        self._allowed_rate = requests_per_second
        self._bucket.rates = [_rate(requests_per_second)]

    @contextmanager
    def turn(self) -> Iterator[float]:
        """Wait for a turn and hold it, to the end of the answer; gives the seconds waited."""
        with self._in_flight:
            started = time.monotonic()
            with self._queue:
                self._wait()
            yield time.monotonic() - started

    def keep_quiet(self, seconds: float) -> None:
        """No request before that time (Retry-After)."""
        with self._state:
            self._quiet_until = max(self._quiet_until, time.monotonic() + seconds)

    def slow_down(self, asked_at: float) -> None:
        """Halve the rate, once for all requests that were in flight together.

        Args:
            asked_at: when (`time.monotonic`) the request was sent that the host had no time for.
        """
        with self._state:
            if asked_at > self._slowed_at:
                self._slowness = min(2 * self._slowness, _MAX_SLOWNESS)
                self._slowed_at = time.monotonic()
                self._good_answers = 0

    def speed_up(self) -> None:
        """Note a good answer."""
        with self._state:
            self._good_answers += 1
            if self._slowness > 1 and self._good_answers % _ANSWERS_PER_STEP_UP == 0:
                self._slowness //= 2

    def _wait(self) -> None:
        while (left := self._quiet_until - time.monotonic()) > 0:
            time.sleep(left)
        for _ in range(self._slowness):
            self._take_place()

    def _take_place(self) -> None:
        """Wait for a place in the limiter's window; it counts from when it is taken: a late one is not made up for."""
        while True:
            now_ms = time.monotonic_ns() // 1_000_000
            self._bucket.leak(now_ms)
            place = RateItem("request", now_ms)
            if self._bucket.put(place):
                return
            time.sleep(cast(int, self._bucket.waiting(place)) / 1000)


def _rate(requests_per_second: float) -> Rate:
    limit = max(1, math.floor(requests_per_second * _LONGEST_BURST_SECONDS))
    return Rate(limit, math.ceil(1000 * limit / requests_per_second))


def forbids_ai(headers: Iterable[str], robot_name: str) -> bool:
    """Whether X-Robots-Tag asks this crawler not to use what it names for AI.

    Args:
        headers: the values, one per header line: rules with commas between, perhaps after a robot's name and a
            colon, which then are for that robot only.
        robot_name: this crawler's name.
    """
    return any(_rules_for(robot_name.lower(), header.lower()) & _FORBIDS_AI for header in headers)


def _rules_for(robot_name: str, header: str) -> set[str]:
    name, colon, rules = header.partition(":")
    name = name.strip()
    is_for_one = colon and "," not in name and name not in _RULES_WITH_VALUE
    if is_for_one and name not in (robot_name, "*"):
        return set()
    return {rule.strip() for rule in (rules if is_for_one else header).split(",")}
