"""HTTP with manners: every courtesy of the crawler that is not about what it fetches, but how.

- robots.txt is read first and obeyed, a longer crawl-delay in it too; none (4xx) allows all, an unreadable
  one nothing.
- At most `requests_per_second` to the host, evenly spaced; 429, 5xx and broken connections are tried again
  after a growing, jittered wait, or after what Retry-After asks, within a bound.
- A User-Agent with name and contact; pictures are asked for from their photo page (Referer) and unencoded.
- Only the host of `base_url` is reached, also through redirects; bodies have a largest size and a deadline.
"""

import logging
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self
from urllib.parse import urljoin, urlsplit

import requests
from protego import Protego
from requests_ratelimiter import LimiterAdapter
from urllib3.util.retry import Retry

from bolid_pipeline.errors import DownloadFailed, RobotsDenied, SourceUnreachable
from bolid_pipeline.scraping.config import CrawlConfig

_logger = logging.getLogger(__name__)

_RETRIED_STATUSES = frozenset({429, 500, 502, 503, 504})
_REFUSED_STATUSES = {401: "forbidden", 403: "forbidden", 404: "not_found", 410: "not_found", 451: "forbidden"}
_REDIRECT_STATUSES = frozenset({301, 302, 303, 307, 308})
_CHUNK_BYTES = 1 << 16
_SHORTEST_INTERVAL_SECONDS = 0.05


@dataclass
class TransferCounts:
    """What a client has moved so far."""

    requests: int = 0
    bytes: int = 0
    retries: int = 0


class PoliteRetry(Retry):
    """urllib3's retries, which wait before the first further try too (urllib3 itself does not)."""

    def get_backoff_time(self) -> float:
        """Seconds to wait before the next try."""
        return max(super().get_backoff_time(), self.backoff_factor * random.uniform(0.5, 1.0))


