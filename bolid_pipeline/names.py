r"""People's names as text: the identity that tables hold, the name that people read, and what may reach a terminal.

A name comes from outside (a site's slug, a folder's name, an option) and may hold anything. An identity is NFC text
without control, format (among them bidi) and surrogate characters: these are written as percent escapes of their bytes,
`a\nb` as `a%0Ab`.
"""

import re
import unicodedata
from collections.abc import Iterable
from difflib import get_close_matches
from html import escape
from itertools import pairwise
from pathlib import Path

_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Categories of characters that are not shown as themselves: controls, format, surrogates, line separators."""

_WITHOUT_BLANKS = re.compile(
    r"CJK|HIRAGANA|KATAKANA|HANGUL|BOPOMOFO|IDEOGRAPHIC|THAI|LAO|KHMER|MYANMAR|TIBETAN|JAVANESE|BALINESE|TAI|NEW TAI"
)
"""Begins the Unicode name of a letter whose script puts no blanks between words, or (Korean) none before particles."""

_LITERAL_ESCAPE = re.compile("%(?=[0-9A-Fa-f]{2})")
_BLANKS = " \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
_NAMELESS = "%20"
"""The identity of a name that is empty or blank."""


def as_identity(text: str) -> str:
    """The identity that a user means by a text; never empty, and an identity stays as it is."""
    name = unicodedata.normalize("NFC", text).strip(_BLANKS)
    if name and name.isprintable():
        return name
    # A mark that combines with the escaped character would combine with the escape's last letter instead.
    escaped = [_is_unsafe(char) for char in name]
    for i, (before, _) in enumerate(pairwise(escaped), start=1):
        escaped[i] |= before and unicodedata.combining(name[i]) > 0
    return "".join(map(_written, name, escaped)) or _NAMELESS


def identity_of_name(name: str) -> str:
    """The identity of a person whom a source calls so; a literal `%0A` is told from an escaped line break."""
    return as_identity(_LITERAL_ESCAPE.sub("%25", name))


def identity_of_path(path: str | Path) -> str:
    """The identity of a person's folder; bytes that are not UTF-8 become percent escapes."""
    return identity_of_name(Path(path).name)


def same_name(name: str) -> str:
    """The key by which two spellings are one name, of lower-case words with single spaces between them.

    Case, `ß` and `ss`, full-width letters, and what stands between words (`_`, `-`, a blank) make no difference.
    """
    plain = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", as_identity(name)).casefold())
    words = "".join(char if _is_of_a_word(char) else " " for char in plain).split()
    return " ".join(words) or plain


def find_name(names: Iterable[str], text: str) -> str | None:
    """The name that stands in a text as whole words, in any spelling; the longest if there are several, None for none.

    Scripts without blanks between words need none around the name either, if it has two letters or more.
    """
    words = same_name(text)
    found = [name for name in names if _stands_in(same_name(name), words)]
    return max(found, key=len, default=None)


def did_you_mean(name: str, known: Iterable[str]) -> str | None:
    """A question that offers up to three names like this one; None if none is like it.

    Letters of two scripts may look alike (Latin and Cyrillic `a`); then both names are shown in ASCII as well.
    """
    near = get_close_matches(name, list(known), n=3, cutoff=0.4)
    shown = [
        each if _scripts(each) == _scripts(name) else f"{each} ({name!a} is not {each!a})" for each in near
    ]
    return f"did you mean {', '.join(shown)}?" if shown else None


def display_name(text: str) -> str:
    """A name for people to read: NFC, single blanks, unsafe characters as escapes."""
    return printable(" ".join(unicodedata.normalize("NFC", text).split()))


def printable(text: str) -> str:
    r"""A text that may reach a terminal or a log: controls, bidi characters and line breaks as `\x1b`, `\n`."""
    if text.isprintable():
        return text
    return "".join(ascii(char)[1:-1] if _is_unsafe(char) else char for char in text)


def as_markdown(text: str) -> str:
    """A text as Markdown and HTML show it, whatever it holds."""
    return escape(re.sub(r"([\\`*_{}\[\]#|~!])", r"\\\1", printable(text)))


def _is_unsafe(char: str) -> bool:
    return unicodedata.category(char) in _UNSAFE


def _is_of_a_word(char: str) -> bool:
    category = unicodedata.category(char)
    return category[0] in "LMN" or category == "So"  # letters, marks, digits; emoji


def _stands_in(name: str, words: str) -> bool:
    """True if a name stands in a text with word boundaries on both sides; both as `same_name` writes them."""
    start = words.find(name)
    while start >= 0:
        end = start + len(name)
        before, after = words[max(0, start - 1) : start], words[end : end + 1]
        has_letters = len(name) > 1
        if _is_boundary(before, name[0], has_letters) and _is_boundary(name[-1], after, has_letters):
            return True
        start = words.find(name, start + 1)
    return False


def _is_boundary(left: str, right: str, needs_no_blank: bool) -> bool:
    """True if a word may end between two characters, each of which may be missing."""
    if left in ("", " ") or right in ("", " "):
        return True
    if unicodedata.category(right)[0] == "M":
        return False
    return needs_no_blank and (_is_without_blanks(left) or _is_without_blanks(right))


def _is_without_blanks(char: str) -> bool:
    is_emoji = unicodedata.category(char) == "So"
    return is_emoji or _WITHOUT_BLANKS.match(unicodedata.name(char, "")) is not None


def _scripts(name: str) -> set[str]:
    """The scripts of a name's letters, by the first word of the letters' Unicode names."""
    return {unicodedata.name(char, "").partition(" ")[0] for char in name if char.isalpha()}


def _written(char: str, is_escaped: bool) -> str:
    """The character, or its bytes as percent escapes; os.fsdecode holds a byte that is not UTF-8 as a surrogate."""
    if not is_escaped:
        return char
    is_raw_byte = "\udc80" <= char <= "\udcff"
    data = char.encode("utf-8", "surrogateescape" if is_raw_byte else "surrogatepass")
    return "".join(f"%{byte:02X}" for byte in data)
