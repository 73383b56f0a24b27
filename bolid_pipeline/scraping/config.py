"""What a crawl may take, and how gently."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from bolid_pipeline.errors import ConfigurationError

THEPLACE_URL = "https://www.theplace.ru"
BODYWORLD_URL = "https://bodyworld.invalid"
"""The name that pages of the stand-in are remembered by: its port changes from run to run."""


@dataclass(frozen=True, kw_only=True)
class CrawlBounds:
    """How much of a source is taken."""

    max_identities: int | None = None
    """People with enough photos, in the source's order; None for all."""
    min_photos: int = 2
    """Galleries that state or list fewer photos are marked `too_few_photos` and not fetched."""
    max_photos_per_identity: int | None = None
    """Stored photos per person, in the gallery's order; None for all."""
    max_gallery_pages: int = 500
    """Grid pages followed per gallery; the largest known gallery has 170."""
    max_failures_in_a_row: int = 5
    """Galleries or photo pages that fail one after the other before the crawl gives up."""
    photos_per_commit: int = 16
    """Photos (or galleries) whose rows are committed together: the most a killed crawl fetches again."""
    excluded_identities: frozenset[str] = frozenset()
    """Identities never to be crawled."""

    def __post_init__(self) -> None:
        for name in ("max_gallery_pages", "max_failures_in_a_row", "photos_per_commit"):
            if getattr(self, name) < 1:
                raise ConfigurationError(f"{name} is {getattr(self, name)}; it must be at least 1")


@dataclass(frozen=True, kw_only=True)
class CrawlConfig(CrawlBounds):
    """Bounds and manners of a crawl over HTTP."""

    base_url: str = THEPLACE_URL
    """Address that answers: the site, a mirror, or the stand-in on loopback; no other host is reached."""
    canonical_url: str | None = None
    """Address that pages are remembered by, whatever answers for it; None for `base_url` itself."""
    requests_per_second: float = 2.0
    """Most requests per second to the host; a longer crawl-delay in robots.txt wins."""
    user_agent: str = "BoLID-crawler/0.1 (research data set; contact: set CrawlConfig.user_agent)"
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
    """Longest time for one body, however steadily it drips."""
    max_retries: int = 4
    """Further tries after a connection error, a time-out, 429 or 5xx."""
    backoff_seconds: float = 0.5
    """Wait before the first further try; doubled each time, with jitter. A Retry-After header wins."""
    max_retry_after_seconds: int = 120
    """Longest Retry-After that is waited for."""
    max_body_bytes: int = 64 * 2**20
    """Longest body that is read; longer ones are refused."""
    max_redirects: int = 5
    """Redirects followed per request, each to the same host only."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for url in filter(None, (self.base_url, self.canonical_url)):
            if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).netloc:
                raise ConfigurationError(f"{url!r} is no http(s) address of a site, such as {THEPLACE_URL}")
        if self.requests_per_second <= 0:
            raise ConfigurationError(f"requests_per_second is {self.requests_per_second}; it must be above 0")

    @property
    def canonical_base_url(self) -> str:
        """The address that pages are remembered by, without a slash at the end."""
        return (self.canonical_url or self.base_url).rstrip("/")
