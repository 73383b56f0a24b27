"""Faults of a site's pages and galleries, one at a time, over real HTTP.

Files are another matter: test_crawl_faults.py.
"""

import io
import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from fault_server import (
    CANONICAL_URL,
    FaultySite,
    Response,
    gallery,
    gallery_page,
    gallery_path,
    html,
    index_page,
    letter_page,
    letter_path,
    original_path,
    photo_path,
    picture,
    resized_path,
)
from PIL import Image
from small_crawls import Crawl, bodies, grid_page, jpeg, people

from bolid_pipeline.cli import main
from bolid_pipeline.cli.forgetting import forget
from bolid_pipeline.curation.near_duplicates import refresh_clusters
from bolid_pipeline.errors import LayoutChanged
from bolid_pipeline.scraping.config import CrawlConfig
from bolid_pipeline.scraping.crawler import crawl_catalogue, crawl_photos, plan_photos
from bolid_pipeline.scraping.sources.site import open_site


@pytest.fixture
def crawl(tmp_path: Path) -> Crawl:
    return Crawl(tmp_path / "data")


def test_a_window_of_page_numbers_is_followed_and_page_one_is_not_read_twice(crawl):
    photos = {f"p{n}": jpeg(n) for n in range(12)}
    names = list(photos)
    pages = gallery(photos)
    for number in range(1, 7):
        links = range(max(1, number - 1), min(6, number + 1) + 1)
        query = f"?page={number}" if number > 1 else ""
        pages[f"{gallery_path('anna')}{query}"] = grid_page(
            names[2 * number - 2 : 2 * number], links, stated=12
        )
    pages[f"{gallery_path('anna')}?page=1"] = pages[gallery_path("anna")]
    with FaultySite(pages) as site:
        crawl.run(site)
        asked = [request.path for request in site.log if request.path.startswith(gallery_path("anna"))]
    assert sorted(crawl.stored) == sorted(photos.values())
    grid = [path for path in asked if "pic-" not in path]
    assert len(grid) == len(set(grid)) == 6
    assert f"{gallery_path('anna')}?page=1" not in grid


def test_a_photo_on_two_grid_pages_is_fetched_once(crawl):
    pages = gallery({"a": jpeg(1), "b": jpeg(2)})
    pages[gallery_path("anna")] = grid_page(["a", "b"], [2], stated=2)
    pages[f"{gallery_path('anna')}?page=2"] = grid_page(["b", "a"], [1], stated=2)
    with FaultySite(pages) as site:
        assert crawl.run(site).photos_new == 2
        assert len(bodies(site)) == 2


def test_a_gallery_that_goes_round_in_a_circle_ends(crawl):
    pages = gallery({"a": jpeg(1), "b": jpeg(2)})

    def same_again(request: Any) -> Response:
        number = int(request.path.rpartition("=")[2]) if "=" in request.path else 1
        return grid_page(["a", "b"], [number + 1], stated=900)

    pages |= {f"{gallery_path('anna')}?page={n}": same_again for n in range(2, 100)}
    pages[gallery_path("anna")] = same_again
    with FaultySite(pages) as site:
        assert crawl.run(site).photos_new == 2
        assert sum("?page=" in request.path for request in site.log) == 3


def test_a_gallery_without_end_is_left_at_the_bound(crawl):
    pages = gallery({"a": jpeg(1)})
    for number in range(1, 30):
        query = f"?page={number}" if number > 1 else ""
        pages[f"{gallery_path('anna')}{query}"] = grid_page([f"new{number}"], [number + 1], stated=900)
    with FaultySite(pages) as site, open_site(crawl.config(site, max_gallery_pages=5)) as source:
        crawl_catalogue(source, crawl.tables)
    assert crawl.rows("identity_catalogue", "listed_photos") == [(5,)]


def test_a_gallery_without_a_count_is_crawled(crawl):
    pages = gallery({"a": jpeg(1), "b": jpeg(2)})
    grid = pages[gallery_path("anna")]
    assert isinstance(grid, Response)
    pages[gallery_path("anna")] = Response(body=grid.body.replace("Фото 2 шт".encode(), b""))
    with FaultySite(pages) as site:
        assert crawl.run(site).photos_new == 2
    assert crawl.rows("identity_catalogue", "stated_photos", "status") == [(None, "listed")]


