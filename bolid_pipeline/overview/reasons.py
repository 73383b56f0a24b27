"""What every reason and status means, in words, and what to do about it."""

from collections.abc import Mapping
from dataclasses import dataclass
from string import Formatter
from typing import Any

from bolid_pipeline.images import refusals


@dataclass(frozen=True)
class Words:
    """A reason in words."""

    title: str
    """What is wrong with all photos of this reason."""
    advice: str
    """What to do about it."""
    detail: str = ""
    """What is known about one photo, as a format of its facts."""

    def about(self, facts: Mapping[str, Any]) -> str:
        """The reason in words for one photo, such as `several faces were found: 2`."""
        is_known = all(
            facts.get(name) is not None for _, name, _, _ in Formatter().parse(self.detail) if name
        )
        return self.detail.format_map(facts) if self.detail and is_known else self.title


_OTHER_SIDE = "The site did not give it. The next crawl tries again."
_SAVE_ANEW = "Open it in a picture viewer and save it as JPEG or PNG."
_ANOTHER_PERSON = Words(
    "the same picture stands under two people",
    "One of the two labels is wrong: keep the picture in the right person's folder alone.",
)

_OTHER_SOURCE = Words(
    "of another source than the one read last",
    "They stay and are not used. `bolid prune` deletes them; the setting curation.use_other_sources uses them.",
)


def _split(words: str) -> Words:
    """Words of the form `what is wrong: what to do`."""
    title, _, advice = words.partition(": ")
    return Words(title, f"{advice[0].upper()}{advice[1:]}." if advice else "Nothing, unless it is a photo.")


VERDICTS: Mapping[str, Words] = {
    "unreadable": Words("the file cannot be decoded", _SAVE_ANEW),
    "too_small": Words(
        "too small",
        "Use the original and not a copy that a messenger made smaller, or lower the setting curation.min_side_px.",
        "too small: {width_px} x {height_px} px, both sides need {min_side_px}",
    ),
    "photo_of_another_identity": _ANOTHER_PERSON,
    "watermarked": Words(
        "a watermark was found",
        "Use a copy without writing on it. If there is none on it, raise the setting curation.max_watermark_prob.",
        "a watermark was found: probability {watermark_prob:.2f}, at most {max_watermark_prob:g}",
    ),
    "no_person": Words(
        "no person was found",
        "Photos that show at least the upper body help; if one does, lower the setting people.person_conf.",
    ),
    "several_persons": Words(
        "several persons were found",
        "Cut the others off, or leave the photo out: the program cannot know which one is meant.",
        "several persons were found: {num_persons}",
    ),
    "several_faces": Words(
        "several faces were found",
        "Cut the others off; pictures on a wall or a shirt count too.",
        "several faces were found: {num_faces}",
    ),
    "too_few_photos": Words(
        "good, but the person has too few of them",
        "Add photos of this person, or lower the setting curation.min_photos_per_identity.",
        "good, but the person has {num_good} such photos and needs {min_photos_per_identity}",
    ),
    "other_source": _OTHER_SOURCE,
}
"""Reasons of `curated_photos`."""

REFUSALS: Mapping[str, Words] = {
    **{reason: _split(words) for reason, words in refusals.REFUSALS.items()},
    "too_large": Words("the file is too large", "Save it smaller."),
    "too_small": Words("the file is too small to be a photo", "Use the original."),
    "duplicate_photo": Words("a copy of another photo of the person", "Nothing: one of them is used."),
    "photo_of_another_identity": _ANOTHER_PERSON,
    "placeholder": Words("the site's stand-in for a missing photo", "Nothing."),
    "not_found": Words("it is gone", "Nothing, if you removed it."),
    "unreadable": Words("this machine could not read it", "The next refresh tries again."),
    "forbidden": Words("it may not be read", "Allow this user to read the file. The next crawl tries again."),
    "foreign_host": Words("it lies on another host or outside of the folder", "Copy it to the others."),
    "no_ai": Words("its page asks not to be used for AI", "Nothing: this is obeyed."),
    "robots_denied": Words("the site's robots.txt forbids it", "Nothing: this is obeyed."),
    "layout_changed": Words("no parser understands its page", "See docs/crawling.md, `Another site`."),
    "internal_address": Words("the site's name leads into a private network", _OTHER_SIDE),
    "unreachable": Words("the site was not reached", _OTHER_SIDE),
    "timeout": Words("the site was silent for too long", _OTHER_SIDE),
    "deadline": Words("the answer took too long", _OTHER_SIDE),
    "broken_body": Words("the answer came damaged", _OTHER_SIDE),
    "http_error": Words("the site answered with an error", _OTHER_SIDE),
    "too_many_redirects": Words("the site sent the crawler in circles", _OTHER_SIDE),
}
"""Reasons of `rejected_downloads`."""

STATUSES: Mapping[str, Words] = {
    "listed": Words("", ""),
    "too_few_photos": Words("too few photos", "Add photos, or lower the setting crawl.min_photos."),
    "empty": Words("no photos", "Put photos into the folder."),
    "not_a_person": Words("not a person", "Nothing."),
    "no_ai": Words("asks not to be used for AI", "Nothing: this is obeyed."),
    "vanished": Words("gone from the source", "Nothing, if you removed it."),
    "unreachable": Words("could not be read", _OTHER_SIDE),
    "layout_changed": Words("no parser understands the page", "See docs/crawling.md, `Another site`."),
    "robots_denied": Words("the site's robots.txt forbids it", "Nothing: this is obeyed."),
    "other_source": _OTHER_SOURCE,
}
"""Statuses of `identity_catalogue`."""


def words_for(words: Mapping[str, Words], reason: str) -> Words:
    """The words for a reason or status; those of a table that a newer version wrote are shown as they are."""
    return words.get(reason) or Words(reason.replace("_", " "), "")


def counted(count: int, one: str, several: str | None = None) -> str:
    """Such as `1 photo` and `2 photos`."""
    return f"{count} {one if count == 1 else several or f'{one}s'}"
