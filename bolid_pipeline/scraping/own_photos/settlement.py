"""What the tables must say of a folder's files: whose photo each is, and why the others are none. Pure functions."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from bolid_pipeline.scraping.outcomes import SHARED

_Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Settlement:
    """The files of a folder, sorted out."""

    owner_of: Mapping[str, _Row]
    """Photo id -> the file that the photo is stored from: of files with the same content, the first by address."""
    refused: Mapping[str, _Row]
    """Address -> row of `rejected_downloads`, without the time."""


def settle(files: Iterable[_Row], stored: Collection[str]) -> Settlement:
    """Sort out files; the result depends on what the files are and not on their order.

    Args:
        files: rows of `folder_files`; one that was never read counts for nothing.
        stored: ids of the photos in the photo store.
    """
    owner_of: dict[str, _Row] = {}
    refused: dict[str, _Row] = {}
    for file in sorted(files, key=lambda file: file["page_url"]):
        photo_id = file["sha256"]
        if file["reason"] is not None:
            refused[file["page_url"]] = _refusal(file, file["reason"], None)
        elif photo_id in stored and photo_id not in owner_of:
            owner_of[photo_id] = file
        elif photo_id in stored:
            is_own = owner_of[photo_id]["identity"] == file["identity"]
            refused[file["page_url"]] = _refusal(file, "duplicate_photo" if is_own else SHARED, photo_id)
    return Settlement(owner_of=owner_of, refused=refused)


def _refusal(file: _Row, reason: str, photo_id: str | None) -> _Row:
    return {
        "page_url": file["page_url"],
        "identity": file["identity"],
        "source_url": file["page_url"],
        "reason": reason,
        "photo_id": photo_id,
    }
