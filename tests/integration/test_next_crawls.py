"""What a crawl leaves in the data folder, and what the next crawl makes of it, over real HTTP."""

import os
from pathlib import Path

from click.testing import CliRunner
from fault_server import (
    CANONICAL_URL,
    FaultySite,
    Response,
    gallery,
    gallery_path,
    index_page,
    letter_page,
    letter_path,
    photo_path,
)
from small_crawls import Crawl, bodies, jpeg, people

from bolid_pipeline.cli import main
from bolid_pipeline.cli.forgetting import forget
from bolid_pipeline.curation.near_duplicates import refresh_clusters
from bolid_pipeline.scraping.config import CrawlConfig
from bolid_pipeline.scraping.crawler import crawl_catalogue, crawl_photos, plan_photos
from bolid_pipeline.scraping.sources.site import open_site


def test_vanished_galleries_and_photos_are_marked_and_what_comes_back_is_unmarked(crawl):
    whole = people({"anna": {"a": jpeg(1), "b": jpeg(2)}, "boris": {"c": jpeg(3)}})
    less = people({"anna": {"b": jpeg(2)}})
    with FaultySite(whole) as site:
        crawl.run(site)
        site.pages = dict(less)
        crawl.run(site)
        assert crawl.statuses == {"anna": "listed", "boris": "vanished"}
        marked = {
            row["page_url"].removeprefix(CANONICAL_URL): row["vanished_at"] is not None
            for row in crawl.tables.read("photo_pages").to_pylist()
        }
        assert marked == {photo_path("a"): True, photo_path("b"): False, photo_path("c", "boris"): True}
        assert len(crawl.stored) == 3
        site.pages = dict(whole)
        assert crawl.run(site).requests == 0
    assert crawl.statuses == {"anna": "listed", "boris": "listed"}
    assert crawl.rows("photo_pages", "vanished_at") == [(None,)] * 3


def shared_files(crawl: Crawl) -> set[str]:
    """Files of photos whose picture stands under several people, by the curation's clusters."""
    refresh_clusters(crawl.tables)
    rows = crawl.rows("photo_clusters", "photo_id", "is_shared")
    shared = {photo_id for photo_id, is_shared in rows if is_shared}
    photos = crawl.rows("raw_photos", "photo_id", "source_url")
    return {url.rpartition("/")[2] for photo_id, url in photos if photo_id in shared}


def test_the_same_picture_under_two_people_is_shared_also_when_recompressed(crawl):
    pages = people(
        {
            "anna": {"a": jpeg(1), "own": jpeg(2), "again": jpeg(4, scale=4)},
            "boris": {"b": jpeg(1), "c": jpeg(4, quality=60, scale=3), "own": jpeg(3)},
        }
    )
    with FaultySite(pages) as site:
        crawl.run(site)
    assert shared_files(crawl) == {"a.jpg", "again.jpg", "c.jpg"}
    assert crawl.refused == {photo_path("b", "boris"): "photo_of_another_identity"}


def test_who_is_forgotten_is_not_crawled_again_and_a_shared_picture_stays_with_the_other_as_doubtful(crawl):
    pages = people({"anna": {"a": jpeg(1), "own": jpeg(2)}, "boris": {"b": jpeg(1), "c": jpeg(3)}})
    with FaultySite(pages) as site:
        crawl.run(site)
        refresh_clusters(crawl.tables)
        forget(crawl.data_dir, "anna")
        assert sorted(crawl.stored) == sorted([jpeg(1), jpeg(3)])
        num_asked = len(site.log)
        crawl.run(site)  # also with a configuration that knows nothing of it
        assert not any("anna" in request.path for request in site.log[num_asked:])
    assert {identity for (identity,) in crawl.rows("raw_photos", "identity")} == {"boris"}
    assert shared_files(crawl) == {"b.jpg"}
    assert crawl.tables.count("photo_clusters") == 2
    tables = (crawl.data_dir / "tables").rglob("*.parquet")
    assert not any(b"anna" in part.read_bytes() for part in tables)


def test_people_come_in_a_random_order_that_stays_and_the_lists_are_obeyed(crawl, tmp_path):
    names = [f"p{n}" for n in range(12)]
    pages = people({name: {"x": jpeg(n)} for n, name in enumerate(names)})
    options = {"order": "random", "seed": 5, "max_identities": 4, "excluded_identities": frozenset({"p3"})}
    with FaultySite(pages) as site:
        crawl.run(site, **options)
        first = set(crawl.statuses)
        again = Crawl(tmp_path / "again")
        again.run(site, **options)
        only = Crawl(tmp_path / "only")
        only.run(site, included_identities=frozenset({"p3", "p7"}))
    assert len(first) == 4
    assert first == set(again.statuses) != set(names[:4])
    assert "p3" not in first
    assert set(only.statuses) == {"p3", "p7"}


