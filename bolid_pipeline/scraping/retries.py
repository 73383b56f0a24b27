"""Retries: the failures that are tried again, and the waits before them."""

import sys
from collections.abc import Callable

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    stop_after_attempt,
    wait_random_exponential,
)
from urllib3.exceptions import InvalidHeader
from urllib3.util.retry import Retry

from bolid_pipeline.errors import SourceUnreachable
from bolid_pipeline.scraping.config import CrawlConfig

BUSY_STATUSES = frozenset({429, 503})
"""The host is overloaded: it is asked less often."""
PASSING_STATUSES = BUSY_STATUSES | set(range(500, 600)) - {501, 505}
"""Temporary failures: the next try may succeed."""

_LONGEST_BACKOFF_SECONDS = 60.0
_LONGEST_HEADER = 64
_RETRY_AFTER = Retry(retry_after_max=sys.maxsize)


def make_retrying(
    config: CrawlConfig, on_retry: Callable[[float], None], sleep: Callable[[float], None]
) -> Retrying:
    """A `Retrying` that calls a function again while it raises SourceUnreachable, after growing waits with full jitter.

    Args:
        config: its `max_retries` and `backoff_seconds`.
        on_retry: called before each wait, with its seconds.
        sleep: waits for so many seconds; an error that it raises ends the tries.
    """

    def before_sleep(state: RetryCallState) -> None:
        on_retry(state.next_action.sleep if state.next_action else 0.0)

    return Retrying(
        retry=retry_if_exception_type(SourceUnreachable),
        stop=stop_after_attempt(config.max_retries + 1),
        wait=wait_random_exponential(multiplier=config.backoff_seconds, max=_LONGEST_BACKOFF_SECONDS),
        before_sleep=before_sleep,
        sleep=sleep,
        reraise=True,
    )


def retry_after_seconds(header: str | None) -> float:
    """The wait that a Retry-After header asks for, given as seconds or as a date; 0 for none or an unreadable one."""
    try:
        seconds = _RETRY_AFTER.parse_retry_after(header[:_LONGEST_HEADER]) if header else 0.0
        return float(min(seconds, sys.maxsize))
    except (InvalidHeader, ValueError, OverflowError):  # email.utils raises the latter two for absurd dates
        return 0.0


def unreachable(url: str, cause: object, reason: str = "unreachable") -> SourceUnreachable:
    """The error of a failed try; one that stays after the last try reaches the caller."""
    name = f"{type(cause).__name__}: " if isinstance(cause, Exception) else ""
    return SourceUnreachable(
        f"{url} cannot be reached ({name}{cause}); check the network, or point BOLID_SOURCE_URL at an address "
        "of the site that answers",
        reason=reason,
    )
