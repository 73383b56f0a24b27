"""HTTP with manners: every courtesy of the crawler that is not about what it fetches, but how.

- robots.txt is read first and obeyed, a longer crawl-delay in it too; none (4xx) allows all, an unreadable
  one nothing. What is marked `noai` or `noimageai` (X-Robots-Tag) is left alone.
- Over all threads, further tries included: at most `max_concurrency` requests at once and
  `requests_per_second`, fewer for a while after 429 or 503 (`politeness.Turnstile`). A host that asks for quiet
  (Retry-After) gets it; one that asks for longer than `max_retry_after_seconds` ends the run.
- 429, 5xx, silence and broken connections are tried again after a growing wait with full jitter.
- A User-Agent with name and contact; pictures are asked for from their photo page (Referer) and unencoded.
- Only the host of `base_url` is reached, also through redirects and whatever its name leads to (`addresses`).
- Bodies have a largest size, as stated, as received and as unpacked, and a deadline (`transport`).
- A run has a budget of requests, bytes and minutes.
"""

import logging
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self
from urllib.parse import urljoin, urlsplit

import requests
from protego import Protego
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    stop_after_attempt,
    wait_random_exponential,
)
from urllib3.exceptions import DecodeError, HTTPError, InvalidHeader, ProtocolError, ReadTimeoutError
from urllib3.util.retry import Retry

from bolid_pipeline.errors import BudgetSpent, DownloadFailed, RobotsDenied, SourceUnreachable
from bolid_pipeline.scraping.addresses import check_host, check_peer, is_internal
from bolid_pipeline.scraping.config import DEFAULT_USER_AGENT, CrawlConfig
from bolid_pipeline.scraping.politeness import Turnstile, forbids_ai
from bolid_pipeline.scraping.transport import GuardedAdapter

_logger = logging.getLogger(__name__)

_PASSING_STATUSES = frozenset({429, 500, 502, 503, 504})
_BUSY_STATUSES = frozenset({429, 503})
_REFUSED_STATUSES = {401: "forbidden", 403: "forbidden", 404: "not_found", 410: "not_found", 451: "forbidden"}
_CHUNK_BYTES = 1 << 16
_LONGEST_BACKOFF_SECONDS = 60.0
_RETRY_AFTER = Retry(retry_after_max=sys.maxsize)


@dataclass
class TransferCounts:
    """What a client has done so far; `add` is safe from many threads."""

    requests: int = 0
    """Requests sent, further tries and redirects included."""
    bytes: int = 0
    """Bytes of bodies, unpacked."""
    retries: int = 0
    """Further tries."""
    not_modified: int = 0
    """Pages that had not changed since they were last fetched."""
    seconds_waited: float = 0.0
    """Waits for the rate, for Retry-After and before further tries, summed over threads."""
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False, compare=False)

    def add(self, **amounts: float) -> None:
        """Add to the named counts."""
        with self._lock:
            for name, amount in amounts.items():
                setattr(self, name, getattr(self, name) + amount)


@dataclass(frozen=True)
class Validators:
    """What the server named a page's version by (RFC 9110, 8.8); sent back, it spares an unchanged page's body."""

    etag: str | None = None
    last_modified: str | None = None

    @property
    def request_headers(self) -> dict[str, str]:
        """The condition "only if it has changed since"."""
        conditions = {"If-None-Match": self.etag, "If-Modified-Since": self.last_modified}
        return {name: value for name, value in conditions.items() if value}


@dataclass(frozen=True)
class Page:
    """A fetched page: its bytes (None: not modified), its version, its address after redirects."""

    body: bytes | None
    validators: Validators
    url: str


@dataclass(frozen=True)
class _Answer:
    """An answer that is no passing failure, read to its end; `url` is the address on the network."""

    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes
    redirect_url: str | None


