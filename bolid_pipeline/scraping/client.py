"""A polite HTTP client. Each rule of politeness has its own file; the client applies all of them to a request.

- `robots`: robots.txt is read first and obeyed, including a longer crawl-delay. If there is none (4xx), everything is
  allowed; if it cannot be read, nothing is. Answers marked `noai` or `noimageai` (X-Robots-Tag) are refused.
- `rate_limiter`: over all threads, further tries included, at most `max_concurrency` requests at once and
  `requests_per_second`, fewer for a while after 429 or 503. A host that asks for quiet (Retry-After) gets it; one that
  asks for longer than `max_retry_after_seconds` ends the run.
- `retries`: 429, 5xx, silence and broken connections are tried again after a growing wait with full jitter.
- `page_cache`: pages are asked for on the condition that they have changed.
- `addresses`: only the host of `base_url` is reached, through redirects and name resolution too.
- `answers`, `transport`: bodies have a largest size, as stated, as received and as unpacked, and a deadline.
- `run_budget`: a run has a budget of requests, bytes and minutes.
- A User-Agent with name and contact; pictures are asked for from their photo page (Referer) and unencoded.
"""

import logging
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

import requests
from urllib3 import BaseHTTPResponse
from urllib3.exceptions import DecodeError, HTTPError, ProtocolError, TimeoutError  # noqa: A004 - of connections

from bolid_pipeline.errors import BudgetSpent, DownloadFailed
from bolid_pipeline.scraping.addresses import SiteAddresses, check_host
from bolid_pipeline.scraping.answers import Answer, check_status, read_answer
from bolid_pipeline.scraping.config import CrawlConfig
from bolid_pipeline.scraping.page_cache import Page, Validators
from bolid_pipeline.scraping.rate_limiter import RateLimiter
from bolid_pipeline.scraping.retries import (
    BUSY_STATUSES,
    PASSING_STATUSES,
    make_retrying,
    retry_after_seconds,
    unreachable,
)
from bolid_pipeline.scraping.robots import RobotsTxt, check_headers
from bolid_pipeline.scraping.run_budget import RunBudget
from bolid_pipeline.scraping.transfer_counts import TransferCounts
from bolid_pipeline.scraping.transport import GuardedAdapter

_logger = logging.getLogger(__name__)


