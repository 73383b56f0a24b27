"""User and password of an address are hidden in whatever form they stand there, and nothing else is."""

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bolid_pipeline.errors import ScrapingError
from bolid_pipeline.redaction import split_login, without_logins

WORD = st.from_regex(r"[A-Za-z0-9.%~+=!*]+", fullmatch=True)
PASSWORD = st.from_regex(r"[A-Za-z.%~+=!*][A-Za-z0-9.%~+=!*/@:#?]*", fullmatch=True)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://me:secret@host/x is gone", "http://***@host/x is gone"),
        ("'https://me:secret@host:80'", "'https://***@host:80'"),
        ("(http://token@host)", "(http://***@host)"),
        ("s3://KEY:sec/ret@bucket", "s3://***@bucket"),
        ("http://me:p@ss@host", "http://***@host"),
        ("a http://me:x@a and http://me:y@b", "a http://***@a and http://***@b"),
        ("http://host:8600/@page", "http://host:8600/@page"),
        ("https://host/a@b:c", "https://host/a@b:c"),
        ("file:///home/me@work/a:b@c", "file:///home/me@work/a:b@c"),
        ("contact me@example.org", "contact me@example.org"),
    ],
)
def test_only_user_and_password_are_hidden(text: str, shown: str) -> None:
    assert without_logins(text) == shown


@given(WORD, PASSWORD)
def test_an_address_is_split_from_its_user_and_password(user: str, password: str) -> None:
    address = f"https://{user}:{password}@gallery.example/photos"
    assert split_login(address) == ("https://gallery.example/photos", f"{user}:{password}")
    assert without_logins(f"{address} is gone") == "https://***@gallery.example/photos is gone"


@pytest.mark.parametrize("address", ["https://host/@me", "http://host:80/@me", "/home/me@work", "~/a:b@c"])
def test_an_address_without_user_stays_as_it_is(address: str) -> None:
    assert split_login(address) == (address, None)


def test_no_error_shows_a_password_also_not_after_a_trip_to_another_process() -> None:
    error = ScrapingError("http://me:secret@host/x cannot be reached", reason="unreachable")
    for each in (error, pickle.loads(pickle.dumps(error))):  # noqa: S301 - our own
        assert str(each) == "http://***@host/x cannot be reached"
