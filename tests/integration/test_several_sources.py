"""One data folder and several sources, one after the other: who came from where is known, and nothing is mixed up."""

import pyarrow.parquet as pq
import pytest
from fault_server import CANONICAL_URL, FaultySite
from small_crawls import Crawl, bodies, jpeg, people

from bolid_pipeline.scraping.origins import people_set_aside

OTHER_URL = "https://other.example"


@pytest.fixture
def crawl(tmp_path):
    return Crawl(tmp_path / "data")


def test_people_of_the_source_before_are_set_aside_and_keep_all_they_have(crawl):
    with FaultySite(people({"anna": {"a": jpeg(1), "b": jpeg(2)}})) as site:
        crawl.run(site)
    with FaultySite(people({"boris": {"c": jpeg(3)}})) as site:
        crawl.run(site, canonical_url=OTHER_URL)
    assert crawl.statuses == {"anna": "other_source", "boris": "listed"}
    assert crawl.rows("identity_catalogue", "identity", "source") == [
        ("anna", CANONICAL_URL),
        ("boris", OTHER_URL),
    ]
    assert len(crawl.stored) == 3
    assert crawl.catalogue.identities == {"other_source": 1, "listed": 1}
    assert not any(crawl.rows("photo_pages", "vanished_at")[0])
    assert people_set_aside(crawl.tables) == {"anna"}


def test_the_first_source_crawled_again_has_its_people_back_without_a_photo_fetched_twice(crawl):
    with FaultySite(people({"anna": {"a": jpeg(1), "b": jpeg(2)}})) as site:
        crawl.run(site)
        with FaultySite(people({"boris": {"c": jpeg(3)}})) as other:
            crawl.run(other, canonical_url=OTHER_URL)
        before = len(bodies(site))
        crawl.run(site)
        assert len(bodies(site)) == before
    assert crawl.statuses == {"anna": "listed", "boris": "other_source"}
    assert len(crawl.stored) == 3


def test_photos_left_over_from_one_source_are_never_asked_of_another(crawl):
    with FaultySite(people({"anna": {"a": jpeg(1), "b": jpeg(2)}})) as site:
        crawl.run(site, max_photos_per_identity=1)
    with FaultySite(people({"boris": {"c": jpeg(3)}})) as site:
        crawl.run(site, canonical_url=OTHER_URL)
        assert not [request.path for request in site.log if "anna" in request.path]
    assert crawl.refused == {}


def test_a_name_that_another_source_has_taken_is_left_out_alone_and_reported(crawl, caplog):
    with FaultySite(people({"anna": {"a": jpeg(1)}})) as site:
        crawl.run(site)
    with FaultySite(people({"anna": {"x": jpeg(4)}, "boris": {"c": jpeg(3)}})) as site:
        crawl.run(site, canonical_url=OTHER_URL, max_failures_in_a_row=1)
    assert crawl.catalogue.failures == {"name_taken": 1}
    assert "bolid prune" in caplog.text
    assert crawl.rows("raw_photos", "identity") == [("anna",), ("boris",)]
    assert crawl.statuses == {"anna": "other_source", "boris": "listed"}


def test_a_photo_of_both_sources_belongs_to_the_person_of_the_current_one(crawl):
    shared = jpeg(1)
    with FaultySite(people({"anna": {"a": shared, "b": jpeg(2)}})) as site:
        crawl.run(site)
        with FaultySite(people({"anna_b": {"x": shared}})) as other:
            crawl.run(other, canonical_url=OTHER_URL)
        assert crawl.rows("raw_photos", "identity") == [("anna",), ("anna_b",)]
        assert crawl.refused == {}
        crawl.run(site)
    assert crawl.rows("raw_photos", "identity") == [("anna",), ("anna",)]
    assert len(crawl.stored) == 2


def test_a_catalogue_from_before_the_column_is_read_and_tells_its_source_by_its_addresses(crawl):
    with FaultySite(people({"anna": {"a": jpeg(1)}})) as site:
        crawl.run(site)
        (part,) = crawl.tables.parts("identity_catalogue")
        rows = pq.read_table(part)
        pq.write_table(rows.drop_columns(["source"]), part)
        assert crawl.rows("identity_catalogue", "identity", "source") == [("anna", None)]
        with FaultySite(people({"boris": {"c": jpeg(3)}})) as other:
            crawl.run(other, canonical_url=OTHER_URL)
        assert crawl.rows("identity_catalogue", "identity", "source", "status") == [
            ("anna", CANONICAL_URL, "other_source"),
            ("boris", OTHER_URL, "listed"),
        ]
        crawl.run(site)
    assert crawl.statuses == {"anna": "listed", "boris": "other_source"}