class PoliteClient:
    """Fetches pages and pictures of one site; use as a context manager, or call `close`.

    Addresses given and returned are canonical ones (`CrawlConfig.canonical_url`); `base_url` is asked for
    them.
    """

    def __init__(self, config: CrawlConfig) -> None:
        self.config = config
        self.counts = TransferCounts()
        self._base_url = config.base_url.rstrip("/")
        self._session = requests.Session()
        self._session.trust_env = False  # neither proxies nor .netrc credentials by accident
        if config.proxy_url:
            self._session.proxies = {"http": config.proxy_url, "https": config.proxy_url}
        self._session.headers["User-Agent"] = config.user_agent
        self._mount(config.requests_per_second)
        self._robots: Protego | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close connections and stop the rate limiter."""
        self._session.close()

    def get_page(self, url: str, referer: str | None = None) -> bytes:
        """The HTML at `url`. Raises SourceUnreachable, RobotsDenied, DownloadFailed."""
        return self._get(url, {"Referer": self._network_url(referer)} if referer else {})

    def get_picture(self, url: str, referer: str) -> bytes:
        """The file at `url`, byte for byte as the server holds it. Raises like `get_page`."""
        return self._get(url, {"Referer": self._network_url(referer), "Accept-Encoding": "identity"})

    def _get(self, url: str, headers: Mapping[str, str]) -> bytes:
        self._obey_robots(url)
        return self._fetch(self._network_url(url), headers)

    def _fetch(self, url: str, headers: Mapping[str, str]) -> bytes:
        """One request and its redirects, each hop's host looked at before it is asked."""
        for _ in range(self.config.max_redirects + 1):
            self._check_host(url)
            try:
                with self._send(url, headers) as response:
                    if response.status_code not in _REDIRECT_STATUSES:
                        return self._read(response)
                    url = urljoin(url, response.headers.get("Location", ""))
            except requests.RequestException as error:
                raise SourceUnreachable(
                    f"{url} cannot be reached ({type(error).__name__}: {error}); check the network, or point "
                    "BOLID_SOURCE_URL at an address of the site that answers"
                ) from error
        raise DownloadFailed(
            f"{url}: more than {self.config.max_redirects} redirects", reason="too_many_redirects"
        )

    def _send(self, url: str, headers: Mapping[str, str]) -> requests.Response:
        self.counts.requests += 1
        timeouts = (self.config.connect_timeout_seconds, self.config.read_timeout_seconds)
        try:
            response = self._session.get(
                url, headers=headers, timeout=timeouts, stream=True, allow_redirects=False
            )
        except requests.RequestException:
            self._count_retries(self.config.max_retries)
            raise
        self._count_retries(len(response.raw.retries.history) if response.raw.retries else 0)
        return response

    def _count_retries(self, num_retries: int) -> None:
        self.counts.retries += num_retries
        self.counts.requests += num_retries

    def _read(self, response: requests.Response) -> bytes:
        """The whole body of a successful answer, within the bounds of size and time."""
        status = response.status_code
        if status in _RETRIED_STATUSES:
            raise requests.HTTPError(f"status {status} after {self.config.max_retries} further tries")
        if status != 200:
            reason = _REFUSED_STATUSES.get(status, "http_error")
            raise DownloadFailed(f"{response.url} answers with status {status}", reason=reason)
        deadline = time.monotonic() + self.config.download_deadline_seconds
        body = bytearray()
        for chunk in response.iter_content(_CHUNK_BYTES):
            body += chunk
            if len(body) > self.config.max_body_bytes:
                raise DownloadFailed(
                    f"{response.url} is over {self.config.max_body_bytes} bytes", reason="too_large"
                )
            if time.monotonic() > deadline:
                raise requests.Timeout(f"body not whole after {self.config.download_deadline_seconds} s")
        self.counts.bytes += len(body)
        return bytes(body)

    def _check_host(self, url: str) -> None:
        """The base address's host and scheme; a bare host and its `www.` are one."""
        asked, base = urlsplit(url), urlsplit(self._base_url)
        same_host = asked.netloc.removeprefix("www.") == base.netloc.removeprefix("www.")
        if not same_host or asked.scheme not in (base.scheme, "https"):
            raise DownloadFailed(f"{url} lies outside of {self._base_url}", reason="foreign_host")

    def _network_url(self, url: str) -> str:
        """The address to ask for a canonical one."""
        canonical = self.config.canonical_base_url
        return self._base_url + url.removeprefix(canonical) if url.startswith(canonical) else url

    def _obey_robots(self, url: str) -> None:
        if not self.config.respect_robots:
            return
        if self._robots is None:
            self._robots = self._read_robots()
        if not self._robots.can_fetch(url, self._robot_name):
            raise RobotsDenied(f"robots.txt of {self._base_url} forbids {url} to {self._robot_name}")

    def _read_robots(self) -> Protego:
        """RFC 9309: none (4xx) allows all; one that cannot be had stops the crawl (SourceUnreachable)."""
        try:
            robots = Protego.parse(
                self._fetch(f"{self._base_url}/robots.txt", {}).decode("utf-8", errors="replace")
            )
        except DownloadFailed as error:
            _logger.info("no robots.txt (%s): all pages are allowed", error)
            robots = Protego.parse("")
        delay_seconds = robots.crawl_delay(self._robot_name)
        if delay_seconds and 1.0 / delay_seconds < self.config.requests_per_second:
            _logger.info("robots.txt asks for %s s between requests", delay_seconds)
            self._mount(1.0 / delay_seconds)
        return robots

    @property
    def _robot_name(self) -> str:
        return self.config.user_agent.partition("/")[0]

    def _mount(self, requests_per_second: float) -> None:
        """(Re)place the transport by one of this rate, evenly spaced: no burst and then a pause."""
        burst_seconds = max(1.0 / requests_per_second, _SHORTEST_INTERVAL_SECONDS)
        retry = PoliteRetry(
            total=self.config.max_retries,
            redirect=0,
            status_forcelist=_RETRIED_STATUSES,
            allowed_methods={"GET"},
            backoff_factor=self.config.backoff_seconds,
            backoff_jitter=self.config.backoff_seconds,
            backoff_max=60.0,
            respect_retry_after_header=True,
            retry_after_max=self.config.max_retry_after_seconds,
            raise_on_status=False,
        )
        for prefix in ("http://", "https://"):
            if prefix in self._session.adapters:
                self._session.adapters[prefix].close()
            adapter = LimiterAdapter(per_second=requests_per_second, burst=burst_seconds, max_retries=retry)
            adapter.limiter.buffer_ms = (
                1  # its default adds 50 ms to every wait: half the rate at 20 per second
            )
            self._session.mount(prefix, adapter)
