"""A form that captions are filled into, read from `slots.json`.

    {
      "slots": {"camera": ["a full-length photo", ...], "height": ["short", ...], "bottom": ["skirt", ...],
      ...}, "unsaid": ["medium-height", "average", "plain"], "caption": [
        {"text": "{camera} of a(n) {height} {build} {sex} with {hair}, wearing a(n) {top_colour} {top}"},
        {"text": " and a(n) {bottom_colour} {bottom}", "when": {"bottom": ["skirt"]}, "unless": {"top":
        ["dress"]}}, {"text": ", {background}"}
      ]
    }

`slots` names every slot and its phrases. `caption` is the sentence in pieces, in order. A piece is part of the caption
if each slot in `when` (optional) has one of the phrases listed there, and no slot in `unless` (optional) does. In its
text, `{slot}` stands for the slot's phrase, or for nothing if the phrase is one of `unsaid`; `a(n)` becomes "a" or
"an", as the next word asks; several blanks become one.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bolid_pipeline.errors import ConfigurationError

_ARTICLE = re.compile(r"\b([aA])\(n\) +(\w)")


@dataclass(frozen=True)
class CaptionPiece:
    """A part of the sentence, and the conditions under which it belongs to a caption."""

    text: str
    when: Mapping[str, frozenset[str]]
    unless: Mapping[str, frozenset[str]]

    def is_said(self, choice: Mapping[str, str]) -> bool:
        """True if the piece belongs to the caption of this choice of phrases."""
        return all(choice[slot] in phrases for slot, phrases in self.when.items()) and not any(
            choice[slot] in phrases for slot, phrases in self.unless.items()
        )


@dataclass(frozen=True)
class CaptionForm:
    """Slots with their phrases, and the sentence that they fill."""

    slots: Mapping[str, tuple[str, ...]]
    unsaid: frozenset[str]
    pieces: tuple[CaptionPiece, ...]

    def compose(self, choice: Mapping[str, str]) -> str:
        """The caption for one phrase per slot."""
        said = {slot: "" if phrase in self.unsaid else phrase for slot, phrase in choice.items()}
        text = "".join(piece.text.format_map(said) for piece in self.pieces if piece.is_said(choice))
        single = re.sub(r" {2,}", " ", text).replace(" ,", ",").strip()
        return _ARTICLE.sub(_with_article, single)


def read_form(path: Path) -> CaptionForm:
    """The form of a `slots.json`. Raises ConfigurationError if it is missing or does not hold together."""
    try:
        content: dict[str, Any] = json.loads(path.read_text())
        form = CaptionForm(
            slots={slot: tuple(phrases) for slot, phrases in content["slots"].items()},
            unsaid=frozenset(content.get("unsaid", ())),
            pieces=tuple(
                CaptionPiece(piece["text"], _conditions(piece, "when"), _conditions(piece, "unless"))
                for piece in content["caption"]
            ),
        )
        form.compose({slot: phrases[0] for slot, phrases in form.slots.items()})
    except FileNotFoundError:
        raise ConfigurationError(f"no caption form at {path}") from None
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise ConfigurationError(f"{path} is no caption form: {error!r}") from error
    return form


def _conditions(piece: dict[str, Any], name: str) -> dict[str, frozenset[str]]:
    return {slot: frozenset(phrases) for slot, phrases in piece.get(name, {}).items()}


def _with_article(match: re.Match[str]) -> str:
    article, letter = match.groups()
    return f"{article}{'n' if letter.lower() in 'aeiou' else ''} {letter}"