def test_a_dry_run_says_what_would_be_fetched_and_fetches_no_photo(crawl):
    pages = people({"anna": {f"a{n}": jpeg(n) for n in range(5)}, "boris": {"b": jpeg(50)}})
    with FaultySite(pages) as site, open_site(crawl.config(site, max_photos_per_identity=3)) as source:
        crawl_catalogue(source, crawl.tables)
        plan = plan_photos(crawl.tables, source.bounds, source.label)
        assert [(p.identity, p.num_listed, p.num_stored, p.num_wanted) for p in plan.people] == [
            ("anna", 5, 0, 3),
            ("boris", 1, 0, 1),
        ]
        assert bodies(site) == []
        before = len(site.log)
        crawl_photos(source, crawl.tables, crawl.photos)
        assert plan.estimated_requests == len(site.log) - before == 8
    bounds = CrawlConfig(max_photos_per_identity=3, min_photos=1)
    assert plan_photos(crawl.tables, bounds, CANONICAL_URL).num_photos == 0


def test_one_list_of_people_that_cannot_be_had_hides_nobody_else_and_marks_nobody_as_vanished(crawl):
    pages = people({"anna": {"a": jpeg(1)}}) | {"/photos/": index_page(["A", "B"])}
    pages |= {letter_path("B"): letter_page({"boris": "Boris"})} | {
        path: page for path, page in gallery({"b": jpeg(2)}, slug="boris").items() if "boris" in path
    }
    with FaultySite(pages) as site:
        crawl.run(site)
        site.pages[letter_path("B")] = Response(status=503)
        crawl.run(site)
    assert crawl.catalogue.failures == {"unreachable": 1}
    assert crawl.statuses == {"anna": "listed", "boris": "listed"}


def test_an_unchanged_site_costs_one_request_in_twenty_and_no_photo(crawl):
    """Galleries of a size that the crawl takes; the lists and the small ones cost something too."""
    photos_of = {f"person_{n}": {f"{n}_{i}": jpeg(100 * n + i) for i in range(30)} for n in range(6)}
    photos_of |= {f"small_{n}": {"x": jpeg(5000 + n)} for n in range(6)}
    pages = people(photos_of)
    with FaultySite(pages) as site:
        crawl.run(site, min_photos=20)
        num_first = len(site.log)
        crawl.run(site, min_photos=20)
        nightly = [request.path for request in site.log[num_first:]]
    assert len(crawl.stored) == 180
    assert len(nightly) <= 0.05 * num_first, (len(nightly), num_first)
    assert not any("/archive/" in path or "/pic-" in path for path in nightly)


def test_files_and_their_folders_are_on_the_disk_before_the_rows_that_name_them(crawl, monkeypatch):
    """The order of the fsyncs: what a row names survives a power cut that the row survives."""
    synced: list[Path] = []
    fsync = os.fsync

    def record(descriptor: int) -> None:
        fsync(descriptor)
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink())

    monkeypatch.setattr(os, "fsync", record)
    photos = {f"anna_{i}": jpeg(i) for i in range(10)}
    with FaultySite(people({"anna": photos})) as site:
        assert crawl.run(site, photos_per_commit=3).photos_new == 10
    commits = [
        at for at, path in enumerate(synced) if path.parent.name == "raw_photos" and path.suffix == ".tmp"
    ]
    assert len(commits) >= 4
    paths = crawl.tables.read("raw_photos", ["path"])["path"].to_pylist()
    for at, path in enumerate(paths):
        before_its_row = set(synced[: commits[at // 3]])
        file = crawl.data_dir / path
        assert {file, file.parent, file.parent.parent} <= before_its_row


def test_a_budget_smaller_than_the_catalogue_gets_round_it_in_several_runs(crawl):
    """Three requests of each run are for robots.txt and the lists, which leaves one or two for galleries."""
    slugs = ("anna", "boris", "clara", "dora")
    with FaultySite(
        people({slug: {f"{slug}_{i}": jpeg(ord(slug[0]) + i) for i in (0, 10)} for slug in slugs})
    ) as site:

        def visited() -> list[str]:
            del site.log[:]
            with open_site(crawl.config(site, max_requests=5, max_concurrency=1)) as source:
                crawl_catalogue(source, crawl.tables)
            return [slug for slug in slugs if site.num_requests(gallery_path(slug))]

        assert [visited() for _ in range(4)] == [
            ["anna", "boris"],
            ["clara", "dora"],
            ["anna", "boris"],
            ["clara", "dora"],
        ]
    assert crawl.statuses == dict.fromkeys(slugs, "listed")


def test_a_budget_that_the_catalogue_spends_alone_still_brings_every_photo(crawl):
    """Twelve requests a run: as many as robots.txt, the lists and nine galleries take."""
    slugs = [f"person_{i}" for i in range(9)]
    with FaultySite(people({slug: {f"{slug}_0": jpeg(i)} for i, slug in enumerate(slugs)})) as site:
        environment = {"BOLID_DATA_DIR": str(crawl.data_dir), "BOLID_SOURCE_URL": site.url}
        num_stored = [0]
        while num_stored[-1] < len(slugs):
            done = CliRunner().invoke(
                main, ["crawl", "--min-photos", "1", "--max-requests", "12"], env=environment
            )
            assert done.exit_code == 0, done.output
            num_stored.append(len(crawl.stored))
            assert len(num_stored) == 2 or num_stored[-1] > num_stored[-2], num_stored
    assert num_stored[1] == 0
