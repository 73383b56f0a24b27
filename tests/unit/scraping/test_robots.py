"""What a site asks of robots in headers and meta tags; tests/unit/scraping/test_client_manners.py has robots.txt."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import pytest

from bolid_pipeline.errors import DownloadFailed
from bolid_pipeline.scraping.robots import check_headers, check_meta_tags

URL = "https://gallery.example/photo"


def refusal_if(is_forbidden: bool) -> AbstractContextManager[Any]:
    return pytest.raises(DownloadFailed, match="not to be used for AI") if is_forbidden else nullcontext()


@pytest.mark.parametrize(
    ("headers", "is_forbidden"),
    [
        ([], False),
        (["noindex, nofollow"], False),
        (["noai"], True),
        (["NoImageAI"], True),
        (["noindex, noai, nofollow"], True),
        (["max-snippet: 5, noai"], True),
        (["unavailable_after: 25 Jun 2030 15:00:00 PST"], False),
        (["bolid-crawler: noai"], True),
        (["BoLID-crawler: noindex, noimageai"], True),
        (["*: noai"], True),
        (["otherbot: noai, noimageai"], False),
        (["otherbot: noai", "noimageai"], True),
        (["otherbot: noindex", "bolid-crawler: noai"], True),
    ],
)
def test_what_is_not_for_ai_is_known_by_its_header(headers, is_forbidden):
    with refusal_if(is_forbidden) as failure:
        check_headers(URL, headers, "BoLID-crawler")
    assert not is_forbidden or failure.value.reason == "no_ai"


@pytest.mark.parametrize(
    ("tags", "is_forbidden"),
    [
        ([], False),
        ([("robots", "noindex, nofollow")], False),
        ([("robots", "noindex, NoAI")], True),
        ([("Robots", "noimageai")], True),
        ([("bolid-crawler", "noai")], True),
        ([("otherbot", "noai")], False),
        ([("description", "noai"), ("robots", "noai")], True),
    ],
)
def test_what_is_not_for_ai_is_known_by_its_meta_tags(tags, is_forbidden):
    with refusal_if(is_forbidden) as failure:
        check_meta_tags(URL, tags)
    assert not is_forbidden or failure.value.reason == "no_ai"
