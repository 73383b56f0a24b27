"""The closed sets of words by which a crawl says what became of galleries and photos."""

from bolid_pipeline.images import REFUSALS

IDENTITY_STATUSES = frozenset(
    {"listed", "too_few_photos", "empty", "not_a_person", "vanished", "unreachable"}
)
"""`identity_catalogue.status`: only the photos of `listed` ones are fetched."""

RETRIED_REASONS = frozenset(
    {"unreachable", "layout_changed", "robots_denied", "forbidden", "http_error", "too_many_redirects"}
)
"""Reasons that say nothing about the photo: the next crawl tries again."""

REJECTION_REASONS = (
    REFUSALS
    | RETRIED_REASONS
    | {"not_found", "too_large", "foreign_host", "duplicate_photo", "photo_of_another_identity"}
)
"""`rejected_downloads.reason`."""
