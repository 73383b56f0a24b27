"""A site's rules for robots: robots.txt, and the marks `noai` and `noimageai` in headers and pages."""

import logging
import threading
from collections.abc import Callable, Iterable

from protego import Protego

from bolid_pipeline.errors import DownloadFailed, RobotsDenied
from bolid_pipeline.scraping.rate_limiter import RateLimiter

_logger = logging.getLogger(__name__)

_MAX_ROBOTS_BYTES = 512 * 2**10
"""RFC 9309 wants at least 500 KiB of robots.txt to be read; what is behind may be left out."""
_LONGEST_DELAY_SECONDS = 24 * 3600.0
_DELAY_TO_MENTION_SECONDS = 10.0
_SHORTEST_DELAY_SECONDS = 1e-6
_AI_MARKS = frozenset({"noai", "noimageai"})
_META_NAMES = frozenset({"robots", "bolid-crawler"})
# Rules of X-Robots-Tag that take a value: a colon follows their names, as it follows a robot's name.
_RULES_WITH_VALUE = frozenset({"unavailable_after", "max-snippet", "max-image-preview", "max-video-preview"})


class RobotsTxt:
    """A site's robots.txt (RFC 9309), read once, before the first request; for many threads.

    Args:
        site_url: the site's address, without a slash at the end.
        robot_name: this crawler's name.
        fetch: returns the file's bytes, empty if the site has no such file. An error it raises stops the request.
        limiter: is slowed to the file's crawl-delay.
    """

    def __init__(
        self, site_url: str, robot_name: str, fetch: Callable[[str], bytes], limiter: RateLimiter
    ) -> None:
        self._site_url = site_url
        self._robot_name = robot_name
        self._fetch = fetch
        self._limiter = limiter
        self._lock = threading.Lock()
        self._rules: Protego | None = None

    def check(self, url: str) -> None:
        """Raise RobotsDenied if the address is forbidden to this crawler."""
        with self._lock:
            if self._rules is None:
                self._rules = self._read()
        if not self._rules.can_fetch(url, self._robot_name):
            raise RobotsDenied(f"robots.txt of {self._site_url} forbids {url} to {self._robot_name}")

    def _read(self) -> Protego:
        text = self._fetch(f"{self._site_url}/robots.txt")[:_MAX_ROBOTS_BYTES].decode(
            "utf-8", errors="replace"
        )
        rules = Protego.parse(text)
        self._obey_delay(rules.crawl_delay(self._robot_name) or 0.0)
        return rules

    def _obey_delay(self, seconds: float) -> None:
        if not seconds <= _LONGEST_DELAY_SECONDS:
            raise RobotsDenied(
                f"robots.txt of {self._site_url} asks for {seconds:g} s between requests, more than a day"
            )
        if seconds >= _DELAY_TO_MENTION_SECONDS:
            _logger.warning("robots.txt of %s asks for %g s between requests", self._site_url, seconds)
        if seconds >= _SHORTEST_DELAY_SECONDS:
            self._limiter.cap_rate(1.0 / seconds)


def check_headers(url: str, headers: Iterable[str], robot_name: str) -> None:
    """Raise DownloadFailed `no_ai` if X-Robots-Tag reserves the content of the address.

    Args:
        url: the address.
        headers: the values, one per header line: rules separated by commas. A robot's name and a colon in front
            make them rules for that robot only.
        robot_name: this crawler's name.
    """
    lines = list(headers)
    if any(_rules_for(robot_name.lower(), line.lower()) & _AI_MARKS for line in lines):
        raise _reserved(url, f"X-Robots-Tag: {', '.join(lines)}")


def check_meta_tags(url: str, tags: Iterable[tuple[str, str]]) -> None:
    """Raise DownloadFailed `no_ai` if a page's meta tags reserve it.

    Args:
        url: the page's address.
        tags: name and content of each tag.
    """
    for name, content in tags:
        marks = {word.strip().lower() for word in content.split(",")} & _AI_MARKS
        if marks and name.lower() in _META_NAMES:
            raise _reserved(url, f"meta robots: {', '.join(sorted(marks))}")


def _rules_for(robot_name: str, header: str) -> set[str]:
    name, colon, rules = header.partition(":")
    name = name.strip()
    is_for_one = colon and "," not in name and name not in _RULES_WITH_VALUE
    if is_for_one and name not in (robot_name, "*"):
        return set()
    return {rule.strip() for rule in (rules if is_for_one else header).split(",")}


def _reserved(url: str, mark: str) -> DownloadFailed:
    return DownloadFailed(f"{url} asks not to be used for AI ({mark})", reason="no_ai")
