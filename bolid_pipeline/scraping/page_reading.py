"""Pages from outside are parsed within limits of time and memory, and what a parser raises costs that page alone."""

from collections.abc import Callable
from typing import TypeVar

from bolid_pipeline.errors import DownloadFailed, LayoutChanged, ScrapingError, TookTooLong
from bolid_pipeline.workers import run_limited

_R = TypeVar("_R")

SECONDS_PER_PAGE = 10.0
"""Processor time for a page. The largest that a crawl accepts (16 MB) takes about two seconds."""

_SMALL_PAGE_BYTES = 64 * 2**10


def read_page(
    parse: Callable[[bytes, str], _R], html: bytes, page_url: str, seconds: float = SECONDS_PER_PAGE
) -> _R:
    """What a site's parser makes of a page.

    Args:
        parse: a function of a site's parsers, which may come from another module than ours.
        html: the page.
        page_url: its address.
        seconds: of processor time that it may take.

    Raises:
        LayoutChanged: the parser recognises nothing, or cannot cope with the page.
        DownloadFailed: `no_ai`, or `took_too_long`.
    """
    try:
        # A small page cannot cost much, even where libxml2's time grows with the square (the attributes of one tag:
        # 0.4 s for 64 KB). Most photo pages are small, and are spared the way to another process.
        if len(html) <= _SMALL_PAGE_BYTES:
            return parse(html, page_url)
        return run_limited(parse, html, page_url, seconds=seconds)
    except ScrapingError:
        raise
    except TookTooLong as error:
        raise DownloadFailed(f"{page_url}: reading the page {error}", reason="took_too_long") from error
    except Exception as error:
        raise LayoutChanged(
            f"{page_url}: {parse.__module__}.{parse.__qualname__} cannot read the page "
            f"({type(error).__name__}: {error})",
            page_url=page_url,
            html=html,
        ) from error
