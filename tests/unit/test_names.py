"""Names from outside: one spelling each, nothing in them that a list, a terminal or a path would obey."""

import os
import re
import unicodedata
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bolid_pipeline.errors import BolidError, DownloadFailed, UnknownIdentity
from bolid_pipeline.names import (
    as_identity,
    as_markdown,
    display_name,
    identity_of_name,
    identity_of_path,
    printable,
    same_name,
)

_UNSAFE = {"Cc", "Cf", "Cs", "Zl", "Zp"}
_AWKWARD = "%0ACc25 \n\r\x1b\x07\x00\u0301\u0308\u200c\u202e\ufeff\udce9\udcc3\ud800ae"
_BLANKS = "".join(char for char in map(chr, range(0x10000)) if unicodedata.category(char) == "Zs")
names = st.text(st.characters() | st.sampled_from(_AWKWARD), max_size=12)


def test_names_are_one_spelling_and_hold_nothing_raw() -> None:
    assert as_identity(unicodedata.normalize("NFD", "zoë_müller")) == "zoë_müller"
    assert as_identity("  anna\u00a0\u3000") == "anna"
    assert as_identity("a\nb") == "a%0Ab"
    assert as_identity("bo\x1b]0;pwn\x07ris") == "bo%1B]0;pwn%07ris"
    assert as_identity("anna\u202egnp") == "anna%E2%80%AEgnp"
    assert as_identity("a\u2028b") == "a%E2%80%A8b"
    assert as_identity("") == as_identity("  ") == "%20"


@given(names)
@example("\u200c\u0301x")
@example("C\n\u0301")
def test_an_identity_is_normalised_printable_and_stays_as_it_is(name: str) -> None:
    for identity in (as_identity(name), identity_of_name(name)):
        assert identity
        assert identity == identity.strip()
        assert unicodedata.is_normalized("NFC", identity)
        assert not {unicodedata.category(char) for char in identity} & _UNSAFE
        assert as_identity(identity) == identity
        identity.encode()


@given(names, names)
@example("a\nb", "a%0Ab")
@example("a%0Ab", "a%250Ab")
@example("fran\udce7ois", "fran%E7ois")
def test_two_names_of_a_source_share_an_identity_only_if_they_are_one_text(first: str, second: str) -> None:
    if identity_of_name(first) == identity_of_name(second):
        assert _text(first) == _text(second)


@given(names)
def test_the_normal_forms_of_a_name_are_one_identity(name: str) -> None:
    assert identity_of_name(unicodedata.normalize("NFD", name)) == identity_of_name(name)


def test_a_percent_sign_that_escapes_nothing_stays() -> None:
    assert identity_of_name("100% anna") == "100% anna"
    assert identity_of_name("50%25") == "50%2525"


def test_a_folder_that_is_not_utf8_has_an_identity(tmp_path: Path) -> None:
    raw = os.fsencode(tmp_path) + b"/fran\xe7ois"
    Path(os.fsdecode(raw)).mkdir()
    assert identity_of_path(os.fsdecode(raw)) == "fran%E7ois"
    assert [identity_of_path(folder) for folder in tmp_path.iterdir()] == ["fran%E7ois"]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("Anna Bell", "anna_bell"),
        ("anna-bell", "anna_bell"),
        ("Groß", "GROSS"),
        ("ＡＮＮＡ", "anna"),
        ("zoe\u0308", "ZOË"),
    ],
)
def test_spellings_of_one_name_are_told_to_be_one(first: str, second: str) -> None:
    assert same_name(first) == same_name(second)


@pytest.mark.parametrize(
    ("first", "second"),
    [("anna", "annabell"), ("anna_1", "anna_2"), ("रमा", "राम"), ("की", "का"), ("zoe", "zoë"), ("🙂", "🙃")],
)
def test_different_names_stay_different(first: str, second: str) -> None:
    assert same_name(first) != same_name(second)


@given(names)
def test_a_printable_text_holds_nothing_that_a_terminal_obeys(text: str) -> None:
    for shown in (printable(text), display_name(text)):
        assert not {unicodedata.category(char) for char in shown} & _UNSAFE
        assert printable(shown) == shown


@given(names)
def test_no_name_is_markup(text: str) -> None:
    shown = as_markdown(text)
    assert not {unicodedata.category(char) for char in shown} & _UNSAFE
    assert not re.search(r"(?<!\\)(?:\\\\)*[`*_\[\]#|<>]", shown.replace("&#x27;", ""))


def test_the_message_of_an_error_is_one_safe_line() -> None:
    message = "no \x1b]0;pwn\x07 in\nforged line \u202e"
    for error in (BolidError(message), UnknownIdentity(message), DownloadFailed(message, reason="forbidden")):
        assert str(error) == "no \\x1b]0;pwn\\x07 in\\nforged line \\u202e"


def _text(name: str) -> bytes:
    """The bytes of a name in one normal form and without blanks at its ends."""
    return b"".join(
        char.encode("utf-8", "surrogateescape" if "\udc80" <= char <= "\udcff" else "surrogatepass")
        for char in unicodedata.normalize("NFC", name).strip(_BLANKS)
    )