class PoliteClient:
    """Fetches pages and pictures of one site, from any number of threads; a context manager.

    It takes and returns canonical addresses (`CrawlConfig.canonical_url`), and asks `base_url` for them.
    """

    def __init__(self, config: CrawlConfig) -> None:
        self.config = config
        self.counts = TransferCounts()
        self._addresses = SiteAddresses(config.base_url, config.canonical_base_url)
        self._robot_name = config.user_agent.partition("/")[0]
        self._budget = RunBudget(config, self.counts)
        self._limiter = RateLimiter(config.requests_per_second, config.max_concurrency, self._budget.wait)
        self._robots = RobotsTxt(
            self._addresses.base_url, self._robot_name, self._fetch_robots, self._limiter
        )
        self._retrying = make_retrying(config, self._count_retry, self._budget.wait)
        # The transport alone: a requests.Session would add cookies, the shell's proxies and .netrc.
        self._transport = GuardedAdapter(
            deadline_seconds=config.download_deadline_seconds,
            connect_timeout_seconds=config.connect_timeout_seconds,
            read_timeout_seconds=config.read_timeout_seconds,
            check_peer=self._addresses.check_peer,
            num_connections=config.max_concurrency,
            proxy_url=config.proxy_url,
        )
        self._headers = config.headers | {"Accept-Encoding": "gzip, deflate", "Accept": "*/*"}
        if not (config.names_a_contact or self._addresses.is_internal):
            _logger.warning(
                "the crawler names no contact: set BOLID_CONTACT, or `bolid crawl --contact`, to a mail address or "
                "page, so that whoever runs %s can reach you",
                self._addresses.base_url,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def get_page(self, url: str, referer: str | None = None, validators: Validators | None = None) -> Page:
        """The HTML at `url`.

        Args:
            url: the page's address.
            referer: the page that links to it.
            validators: validators of the stored copy, if there is one.

        Raises:
            SourceUnreachable: `unreachable`, `timeout` or `broken_body`, after all further tries.
            DownloadFailed: the site will not give it; the reason says why.
            RobotsDenied: robots.txt forbids it.
            BudgetSpent: this run may send no more requests.
        """
        headers = self._referer(referer) | (validators.request_headers if validators else {})
        answer = self._get(url, headers, self.config.max_page_bytes)
        if answer.status == 304 and validators is not None:
            self.counts.add(not_modified=1)
            return Page(None, validators, url)
        check_status(answer)
        version = Validators(answer.headers.get("ETag"), answer.headers.get("Last-Modified"))
        return Page(answer.body, version, self._addresses.canonical(answer.url))

    def get_picture(self, url: str, referer: str) -> bytes:
        """The file at `url`, byte for byte as the server holds it. Raises like `get_page`."""
        headers = self._referer(referer) | {"Accept-Encoding": "identity"}
        answer = self._get(url, headers, self.config.max_body_bytes)
        check_status(answer)
        return answer.body

    def _get(self, url: str, headers: dict[str, str], max_bytes: int) -> Answer:
        check = self._robots.check if self.config.respect_robots else None
        return self._follow(self._addresses.on_network(url), headers, max_bytes, check)

    def _fetch_robots(self, url: str) -> bytes:
        answer = self._follow(url, {}, self.config.max_page_bytes)
        if 400 <= answer.status < 500:
            _logger.info("no robots.txt (status %d): all pages are allowed", answer.status)
            return b""
        check_status(answer)
        return answer.body

    def _follow(
        self, url: str, headers: dict[str, str], max_bytes: int, check: Callable[[str], None] | None = None
    ) -> Answer:
        """The answer to a request after its redirects; each address is checked before it is asked."""
        hop = url
        for _ in range(self.config.max_redirects + 1):
            check_host(hop, self._addresses.base_url)
            if check is not None:
                check(hop)
            answer = self._retrying(self._try_once, hop, headers, max_bytes)
            if answer.redirect_url is None:
                return answer
            hop = answer.redirect_url
        raise DownloadFailed(
            f"{url}: more than {self.config.max_redirects} redirects", reason="too_many_redirects"
        )

    def _try_once(self, url: str, headers: dict[str, str], max_bytes: int) -> Answer:
        with self._limiter.turn() as seconds_waited:
            self._budget.take_request(seconds_waited)
            asked_at = time.monotonic()
            try:
                with self._transport.get(url, self._headers | headers) as response:
                    self._obey(url, response, asked_at)
                    answer = read_answer(url, response, max_bytes)
            except ValueError as error:
                raise DownloadFailed(
                    f"{url} is, or leads to, an address that cannot be read: {error}", reason="http_error"
                ) from error
            except TimeoutError as error:
                raise unreachable(url, error, "timeout") from error
            except (ProtocolError, DecodeError) as error:
                raise unreachable(url, error, "broken_body") from error
            except (requests.RequestException, HTTPError) as error:
                raise unreachable(url, error) from error
            self.counts.add(bytes=len(answer.body))
            return answer

    def _obey(self, url: str, response: BaseHTTPResponse, asked_at: float) -> None:
        """Obey the status and the headers of an answer, before its body is read.

        Raises:
            SourceUnreachable: the request is to be tried again.
            DownloadFailed: `no_ai`.
            BudgetSpent: the host asks for too long a pause.
        """
        status = response.status
        if status in PASSING_STATUSES:
            if status in BUSY_STATUSES:
                self._limiter.slow_down(asked_at)
            self._keep_quiet(retry_after_seconds(response.headers.get("Retry-After")))
            raise unreachable(url, f"status {status}")
        self._limiter.speed_up()
        if self.config.respect_robots:
            check_headers(url, response.headers.getlist("X-Robots-Tag"), self._robot_name)

    def _keep_quiet(self, seconds: float) -> None:
        if seconds <= self.config.max_retry_after_seconds:
            self._limiter.keep_quiet(seconds)
            return
        reason = (
            f"{self._addresses.base_url} asks for {seconds:.0f} s of quiet, more than "
            f"max_retry_after_seconds={self.config.max_retry_after_seconds}; run the crawl again after that"
        )
        self._budget.stop(reason)
        raise BudgetSpent(reason)

    def _count_retry(self, seconds: float) -> None:
        self.counts.add(retries=1, seconds_waited=seconds)

    def _referer(self, url: str | None) -> dict[str, str]:
        return {"Referer": self._addresses.on_network(url)} if url else {}
