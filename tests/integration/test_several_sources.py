"""One data folder and several sources, one after the other: who came from where is known, and nothing is mixed up."""

import dagster as dg
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from fault_server import CANONICAL_URL, FaultySite
from small_crawls import Crawl, bodies, jpeg, people
from table_rows import caption, score

from assets.scraping import identity_catalogue, raw_photos
from bolid_pipeline.cli import main
from bolid_pipeline.curation.near_duplicates import refresh_clusters
from bolid_pipeline.errors import ConfigurationError
from bolid_pipeline.scraping.config import BODYWORLD_URL
from bolid_pipeline.scraping.crawler import crawl_catalogue, crawl_photos
from bolid_pipeline.scraping.origins import people_set_aside
from bolid_pipeline.scraping.sources.site import open_site
from resources.deployments import demo
from resources.photo_source import OwnFolder
from resources.table_store import DataStore

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


def test_drawn_people_are_never_mixed_with_others_in_either_order(tmp_path):
    for number, (first, second) in enumerate([(BODYWORLD_URL, OTHER_URL), (OTHER_URL, BODYWORLD_URL)]):
        crawl = Crawl(tmp_path / str(number))
        with FaultySite(people({"anna": {"a": jpeg(1)}})) as site:
            crawl.run(site, canonical_url=first)
        with FaultySite(people({"boris": {"c": jpeg(3)}})) as site:
            with open_site(crawl.config(site, canonical_url=second)) as source:
                for refresh in (
                    lambda: crawl_catalogue(source, crawl.tables),  # noqa: B023 - called at once
                    lambda: crawl_photos(source, crawl.tables, crawl.photos),  # noqa: B023
                ):
                    with pytest.raises(ConfigurationError) as refused:
                        refresh()
            assert site.log == []
        assert all(
            word in str(refused.value) for word in (OTHER_URL, "demo", "BOLID_DATA_DIR", "bolid prune")
        )
        assert crawl.statuses == {"anna": "listed"}


def test_the_asset_refuses_to_mix_before_it_reads_a_file(crawl, tmp_path):
    with FaultySite(people({"anna": {"a": jpeg(1)}})) as site:
        crawl.run(site, canonical_url=BODYWORLD_URL)
    resources = {
        "store": DataStore(data_dir=str(crawl.data_dir)),
        "deployment": demo(crawl.data_dir),
        "photo_source": OwnFolder(address=photo_folder(tmp_path / "mine", boris=[3, 4]).as_uri()),
    }
    for asset in (identity_catalogue, raw_photos):
        with pytest.raises(ConfigurationError, match=r"people of the demo.*bolid prune"):
            dg.materialize([asset], resources=resources)
    assert crawl.statuses == {"anna": "listed"}
    assert crawl.tables.count("folder_files") == 0


@pytest.fixture
def bolid(tmp_path):
    """Runs `bolid ARGUMENTS` on a folder of one's own photos, with its data under tmp_path / data."""

    def run(folder, *arguments, **options):
        environment = {"BOLID_DATA_DIR": str(tmp_path / "data"), "BOLID_SOURCE_URL": folder.as_uri()}
        return CliRunner().invoke(main, arguments, env=environment, **options)

    return run


def photo_folder(folder, **photos):
    for person, seeds in photos.items():
        (folder / person).mkdir(parents=True)
        for seed in seeds:
            (folder / person / f"{seed}.jpg").write_bytes(jpeg(seed))
    return folder


def test_the_command_refuses_to_mix_in_one_line_and_pruning_is_the_way_out(crawl, bolid, tmp_path):
    with FaultySite(people({"anna": {"a": jpeg(1), "b": jpeg(2)}})) as site:
        crawl.run(site, canonical_url=BODYWORLD_URL)
    add_rows_about(crawl)
    mine = photo_folder(tmp_path / "mine", boris=[3, 4])
    refused = bolid(mine, "crawl", "--min-photos", "1")
    assert refused.exit_code == 1
    assert refused.output.count("\n") == 1
    assert "1 people of the demo" in refused.output
    assert mine.as_uri() in refused.output

    asked = bolid(mine, "prune", input="n\n")
    assert asked.exit_code == 1
    assert f"{BODYWORLD_URL}: 1 people" in asked.output
    assert len(crawl.stored) == 2

    done = bolid(mine, "prune", "--yes")
    assert done.exit_code == 0, done.output
    assert "deleted 2 photos" in done.output
    assert crawl.stored == []
    assert {
        table: crawl.tables.count(table) for table in crawl.tables.names if table != "catalogue_pages"
    } == {table: 0 for table in crawl.tables.names if table != "catalogue_pages"}
    crawled = bolid(mine, "crawl", "--min-photos", "1")
    assert crawled.exit_code == 0, crawled.output
    assert crawl.statuses == {"boris": "listed"}
    assert "nothing to delete" in bolid(mine, "prune").output


