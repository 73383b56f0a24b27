"""Answers of a vision-language model as captions: no empty ones, no refusals, no name of the person.

A caption that names the person would teach the words what the body branch is there for.
"""

import re

from bolid_pipeline.names import same_name

FALLBACK = "a photo of a person"
"""The caption of a photo whose answer says nothing."""

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")
_REFUSAL = re.compile(
    r"(i['\u2019]?m|i am)( really| very)? (sorry|unable|not able|not allowed)|(sorry|apologies|unfortunately)\b"
    r"|i (can['\u2019]?t|cannot|can not|won['\u2019]?t|will not|do not|don['\u2019]?t) "
    r"|as an ai\b|it['\u2019]?s not (possible|appropriate)|it is not (possible|appropriate)",
    re.IGNORECASE,
)
_OPENING = re.compile(
    r"(in )?(the|this) (image|photo|picture|photograph)( you (provided|shared|uploaded))?,? "
    r"(shows|depicts|features|captures|there is)\s+",
    re.IGNORECASE,
)
_MARKUP = re.compile(r"[*#`]+|^\s*[-\u2022]\s+", re.MULTILINE)


def as_caption(answer: str, identity: str | None = None) -> str | None:
    """The answer in one line, without what does not describe the photo; None if nothing is left.

    Args:
        answer: as the model wrote it.
        identity: the person of the photo, whose name becomes "the person".
    """
    text = " ".join(_MARKUP.sub(" ", answer).split())
    said = [sentence for sentence in _SENTENCE_END.split(text) if not _REFUSAL.match(sentence)]
    caption = (
        _OPENING.sub("", " ".join(said), count=1) if said and _OPENING.match(said[0]) else " ".join(said)
    )
    if identity is not None:
        caption = _without_name(caption, same_name(identity).split())
    return caption if any(char.isalpha() for char in caption) else None


def _without_name(caption: str, words: list[str]) -> str:
    """The caption with a full name replaced, and then also its parts, where they are written as names are."""
    full = re.compile(r"\b" + r"[\s_-]+".join(map(re.escape, words)) + r"\b", re.IGNORECASE)
    if not full.search(caption):
        return caption
    caption = full.sub("the person", caption)
    for word in words:
        if len(word) > 2:
            caption = re.sub(rf"\b{re.escape(word.capitalize())}\b", "the person", caption)
    return re.sub(r"(?:^|(?<=[.!?] ))the person", "The person", caption)
