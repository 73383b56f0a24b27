"""Limits and manners of a crawl."""

import base64
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    NonNegativeFloat,
    NonNegativeInt,
    PlainSerializer,
    PositiveFloat,
    PositiveInt,
)
from requests import PreparedRequest

from bolid_pipeline.images.decoding import MAX_PIXELS
from bolid_pipeline.names import as_identity
from bolid_pipeline.redaction import split_login
from bolid_pipeline.settings import Field, settings

THEPLACE_URL = "https://www.theplace.ru"
BODYWORLD_URL = "https://bodyworld.invalid"
"""The address under which pages of the stand-in are remembered, because its port changes from run to run."""

DEFAULT_USER_AGENT = "BoLID-crawler/0.1 (research data set)"
"""Without a contact, which is fine on loopback and gives a warning for any other site."""


def check_site_url(url: str) -> str:
    """The address of a site, if it is one. Raises ValueError."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise ValueError(f"the address of a site begins with http:// or https://, such as {THEPLACE_URL}")
    if parts.query or parts.fragment:
        raise ValueError("the address of a site has no ? and no #")
    if split_login(url)[1] is not None:
        raise ValueError("user and password belong into `login`")
    PreparedRequest().prepare_url(url, None)  # looks at host and port as the client will
    return url


def _check_header(text: str) -> str:
    if not text.strip() or not (text.isascii() and text.isprintable()):
        raise ValueError("it goes into a header, which takes ASCII letters and signs")
    return text


SiteUrl = Annotated[str, AfterValidator(check_site_url)]
HeaderText = Annotated[str, AfterValidator(_check_header)]


def _as_identities(names: frozenset[str]) -> frozenset[str]:
    return frozenset(map(as_identity, names))


Identities = Annotated[
    frozenset[str],
    AfterValidator(_as_identities),
    PlainSerializer(sorted, return_type=list[str], when_used="json"),
]
"""People, in any spelling of their names (`names.same_name`)."""


@settings
class CrawlBounds:
    """Limits on what is taken from a source."""

    included_identities: Identities | None = None
    """The only people to crawl; None for everyone."""
    excluded_identities: Identities = frozenset()
    """People never to be crawled, in addition to everyone who was forgotten."""
    order: Literal["alphabetical", "random"] = "alphabetical"
    """Order of the people, by identity or shuffled by `seed`; it matters if not everybody is taken."""
    seed: int = 0
    """Seed of the random order, which is the same from crawl to crawl."""
    max_identities: NonNegativeInt | None = None
    """Most people with enough photos, in `order`; None for all."""
    min_photos: NonNegativeInt = 2
    """Galleries that state or list fewer photos are marked `too_few_photos` and not fetched."""
    max_photos_per_identity: NonNegativeInt | None = None
    """Most stored photos of a person, in the gallery's order; None for all."""
    max_gallery_pages: PositiveInt = 500
    """Grid pages followed per gallery; the largest known gallery has 170."""
    unlisted_recheck_days: NonNegativeFloat = 7.0
    """Days, on average, until a gallery that was too small or showed no person is looked at again."""
    min_side_px: NonNegativeInt = 16
    """Pictures with a shorter side are spacers or icons, refused as `too_small`; the curation asks for more."""
    max_pixels: PositiveInt = MAX_PIXELS
    """Pictures of more pixels are refused as `too_many_pixels` before they are decoded."""
    min_placeholder_pages: Annotated[int, Field(ge=2)] = 3
    """The same bytes behind this many photo pages are a placeholder; at least 2."""
    max_failures_in_a_row: PositiveInt = 5
    """Failures of the site (no connection, 5xx, 429) in a row after which a person is left to the next run; if they
    come from several people, the crawl ends."""
    max_refusals_in_a_row: PositiveInt = 10
    """The same for pages that are refused (403, robots.txt, no picture); these end a crawl only if nothing has
    succeeded before."""
    photos_per_commit: PositiveInt = 64
    """Photos (or galleries) whose rows are committed together; a killed crawl fetches none of them again."""


@settings
class CrawlConfig(CrawlBounds):
    """Bounds and manners of a crawl over HTTP."""

    base_url: SiteUrl = THEPLACE_URL
    """Address that answers: the site, a mirror, or the stand-in on loopback; no other host is reached."""
    canonical_url: SiteUrl | None = None
    """Address that pages are remembered by, whatever answers for it; None for `base_url` itself."""
    requests_per_second: Annotated[float, Field(ge=1e-5)] = 2.0
    """Most requests per second to the host, one a day at least; a longer crawl-delay in robots.txt wins."""
    max_concurrency: PositiveInt = 4
    """Most requests in flight to the host at any moment."""
    user_agent: HeaderText = DEFAULT_USER_AGENT
    """Name of the crawler; the part before the slash is its name in robots.txt."""
    contact: HeaderText | None = None
    """Mail address or page by which whoever runs the site can reach you; sent behind the crawler's name."""
    login: str | None = Field(default=None, repr=False)
    """`user:password` of the site, percent escapes decoded; it is never shown or stored."""
    respect_robots: bool = True
    """Obey robots.txt; turn off only for a site of your own."""
    proxy_url: str | None = Field(default=None, repr=False)
    """HTTP proxy to go through; None for a direct connection. Like `login`, it is never shown or stored."""
    connect_timeout_seconds: PositiveFloat = 10.0
    """Longest wait for a connection."""
    read_timeout_seconds: PositiveFloat = 30.0
    """Longest silence of the server within an answer."""
    download_deadline_seconds: PositiveFloat = 120.0
    """Longest time for one answer, headers and body, however steadily it drips."""
    max_retries: NonNegativeInt = 4
    """Further tries after a connection error, a time-out, a broken body, 429 or 5xx."""
    backoff_seconds: NonNegativeFloat = 0.5
    """Longest wait before the first further try; doubled each time. The wait is drawn from 0 to that (full jitter)."""
    max_retry_after_seconds: NonNegativeFloat = 120.0
    """Longest Retry-After that is waited for; a longer one ends the run, and the next run goes on."""
    max_body_bytes: PositiveInt = 64 * 2**20
    """Longest picture that is read; longer ones are refused."""
    max_page_bytes: PositiveInt = 16 * 2**20
    """Longest page that is read, unpacked; longer ones are refused."""
    max_requests: NonNegativeInt | None = None
    """Requests that one run may send, further tries included; None for any number."""
    max_bytes: NonNegativeInt | None = None
    """Bytes of bodies after which a run sends no further request; None for any number."""
    max_minutes: NonNegativeFloat | None = None
    """Minutes after which a run sends no further request; None for any number."""
    max_redirects: NonNegativeInt = 5
    """Redirects followed per request, each to the same host only."""

    @property
    def has_budget(self) -> bool:
        """True if a run has a limit of requests, bytes or minutes."""
        return any(limit is not None for limit in (self.max_requests, self.max_bytes, self.max_minutes))

    @property
    def names_a_contact(self) -> bool:
        """False if nobody who reads the site's log could tell whose crawler it was."""
        return self.contact is not None or self.user_agent != DEFAULT_USER_AGENT

    @property
    def headers(self) -> dict[str, str]:
        """The headers of every request that say who asks."""
        contact = f" (contact: {self.contact})" if self.contact else ""
        login = base64.b64encode(self.login.encode()).decode() if self.login else None
        headers = {"User-Agent": f"{self.user_agent}{contact}"}
        return headers | ({"Authorization": f"Basic {login}"} if login else {})

    @property
    def canonical_base_url(self) -> str:
        """The address that pages are remembered by, without a slash at the end."""
        return (self.canonical_url or self.base_url).rstrip("/")