def test_a_count_with_a_blank_between_thousands_is_read_whole(crawl):
    pages = gallery({"a": jpeg(1), "b": jpeg(2)})
    grid = pages[gallery_path("anna")]
    assert isinstance(grid, Response)
    pages[gallery_path("anna")] = Response(
        body=grid.body.replace(b" 2 ", " 1\N{NO-BREAK SPACE}234 ".encode())
    )
    with FaultySite(pages) as site:
        crawl.run(site)
    assert crawl.rows("identity_catalogue", "stated_photos") == [(1234,)]


def test_a_gallery_that_states_photos_and_shows_no_grid_is_named_and_its_page_kept(crawl):
    pages = people({"anna": {"a": jpeg(1)}, "boris": {"b": jpeg(2)}})
    pages[gallery_path("anna")] = broken = gallery_page([], stated=40)
    with FaultySite(pages) as site:
        assert crawl.run(site).photos_new == 1
    assert crawl.statuses == {"anna": "layout_changed", "boris": "listed"}
    assert crawl.catalogue.failures == {"layout_changed": 1}
    (copy,) = (crawl.data_dir / "changed_pages").iterdir()
    assert copy.read_bytes() == broken.body


def test_a_photo_page_without_a_picture_is_named_and_tried_again(crawl):
    pages = gallery({"a": jpeg(1), "b": jpeg(2)})
    good = pages[photo_path("b")]
    with FaultySite(pages | {photo_path("b"): html("<canvas></canvas>")}) as site:
        assert crawl.run(site).photos_new == 1
        assert crawl.refused == {photo_path("b"): "layout_changed"}
        site.pages[photo_path("b")] = good
        assert crawl.run(site).photos_new == 1
    assert crawl.refused == {}


def test_pages_in_cp1251_are_read(crawl):
    pages = gallery({"a": jpeg(1)}, slug="anna", name="Анна Бель")
    for path in ("/photos/", letter_path("A"), gallery_path("anna"), photo_path("a")):
        page = pages[path]
        assert isinstance(page, Response)
        text = page.body.decode().replace('<meta charset="utf-8">', '<meta charset="windows-1251">')
        pages[path] = Response(body=text.encode("cp1251"), content_type="text/html")
    with FaultySite(pages) as site:
        assert crawl.run(site).photos_new == 1
    assert crawl.rows("identity_catalogue", "name") == [("Анна Бель",)]


def test_broken_html_costs_nothing(crawl):
    pages = gallery({"a": jpeg(1), "b": jpeg(2)})
    for path in ("/photos/", letter_path("A"), gallery_path("anna")):
        page = pages[path]
        assert isinstance(page, Response)
        pages[path] = Response(
            body=page.body.replace(b"</div>", b"").replace(b"</body></html>", b"<table><tr><p <a")
        )
    with FaultySite(pages) as site:
        assert crawl.run(site).photos_new == 2


@pytest.mark.parametrize("name", ["two words", "a(1)+b.c-d", "Ёлка (2)", "50%+(x) y"])
def test_names_with_blanks_and_signs_are_asked_for_as_they_are(crawl, name):
    with FaultySite(gallery({name: jpeg(1)}, slug=f"{name}_p.")) as site:
        assert crawl.run(site).photos_new == 1
        assert bodies(site) == [original_path(name, f"{name}_p.")]
    assert crawl.statuses == {f"{name}_p.": "listed"}


def test_one_picture_behind_many_pages_is_a_placeholder_and_never_a_photo(crawl):
    placeholder = jpeg(99)
    photos = {f"p{n}": placeholder if n in (1, 3, 4, 6) else jpeg(n) for n in range(8)}
    with FaultySite(gallery(photos)) as site:
        report = crawl.run(site)
        assert sorted(crawl.stored) == sorted({data for data in photos.values() if data != placeholder})
        assert crawl.refused == {photo_path(f"p{n}"): "placeholder" for n in (1, 3, 4, 6)}
        assert (report.photos_new, report.rejected) == (4, {"placeholder": 4})
        num_bodies = len(bodies(site))
        assert crawl.run(site).requests == 0
        assert len(bodies(site)) == num_bodies