def add_rows_about(crawl):
    """Rows of two stages for every stored photo."""
    ids = [photo_id for (photo_id,) in crawl.rows("raw_photos", "photo_id")]
    crawl.tables.append("watermark_scores", [score(photo_id) for photo_id in ids])
    crawl.tables.append("captions", [caption(photo_id) for photo_id in ids])
    refresh_clusters(crawl.tables)


def test_pruning_takes_no_moved_folder_for_another_source(bolid, tmp_path):
    mine = photo_folder(tmp_path / "mine", boris=[3, 4])
    assert bolid(mine, "crawl", "--min-photos", "1").exit_code == 0
    moved = mine.rename(tmp_path / "moved")
    refused = bolid(moved, "prune", "--yes")
    assert refused.exit_code == 1
    assert "run `bolid crawl` first" in refused.output
    assert bolid(moved, "crawl", "--min-photos", "1").exit_code == 0
    assert "nothing to delete" in bolid(moved, "prune", "--yes").output


def test_pruned_people_come_back_with_their_source(crawl, bolid, tmp_path):
    shared = 7
    first = photo_folder(tmp_path / "first", anna=[1, shared])
    second = photo_folder(tmp_path / "second", boris=[3, shared], clara=[5, 6])
    options = ("crawl", "--min-photos", "1")
    bolid(first, *options)
    bolid(second, *options)
    assert bolid(second, "prune", "--yes").exit_code == 0
    assert crawl.statuses == {"boris": "listed", "clara": "listed"}
    assert crawl.rows("raw_photos", "identity") == [("boris",), ("boris",), ("clara",), ("clara",)]
    bolid(first, *options)
    assert crawl.statuses == {"anna": "listed", "boris": "other_source", "clara": "other_source"}
    assert crawl.rows("raw_photos", "identity") == [
        ("anna",),
        ("anna",),
        ("boris",),
        ("clara",),
        ("clara",),
    ]


def test_a_site_and_then_a_folder_and_the_site_again(crawl, bolid, tmp_path):
    shared = jpeg(7)
    mine = photo_folder(tmp_path / "mine", boris=[3, 7])
    with FaultySite(people({"anna": {"a": jpeg(1), "b": shared}})) as site:
        crawl.run(site)
        assert bolid(mine, "crawl", "--min-photos", "1").exit_code == 0
        assert crawl.statuses == {"anna": "other_source", "boris": "listed"}
        assert crawl.rows("raw_photos", "identity") == [("anna",), ("boris",), ("boris",)]
        crawl.run(site)
        assert crawl.statuses == {"anna": "listed", "boris": "other_source"}
        assert crawl.rows("raw_photos", "identity") == [("anna",), ("anna",), ("boris",)]
        assert bolid(mine, "crawl", "--min-photos", "1").exit_code == 0
    assert crawl.rows("raw_photos", "identity") == [("anna",), ("boris",), ("boris",)]
    assert len(crawl.stored) == 3
    assert crawl.refused == {}


def test_a_refresh_that_a_budget_stopped_leaves_nobody_of_it_out_when_its_source_comes_back(crawl):
    with FaultySite(people({name: {name: jpeg(seed)} for seed, name in enumerate("abcd")})) as site:
        crawl.run(site, max_requests=4)
        assert 0 < len(crawl.statuses) < 4
        with FaultySite(people({"x": {"x": jpeg(9)}, "y": {"y": jpeg(8)}})) as other:
            crawl.run(other, canonical_url=OTHER_URL, max_requests=3)
        crawl.run(site)
    assert {name: crawl.statuses[name] for name in "abcd"} == dict.fromkeys("abcd", "listed")
