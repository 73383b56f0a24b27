"""People with line breaks, escape characters and accents in their names are crawled, chosen and forgotten as others."""

import unicodedata

import pytest
from fault_server import FaultySite
from small_crawls import Crawl, jpeg, people

from bolid_pipeline.cli.forgetting import forget
from bolid_pipeline.scraping.forgotten import forgotten_identities, remember_to_forget

NFD = unicodedata.normalize("NFD", "zoë_müller")


@pytest.fixture
def crawl(tmp_path):
    return Crawl(tmp_path / "data")


def identities(crawl):
    return {identity for (identity,) in crawl.rows("raw_photos", "identity")}


@pytest.mark.parametrize(
    ("slug", "identity"),
    [
        ("a\nnewline", "a%0Anewline"),
        ("a\u2028separator", "a%E2%80%A8separator"),
        ("bo\x1b]0;pwn\x07ris", "bo%1B]0;pwn%07ris"),
        (" anna\r", "anna%0D"),
        ("#anna", "#anna"),
        (NFD, "zoë_müller"),
        ("50%25off", "50%2525off"),
    ],
)
def test_who_is_forgotten_stays_away_whatever_the_slug(crawl, slug, identity):
    with FaultySite(people({slug: {"a": jpeg(1)}, "boris": {"b": jpeg(2)}})) as site:
        crawl.run(site)
        assert identities(crawl) == {identity, "boris"}
        forget(crawl.data_dir, identity)
        crawl.run(site)
    assert identities(crawl) == {"boris"}
    assert forgotten_identities(crawl.data_dir) == {identity}


@pytest.mark.parametrize("spelling", ["zoë_müller", NFD, "Zoë Müller", "ZOË-MÜLLER"])
def test_a_person_is_forgotten_blocked_and_chosen_by_any_spelling(crawl, tmp_path, spelling):
    pages = people({NFD: {"a": jpeg(1)}, "boris": {"b": jpeg(2)}})
    with FaultySite(pages) as site:
        crawl.run(site, included_identities=frozenset({spelling}))
        assert identities(crawl) == {"zoë_müller"}
        blocked = Crawl(tmp_path / "blocked")
        blocked.run(site, excluded_identities=frozenset({spelling}))
        assert identities(blocked) == {"boris"}
        remembered = Crawl(tmp_path / "remembered")
        remember_to_forget(remembered.data_dir, spelling)
        remembered.run(site)
        assert identities(remembered) == {"boris"}


@pytest.mark.parametrize(
    "text",
    [
        b"anna\r\nboris\r\n",
        b"\xef\xbb\xbfanna\n\n  boris",
        b"Anna\nBORIS \n",
        b"fran\xe7ois\nanna\nboris\n",
    ],
)
def test_the_list_of_the_forgotten_may_be_edited_by_hand(crawl, text):
    crawl.data_dir.mkdir()
    (crawl.data_dir / "forgotten.txt").write_bytes(text)
    with FaultySite(people({who: {who: jpeg(n)} for n, who in enumerate(["anna", "boris", "carl"])})) as site:
        crawl.run(site)
    assert identities(crawl) == {"carl"}
    remember_to_forget(crawl.data_dir, "dora")
    assert {"anna", "boris", "dora"} <= {who.casefold() for who in forgotten_identities(crawl.data_dir)}


def test_a_block_list_counts_more_than_a_wish_and_says_so(crawl, caplog):
    remember_to_forget(crawl.data_dir, "boris")
    with FaultySite(people({who: {who: jpeg(n)} for n, who in enumerate(["anna", "boris", "carl"])})) as site:
        crawl.run(
            site,
            included_identities=frozenset({"Anna", "boris", "carl", "ana"}),
            excluded_identities=frozenset({"anna"}),
        )
    assert identities(crawl) == {"carl"}
    assert [
        record.getMessage() for record in caplog.records if "is to be crawled" in record.getMessage()
    ] == [
        "Anna is to be crawled, but is forgotten, blocked or excluded, which counts more",
        "ana is to be crawled, but the source has nobody of that name; did you mean anna?",
        "boris is to be crawled, but is forgotten, blocked or excluded, which counts more",
    ]


def test_two_spellings_of_one_name_are_one_person_and_the_second_is_named(crawl, caplog):
    nfc = unicodedata.normalize("NFC", NFD)
    with FaultySite(people({nfc: {"a": jpeg(1)}, NFD: {"b": jpeg(2)}})) as site:
        crawl.run(site)
    assert identities(crawl) == {nfc}
    assert "is left out: zoë_müller is the name of" in caplog.text


def test_no_table_and_no_report_holds_a_raw_name(crawl, caplog):
    pages = people({"bo\x1b]0;pwn\x07ris\u202e": {"a": jpeg(1)}, "an\nna": {}})
    with FaultySite(pages) as site:
        said = str(crawl.run(site)) + caplog.text
    texts = [
        value
        for table in ("identity_catalogue", "raw_photos", "photo_pages", "rejected_downloads")
        for row in crawl.tables.read(table).to_pylist()
        for value in row.values()
        if isinstance(value, str)
    ]
    assert not [text for text in texts if not text.isprintable()]
    assert "\x1b" not in said