def test_a_placeholder_is_recognised_in_later_crawls_too(crawl):
    placeholder = jpeg(99)
    pages = people(
        {"anna": {f"a{n}": placeholder for n in range(3)}, "boris": {"b": placeholder, "c": jpeg(1)}}
    )
    with FaultySite(pages) as site:
        crawl.run(site, included_identities=frozenset({"anna"}))
        assert crawl.stored == []
        crawl.run(site)
    assert crawl.stored == [jpeg(1)]
    assert crawl.refused[photo_path("b", "boris")] == "placeholder"


def test_a_page_that_answers_otherwise_without_its_referer_is_given_one(crawl):
    def file(request: Any) -> Response:
        is_from_page = request.headers.get("Referer", "").endswith(photo_path("a"))
        return picture(jpeg(1) if is_from_page else jpeg(99))

    with FaultySite(gallery({"a": b""}) | {original_path("a"): file}) as site:
        crawl.run(site)
    assert crawl.stored == [jpeg(1)]


def test_the_original_goes_before_the_resized_file(crawl):
    pages = gallery({"a": jpeg(1), "b": jpeg(2)})
    pages |= {resized_path("a"): picture(jpeg(91)), resized_path("b"): picture(jpeg(92))}
    pages[original_path("b")] = Response(status=404)
    with FaultySite(pages) as site:
        crawl.run(site)
    assert sorted(crawl.stored) == sorted([jpeg(1), jpeg(92)])


def test_a_spacer_is_too_small_to_be_a_photo(crawl):
    target = io.BytesIO()
    Image.new("RGB", (1, 1)).save(target, "PNG")
    with FaultySite(gallery({"a": jpeg(1), "dot": target.getvalue()})) as site:
        crawl.run(site)
    assert crawl.refused == {photo_path("dot"): "too_small"}


def test_a_gallery_that_asks_not_to_be_used_for_ai_is_left_alone(crawl):
    pages = people({"anna": {"a": jpeg(1)}, "boris": {"b": jpeg(2)}})
    grid = pages[gallery_path("anna")]
    assert isinstance(grid, Response)
    pages[gallery_path("anna")] = Response(
        body=grid.body.replace(b"<title>", b'<meta name="robots" content="noai"><title>')
    )
    with FaultySite(pages) as site:
        crawl.run(site)
        assert bodies(site) == [original_path("b", "boris")]
    assert crawl.statuses == {"anna": "no_ai", "boris": "listed"}


def test_a_photo_page_that_asks_not_to_be_used_for_ai_is_left_alone(crawl):
    pages = gallery({"a": jpeg(1), "b": jpeg(2)})
    pages[photo_path("a")] = html(
        '<meta name="robots" content="noimageai"><img class="pic big_pic" src="/x.jpg">'
    )
    with FaultySite(pages) as site:
        crawl.run(site)
        assert bodies(site) == [original_path("b")]
    assert crawl.refused == {photo_path("a"): "no_ai"}


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
        plan = plan_photos(crawl.tables, source.bounds)
        assert [(p.identity, p.num_listed, p.num_stored, p.num_wanted) for p in plan.people] == [
            ("anna", 5, 0, 3),
            ("boris", 1, 0, 1),
        ]
        assert bodies(site) == []
        before = len(site.log)
        crawl_photos(source, crawl.tables, crawl.photos)
        assert plan.estimated_requests == len(site.log) - before == 8
    assert plan_photos(crawl.tables, CrawlConfig(max_photos_per_identity=3, min_photos=1)).num_photos == 0


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


def test_a_new_look_of_every_page_is_an_error_and_never_an_empty_success(crawl):
    new_look = html("<main>welcome to our new look</main>")
    with (
        FaultySite({"/photos/": new_look}) as site,
        pytest.raises(LayoutChanged, match="a copy of the page is at"),
    ):
        crawl.run(site)
    assert crawl.statuses == {}


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