class PoliteClient:
    """Fetches pages and pictures of one site, from any number of threads; a context manager, or call `close`.

    Addresses given and returned are canonical ones (`CrawlConfig.canonical_url`); `base_url` is asked for
    them.
    """

    def __init__(self, config: CrawlConfig) -> None:
        self.config = config
        self.counts = TransferCounts()
        self._base_url = config.base_url.rstrip("/")
        self._is_internal = is_internal(urlsplit(self._base_url).hostname or "")
        if config.user_agent == DEFAULT_USER_AGENT and not self._is_internal:
            _logger.warning(
                "the crawler names no contact: set CrawlConfig.user_agent to a name and a mail address or page, "
                "so that whoever runs %s can reach you",
                self._base_url,
            )
        # No cookies, and neither proxies of the shell nor .netrc: a requests.Session would add them all, and a
        # third to the time of a request.
        self._headers = {"User-Agent": config.user_agent, "Accept-Encoding": "gzip, deflate", "Accept": "*/*"}
        self._proxies = {"http": config.proxy_url, "https": config.proxy_url} if config.proxy_url else None
        self._started = time.monotonic()
        self._turnstile = Turnstile(config.requests_per_second, config.max_concurrency)
        self._transport = GuardedAdapter(
            deadline_seconds=config.download_deadline_seconds,
            check_peer=self._check_peer,
            num_connections=config.max_concurrency,
        )
        self._retrying = Retrying(
            retry=retry_if_exception_type(SourceUnreachable),
            stop=stop_after_attempt(config.max_retries + 1),
            wait=wait_random_exponential(multiplier=config.backoff_seconds, max=_LONGEST_BACKOFF_SECONDS),
            before_sleep=self._count_retry,
            reraise=True,
        )
        self._robots: Protego | None = None
        self._robots_lock = threading.Lock()
        self._admission_lock = threading.Lock()
        self._stopped_because: str | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close connections."""
        self._transport.close()

    def get_page(self, url: str, referer: str | None = None, validators: Validators | None = None) -> Page:
        """The HTML at `url`.

        Args:
            url: the page's address.
            referer: the page that links to it.
            validators: of the copy at hand, if there is one.

        Raises:
            SourceUnreachable: `unreachable`, `timeout` or `broken_body`, after all further tries.
            DownloadFailed: the site will not give it; the reason says why.
            RobotsDenied: robots.txt forbids it.
            BudgetSpent: this run may ask for no more.
        """
        headers = self._referer(referer) | (validators.request_headers if validators else {})
        answer = self._get(url, headers, self.config.max_page_bytes)
        if answer.status == 304 and validators is not None:
            self.counts.add(not_modified=1)
            return Page(None, validators, url)
        _check_status(answer)
        version = Validators(answer.headers.get("ETag"), answer.headers.get("Last-Modified"))
        return Page(answer.body, version, self._canonical_url(answer.url))

    def get_picture(self, url: str, referer: str) -> bytes:
        """The file at `url`, byte for byte as the server holds it. Raises like `get_page`."""
        headers = self._referer(referer) | {"Accept-Encoding": "identity"}
        answer = self._get(url, headers, self.config.max_body_bytes)
        _check_status(answer)
        return answer.body

    def _get(self, url: str, headers: dict[str, str], max_bytes: int) -> _Answer:
        return self._follow(self._network_url(url), headers, max_bytes, check=self._obey_robots)

    def _follow(
        self, url: str, headers: dict[str, str], max_bytes: int, check: Callable[[str], None] | None = None
    ) -> _Answer:
        """One request and its redirects, each hop looked at before it is asked."""
        hop = url
        for _ in range(self.config.max_redirects + 1):
            check_host(hop, self._base_url)
            if check is not None:
                check(hop)
            answer = self._retrying(self._try_once, hop, headers, max_bytes)
            if answer.redirect_url is None:
                return answer
            hop = answer.redirect_url
        raise DownloadFailed(
            f"{url}: more than {self.config.max_redirects} redirects", reason="too_many_redirects"
        )

    def _try_once(self, url: str, headers: dict[str, str], max_bytes: int) -> _Answer:
        timeouts = (self.config.connect_timeout_seconds, self.config.read_timeout_seconds)
        with self._turnstile.turn() as seconds_waited:
            self._admit(seconds_waited)
            asked_at = time.monotonic()
            try:
                request = (
                    requests.PreparedRequest()
                )  # without body, cookies, hooks, which `prepare` looks for
                request.prepare_method("GET")
                request.prepare_url(url, None)
                request.prepare_headers(self._headers | headers)
                with self._transport.send(request, True, timeouts, proxies=self._proxies) as response:
                    self._heed(response, asked_at)
                    return self._read(response, max_bytes)
            except ValueError as error:
                raise DownloadFailed(
                    f"{url} is, or leads to, no address: {error}", reason="http_error"
                ) from error
            except (requests.Timeout, ReadTimeoutError) as error:
                raise _unreachable(url, error, "timeout") from error
            except (ProtocolError, DecodeError) as error:
                raise _unreachable(url, error, "broken_body") from error
            except (requests.RequestException, HTTPError) as error:
                raise _unreachable(url, error) from error

    def _admit(self, seconds_waited: float) -> None:
        """Count a request that is about to be sent. Raises BudgetSpent where none is left."""
        with self._admission_lock:
            self._stopped_because = self._stopped_because or self._spent_budget()
            if self._stopped_because:
                raise BudgetSpent(self._stopped_because)
            self.counts.add(requests=1, seconds_waited=seconds_waited)

    def _spent_budget(self) -> str | None:
        minutes = (time.monotonic() - self._started) / 60
        spent = {"max_requests": self.counts.requests, "max_bytes": self.counts.bytes, "max_minutes": minutes}
        for name, amount in spent.items():
            limit = getattr(self.config, name)
            if limit is not None and amount >= limit:
                return f"{name}={limit} of this run are spent; the next run goes on from here"
        return None

    def _heed(self, response: requests.Response, asked_at: float) -> None:
        """Do as the answer asks before its body is read. Raises SourceUnreachable where it is to be tried again."""
        status = response.status_code
        if status in _PASSING_STATUSES:
            if status in _BUSY_STATUSES:
                self._turnstile.slow_down(asked_at)
            self._keep_quiet(response.headers.get("Retry-After"))
            raise _unreachable(response.url, f"status {status}")
        self._turnstile.speed_up()
        tags = response.raw.headers.getlist("X-Robots-Tag")
        if self.config.respect_robots and forbids_ai(tags, self._robot_name):
            raise DownloadFailed(
                f"{response.url} asks not to be used for AI (X-Robots-Tag: {', '.join(tags)})", reason="no_ai"
            )

    def _keep_quiet(self, retry_after: str | None) -> None:
        """Obey Retry-After, seconds or a date. Raises BudgetSpent where it is beyond the bound."""
        try:
            seconds = _RETRY_AFTER.parse_retry_after(retry_after) if retry_after else 0.0
        except InvalidHeader:
            seconds = 0.0
        if seconds <= self.config.max_retry_after_seconds:
            self._turnstile.keep_quiet(seconds)
            return
        self._stopped_because = (
            f"{self._base_url} asks for {seconds:.0f} s of quiet, more than "
            f"max_retry_after_seconds={self.config.max_retry_after_seconds}; run the crawl again after that"
        )
        raise BudgetSpent(self._stopped_because)

    def _read(self, response: requests.Response, max_bytes: int) -> _Answer:
        """The answer with its body, whole and within the bound; only that of a successful answer is read."""
        body = bytearray()
        if response.status_code == 200:
            _check_size(response, int(response.headers.get("Content-Length") or 0), max_bytes)
            for chunk in response.raw.stream(_CHUNK_BYTES, decode_content=True):
                body += chunk
                _check_size(response, len(body), max_bytes)
            self.counts.add(bytes=len(body))
        return _Answer(
            url=response.url,
            status=response.status_code,
            headers=response.headers,
            body=bytes(body),
            redirect_url=urljoin(response.url, _location(response)) if response.is_redirect else None,
        )

    def _count_retry(self, state: RetryCallState) -> None:
        seconds = state.next_action.sleep if state.next_action else 0.0
        self.counts.add(retries=1, seconds_waited=seconds)

    def _referer(self, url: str | None) -> dict[str, str]:
        return {"Referer": self._network_url(url)} if url else {}

    def _network_url(self, url: str) -> str:
        """The address to ask for a canonical one."""
        canonical = self.config.canonical_base_url
        return self._base_url + url.removeprefix(canonical) if url.startswith(canonical) else url

    def _canonical_url(self, network_url: str) -> str:
        """The address to remember a page by that was had from `network_url`."""
        if not network_url.startswith(self._base_url):
            return network_url
        return self.config.canonical_base_url + network_url.removeprefix(self._base_url)

    def _obey_robots(self, url: str) -> None:
        if not self.config.respect_robots:
            return
        with self._robots_lock:
            if self._robots is None:
                self._robots = self._read_robots()
        if not self._robots.can_fetch(url, self._robot_name):
            raise RobotsDenied(f"robots.txt of {self._base_url} forbids {url} to {self._robot_name}")

    def _read_robots(self) -> Protego:
        """RFC 9309: none (4xx) allows all; one that cannot be had stops the crawl."""
        answer = self._follow(f"{self._base_url}/robots.txt", {}, self.config.max_page_bytes)
        if 400 <= answer.status < 500:
            _logger.info("no robots.txt (status %d): all pages are allowed", answer.status)
        else:
            _check_status(answer)
        robots = Protego.parse(answer.body.decode("utf-8", errors="replace"))
        delay_seconds = robots.crawl_delay(self._robot_name)
        if delay_seconds and 1.0 / delay_seconds < self.config.requests_per_second:
            _logger.info("robots.txt asks for %s s between requests", delay_seconds)
            self._turnstile.set_rate(1.0 / delay_seconds)
        return robots

    @property
    def _robot_name(self) -> str:
        return self.config.user_agent.partition("/")[0]

    def _check_peer(self, host: str, peer: str) -> None:
        """A site given by an internal address may be internal; a public name must not lead there."""
        if not self._is_internal:
            check_peer(host, peer)


def _check_status(answer: _Answer) -> None:
    if answer.status != 200:
        reason = _REFUSED_STATUSES.get(answer.status, "http_error")
        raise DownloadFailed(f"{answer.url} answers with status {answer.status}", reason=reason)


def _check_size(response: requests.Response, num_bytes: int, max_bytes: int) -> None:
    if num_bytes > max_bytes:
        raise DownloadFailed(f"{response.url} is over {max_bytes} bytes", reason="too_large")


def _location(response: requests.Response) -> str:
    """Headers are read as Latin-1; an address with other letters is UTF-8."""
    return response.headers["Location"].encode("latin-1").decode("utf-8", errors="replace")


def _unreachable(url: str, cause: object, reason: str = "unreachable") -> SourceUnreachable:
    name = f"{type(cause).__name__}: " if isinstance(cause, Exception) else ""
    return SourceUnreachable(
        f"{url} cannot be reached ({name}{cause}); check the network, or point BOLID_SOURCE_URL at an address "
        "of the site that answers",
        reason=reason,
    )
