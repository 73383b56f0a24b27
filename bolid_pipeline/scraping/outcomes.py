"""The closed sets of words for the outcomes of galleries and photos."""

from bolid_pipeline.images.refusals import REFUSALS
from bolid_pipeline.records import OF_ANOTHER_IDENTITY, OTHER_SOURCE

SHARED = OF_ANOTHER_IDENTITY
"""The same bytes are stored from another person's page: one label is wrong, and the curation rejects both."""

UNLISTED_STATUSES = frozenset({"too_few_photos", "empty", "not_a_person", "no_ai"})
"""Galleries whose photos are not taken; they are looked at again now and then."""

IDENTITY_STATUSES = UNLISTED_STATUSES | {
    "listed",
    "vanished",
    "unreachable",
    "layout_changed",
    OTHER_SOURCE,
    "robots_denied",  # robots.txt forbids the gallery; whether it still does is looked up in each run
}
"""Values of `identity_catalogue.status`; only the photos of `listed` people are fetched."""

SITE_FAILURES = frozenset(
    {
        "unreachable",  # no connection, or only 429 and 5xx
        "timeout",  # silence for longer than the read time-out
        "deadline",  # an answer that drips for longer than one may take
        "broken_body",  # a body shorter than stated, or badly packed
        "internal_address",  # the site's name leads into a private network
    }
)
"""Reasons that speak of the site: many of them in a row end a crawl."""

RETRIED_REASONS = SITE_FAILURES | {
    "layout_changed",
    "robots_denied",
    "forbidden",
    "http_error",
    "too_many_redirects",
    "unreadable",  # a file of a folder that this machine cannot read now
}
"""Reasons that say nothing about the photo: the next crawl tries again."""

REJECTION_REASONS = (
    frozenset(REFUSALS)
    | RETRIED_REASONS
    | {
        "not_found",
        "no_ai",  # the page, or its headers, ask not to be used for AI
        "too_large",
        "too_small",
        "foreign_host",
        "duplicate_photo",  # the same bytes are stored from another page of the person
        SHARED,
        "placeholder",  # the same bytes come from so many pages that they stand for a missing photo
    }
)
"""Values of `rejected_downloads.reason`."""
