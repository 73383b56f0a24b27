"""What a crawl may take, and how gently."""

from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from bolid_pipeline.errors import ConfigurationError
from bolid_pipeline.images import MAX_PIXELS

THEPLACE_URL = "https://www.theplace.ru"
BODYWORLD_URL = "https://bodyworld.invalid"
"""The name that pages of the stand-in are remembered by: its port changes from run to run."""

DEFAULT_USER_AGENT = "BoLID-crawler/0.1 (research data set; contact: set CrawlConfig.user_agent)"
"""Names no contact: good for loopback, and a warning anywhere else."""


@dataclass(frozen=True, kw_only=True)
class CrawlBounds:
    """How much of a source is taken."""

    included_identities: frozenset[str] | None = None
    """The only people to crawl; None for everyone."""
    excluded_identities: frozenset[str] = frozenset()
    """People never to be crawled; nor is anyone who was forgotten."""
    order: Literal["alphabetical", "random"] = "alphabetical"
    """By identity, or shuffled by `seed`: who comes first where not everybody is taken."""
    seed: int = 0
    """Of the random order, which is the same from crawl to crawl."""
    max_identities: int | None = None
    """People with enough photos, in `order`; None for all."""
    min_photos: int = 2
    """Galleries that state or list fewer photos are marked `too_few_photos` and not fetched."""
    max_photos_per_identity: int | None = None
    """Stored photos per person, in the gallery's order; None for all."""
    max_gallery_pages: int = 500
    """Grid pages followed per gallery; the largest known gallery has 170."""
    unlisted_recheck_days: float = 7.0
    """After how many days, on average, a gallery that was too small or no person is looked at again."""
    min_side_px: int = 16
    """Pictures with a shorter side are spacers or icons, refused as `too_small`; the curation asks for more."""
    max_pixels: int = MAX_PIXELS
    """Pictures of more pixels are not decoded, and refused as `too_many_pixels`."""
    min_placeholder_pages: int = 3
    """The same bytes behind so many photo pages are no photo but a placeholder."""
    max_failures_in_a_row: int = 5
    """Galleries or photo pages that fail one after the other before the crawl gives up."""
    photos_per_commit: int = 64
    """Photos (or galleries) whose rows are committed together; a killed crawl fetches none of them again."""

    def __post_init__(self) -> None:
        for name in ("max_gallery_pages", "max_failures_in_a_row", "photos_per_commit"):
            if getattr(self, name) < 1:
                raise ConfigurationError(f"{name} is {getattr(self, name)}; it must be at least 1")
        if self.min_placeholder_pages < 2:
            raise ConfigurationError(
                f"min_placeholder_pages is {self.min_placeholder_pages}; one page alone is no repetition"
            )
        if self.order not in ("alphabetical", "random"):
            raise ConfigurationError(f"order is {self.order!r}; it is 'alphabetical' or 'random'")


@dataclass(frozen=True, kw_only=True)
class CrawlConfig(CrawlBounds):
    """Bounds and manners of a crawl over HTTP."""

    base_url: str = THEPLACE_URL
    """Address that answers: the site, a mirror, or the stand-in on loopback; no other host is reached."""
    canonical_url: str | None = None
    """Address that pages are remembered by, whatever answers for it; None for `base_url` itself."""
    requests_per_second: float = 2.0
    """Most requests per second to the host; a longer crawl-delay in robots.txt wins."""
    max_concurrency: int = 4
    """Most requests in flight to the host at any moment."""
    user_agent: str = DEFAULT_USER_AGENT
    """Name and contact of the crawler; the part before the slash is its name in robots.txt."""
    respect_robots: bool = True
    """Whether robots.txt is obeyed; turn off only for a site of your own."""
    proxy_url: str | None = None
    """HTTP proxy to go through; None for a direct connection (the environment's proxies are not used)."""
    connect_timeout_seconds: float = 10.0
    """Longest wait for a connection."""
    read_timeout_seconds: float = 30.0
    """Longest silence of the server within an answer."""
    download_deadline_seconds: float = 120.0
    """Longest time for one answer, headers and body, however steadily it drips."""
    max_retries: int = 4
    """Further tries after a connection error, a time-out, a broken body, 429 or 5xx."""
    backoff_seconds: float = 0.5
    """Longest wait before the first further try; doubled each time. The wait is drawn from 0 to that (full jitter)."""
    max_retry_after_seconds: float = 120.0
    """Longest Retry-After that is waited for; a longer one ends the run, and the next run goes on."""
    max_body_bytes: int = 64 * 2**20
    """Longest picture that is read; longer ones are refused."""
    max_page_bytes: int = 16 * 2**20
    """Longest page that is read, unpacked; longer ones are refused."""
    max_requests: int | None = None
    """Requests that one run may send, further tries included; None for any number."""
    max_bytes: int | None = None
    """Bytes of bodies after which a run sends no further request; None for any number."""
    max_minutes: float | None = None
    """Minutes after which a run sends no further request; None for any number."""
    max_redirects: int = 5
    """Redirects followed per request, each to the same host only."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for url in filter(None, (self.base_url, self.canonical_url)):
            if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).netloc:
                raise ConfigurationError(f"{url!r} is no http(s) address of a site, such as {THEPLACE_URL}")
        for name in ("requests_per_second", "download_deadline_seconds", "max_concurrency"):
            if getattr(self, name) <= 0:
                raise ConfigurationError(f"{name} is {getattr(self, name)}; it must be above 0")

    @property
    def has_budget(self) -> bool:
        """Whether a run may end before its end."""
        return any(limit is not None for limit in (self.max_requests, self.max_bytes, self.max_minutes))

    @property
    def canonical_base_url(self) -> str:
        """The address that pages are remembered by, without a slash at the end."""
        return (self.canonical_url or self.base_url).rstrip("/")
