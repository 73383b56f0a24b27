"""The closed sets of words by which a crawl says what became of galleries and photos."""

from bolid_pipeline.images import REFUSALS

SHARED = "photo_of_another_identity"
"""The very bytes are stored from somebody else's page: a wrong label, both are left out of the data set."""

UNLISTED_STATUSES = frozenset({"too_few_photos", "empty", "not_a_person", "no_ai"})
"""Galleries that were looked at and are not taken; they are looked at again now and then."""

IDENTITY_STATUSES = UNLISTED_STATUSES | {"listed", "vanished", "unreachable", "layout_changed"}
"""`identity_catalogue.status`: only the photos of `listed` ones are fetched."""

RETRIED_REASONS = frozenset(
    {
        "unreachable",  # no connection, or only 429 and 5xx
        "timeout",  # silence for longer than the read time-out
        "deadline",  # an answer that drips for longer than one may take
        "broken_body",  # a body shorter than stated, or badly packed
        "internal_address",  # the site's name leads into a private network
        "layout_changed",
        "robots_denied",
        "forbidden",
        "http_error",
        "too_many_redirects",
    }
)
"""Reasons that say nothing about the photo: the next crawl tries again."""

REJECTION_REASONS = (
    REFUSALS
    | RETRIED_REASONS
    | {
        "not_found",
        "no_ai",  # the page, or its headers, ask not to be used for AI
        "too_large",
        "too_small",
        "foreign_host",
        "duplicate_photo",  # the very bytes are stored from another page of the person
        SHARED,
        "placeholder",  # ... or come from so many pages that they are no photo of anyone
    }
)
"""`rejected_downloads.reason`."""
