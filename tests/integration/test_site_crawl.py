"""The crawl end to end: real HTTP on loopback into real tables and a real photo store."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bodyworld.site.server import BodyworldSite, Reply
from bolid_pipeline.errors import LayoutChanged, RobotsDenied, SourceUnreachable
from bolid_pipeline.scraping.config import BODYWORLD_URL, CrawlConfig
from bolid_pipeline.scraping.crawler import crawl_catalogue, crawl_photos
from bolid_pipeline.scraping.outcomes import IDENTITY_STATUSES, REJECTION_REASONS
from bolid_pipeline.scraping.report import CrawlReport
from bolid_pipeline.scraping.sources.site import open_site
from bolid_pipeline.storage.photos import PhotoStore
from bolid_pipeline.storage.tables import TableStore


class Crawl:
    """A data folder, and the two stages over it."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.tables = TableStore(data_dir)
        self.photos = PhotoStore(data_dir)

    def run(self, site: BodyworldSite | str, **options: Any) -> tuple[CrawlReport, CrawlReport]:
        url = site if isinstance(site, str) else site.url
        manners: dict[str, Any] = {"requests_per_second": 10_000.0, "max_retries": 1, "backoff_seconds": 0.01}
        config = CrawlConfig(base_url=url, canonical_url=BODYWORLD_URL, **(manners | options))
        with open_site(config) as source:
            return crawl_catalogue(source, self.tables), crawl_photos(source, self.tables, self.photos)

    def rows(self, table: str, *columns: str) -> list[tuple[Any, ...]]:
        return sorted(tuple(row.values()) for row in self.tables.read(table, columns).to_pylist())


@pytest.fixture
def crawl(tmp_path: Path) -> Crawl:
    return Crawl(tmp_path / "data")


def num_picture_requests(site: BodyworldSite) -> int:
    return sum("/archive/" in entry.path for entry in site.request_log)


def test_first_crawl_stores_the_right_photos_and_names_every_missing_one(crawl, make_site, tiny_world):
    site = make_site(missing_originals_fraction=0.0)
    catalogue, report = crawl.run(site)

    assert crawl.rows(
        "identity_catalogue", "identity", "name", "stated_photos", "listed_photos", "status"
    ) == [
        ("anna_p._belle", "Anna Belle", 14, 14, "listed"),
        ("ivan", "Иван Петров", 9, 9, "listed"),
        ("night_city", "Night City (тема)", 2, 2, "not_a_person"),
        ("nobody", "Nobody", 0, 0, "empty"),
        ("one_photo", "One Photo", 1, 1, "too_few_photos"),
    ]
    assert catalogue.identities == {"listed": 2, "not_a_person": 1, "empty": 1, "too_few_photos": 1}
    assert catalogue.identities.keys() <= IDENTITY_STATUSES

    files = [*(tiny_world / "photos/anna_p._belle").iterdir(), *(tiny_world / "photos/ivan").glob("ivan*")]
    expected = {
        hashlib.sha256(file.read_bytes()).hexdigest()
        for file in [*files, tiny_world / "photos/ivan/large.jpg"]
    }
    rows = crawl.tables.read("raw_photos").to_pylist()
    assert {row["photo_id"] for row in rows} == expected
    for row in rows:
        assert hashlib.sha256(crawl.photos.read(row["path"])).hexdigest() == row["photo_id"]
        assert row["source_url"].startswith(f"{BODYWORLD_URL}/archive/")
        assert len(bytes.fromhex(row["perceptual_hash"])) == len(bytes.fromhex(row["mirrored_hash"])) == 32
    large = next(row for row in rows if row["source_url"].endswith("large.jpg"))
    assert (large["width_px"], large["height_px"], large["content_type"]) == (1800, 1350, "image/jpeg")

    assert Counter(reason for (reason,) in crawl.rows("rejected_downloads", "reason")) == {
        "truncated": 1,
        "not_a_picture": 1,
        "empty": 1,
        "duplicate_photo": 1,
    }
    assert report.rejected.keys() <= REJECTION_REASONS
    assert report.photos_new == len(expected)
    assert report.requests + catalogue.requests == len(site.request_log)
    assert report.retries == 0


def test_second_crawl_from_another_port_downloads_nothing_and_visits_few_pages(crawl, make_site):
    first = crawl.run(make_site(missing_originals_fraction=0.3))
    before = crawl.rows("raw_photos", *crawl.tables.schema("raw_photos").columns.names)

    again = make_site(missing_originals_fraction=0.3)
    catalogue, photos = crawl.run(again)

    assert num_picture_requests(again) == 0
    assert photos.requests == 0
    assert (photos.photos_new, photos.photos_known) == (0, first[1].photos_new)
    # robots.txt, the index, 4 letters, and the first page of the 2 galleries that are taken, none of them changed
    assert catalogue.requests == len(again.request_log) == 8
    assert catalogue.not_modified == 7
    assert crawl.rows("raw_photos", *crawl.tables.schema("raw_photos").columns.names) == before


def test_only_the_new_photo_of_a_grown_gallery_is_fetched(crawl, make_site, tiny_world):
    crawl.run(make_site())
    world = json.loads((tiny_world / "world.json").read_text())
    entry = {"file": "photos/ivan/new.jpg", "width": 120, "height": 160}
    world["galleries"][1]["photos"].insert(0, entry)
    (tiny_world / "world.json").write_text(json.dumps(world))
    (tiny_world / "photos/ivan/new.jpg").write_bytes((tiny_world / "photos/one_photo/o.jpg").read_bytes())

    grown = make_site(missing_originals_fraction=0.0)
    _, report = crawl.run(grown)

    assert (report.photos_new, num_picture_requests(grown)) == (1, 1)
    assert ("ivan", 10) in crawl.rows("identity_catalogue", "identity", "listed_photos")


def test_where_the_original_is_missing_the_resized_file_serves(crawl, make_site):
    site = make_site(missing_originals_fraction=1.0)
    _, report = crawl.run(site)
    assert report.photos_new == 19
    assert all("/cache/archive/" in url for (url,) in crawl.rows("raw_photos", "source_url"))
    sizes = crawl.rows("raw_photos", "width_px", "height_px")
    assert sizes[-1] == (1600, 1200)  # the resized file of the one large photo


def test_bounds_hold(crawl, make_site):
    site = make_site(missing_originals_fraction=0.0)
    catalogue, report = crawl.run(site, max_identities=1, max_photos_per_identity=5)
    assert catalogue.identities == {"listed": 1}
    assert report.photos_new == 5
    assert {identity for (identity,) in crawl.rows("raw_photos", "identity")} == {"anna_p._belle"}
    assert num_picture_requests(site) == 5
    assert crawl.run(site, max_identities=1, max_photos_per_identity=5)[1].photos_new == 0


def test_excluded_people_are_never_asked_for(crawl, make_site):
    site = make_site()
    crawl.run(site, excluded_identities=frozenset({"ivan"}))
    assert not any("/photos/ivan" in entry.path or "/ivan/img" in entry.path for entry in site.request_log)


def test_a_vanished_gallery_is_marked_and_its_photos_stay(crawl, make_site, tiny_world):
    crawl.run(make_site())
    num_photos = crawl.tables.count("raw_photos")
    world = json.loads((tiny_world / "world.json").read_text())
    del world["galleries"][1]
    (tiny_world / "world.json").write_text(json.dumps(world))
    crawl.run(make_site())
    assert ("ivan", "vanished") in crawl.rows("identity_catalogue", "identity", "status")
    assert crawl.tables.count("raw_photos") == num_photos


def test_the_same_photo_under_two_people_is_recorded(crawl, make_site, tiny_world):
    anna = next((tiny_world / "photos/anna_p._belle").iterdir())
    (tiny_world / "photos/ivan/ivan 3.jpg").write_bytes(anna.read_bytes())
    crawl.run(make_site())
    assert ("ivan", "photo_of_another_identity") in crawl.rows("rejected_downloads", "identity", "reason")


class BrokenSite(BodyworldSite):
    """Answers some paths otherwise."""

    def __init__(self, world_folder: Path, broken: Callable[[str], Reply | None]) -> None:
        super().__init__(world_folder, missing_originals_fraction=0.0)
        self._broken = broken

    def respond(self, path: str) -> Reply:
        return self._broken(path) or super().respond(path)


NEW_LOOK = b"<!DOCTYPE html><html><body><main>welcome to our new look</main></body></html>"


@pytest.mark.parametrize("path", ["/photos/", "/photos/celebs/"])
def test_a_changed_layout_of_all_lists_fails_loudly_with_the_address_and_a_copy_of_the_page(
    crawl, tiny_world, path
):
    def changed(asked: str) -> Reply | None:
        is_meant = asked == path if path == "/photos/" else asked.startswith(path)
        return Reply(body=NEW_LOOK) if is_meant else None

    with (
        BrokenSite(tiny_world, changed) as site,
        pytest.raises(LayoutChanged, match=f"{BODYWORLD_URL}{path}.*a copy of the page is at") as failure,
    ):
        crawl.run(site)
    assert Path(str(failure.value).rpartition(" ")[2]).read_bytes() == NEW_LOOK


def test_a_changed_layout_of_one_letter_is_counted_kept_and_costs_nobody_else(crawl, tiny_world):
    changed = Reply(body=NEW_LOOK)
    with BrokenSite(tiny_world, lambda asked: changed if asked == "/photos/celebs/A/" else None) as site:
        catalogue, photos = crawl.run(site)
    assert ("ivan", "listed") in crawl.rows("identity_catalogue", "identity", "status")
    assert catalogue.failures == {"layout_changed": 1}
    assert photos.photos_new == 5
    assert [page.read_bytes() for page in (crawl.data_dir / "changed_pages").iterdir()] == [NEW_LOOK]


def test_a_changed_layout_of_one_gallery_is_recorded_and_the_others_are_crawled(crawl, tiny_world):
    changed = Reply(body=NEW_LOOK)
    with BrokenSite(tiny_world, lambda asked: changed if asked == "/photos/anna_p._belle/" else None) as site:
        catalogue, photos = crawl.run(site)
    assert ("anna_p._belle", "layout_changed") in crawl.rows("identity_catalogue", "identity", "status")
    assert catalogue.failures == {"layout_changed": 1}
    assert photos.photos_new == 5
    assert [page.read_bytes() for page in (crawl.data_dir / "changed_pages").iterdir()] == [NEW_LOOK]


def test_a_changed_layout_of_all_galleries_fails_loudly(crawl, tiny_world):
    def changed(path: str) -> Reply | None:
        is_gallery = path.count("/") == 3 and path != "/photos/" and not path.endswith(".html")
        return Reply(body=NEW_LOOK) if is_gallery else None

    with (
        BrokenSite(tiny_world, changed) as site,
        pytest.raises(LayoutChanged, match="a copy of the page is at"),
    ):
        crawl.run(site)


def test_a_changed_layout_of_all_photo_pages_fails_loudly(crawl, tiny_world):
    new_look = Reply(body=b"<!DOCTYPE html><html><body><main>a picture, somewhere</main></body></html>")
    with (
        BrokenSite(tiny_world, lambda asked: new_look if "/pic-" in asked else None) as site,
        pytest.raises(LayoutChanged, match="no picture"),
    ):
        crawl.run(site)
    assert {reason for (reason,) in crawl.rows("rejected_downloads", "reason")} == {"layout_changed"}
    assert crawl.tables.count("raw_photos") == 0


def test_one_failing_photo_is_recorded_the_crawl_goes_on_and_the_next_one_heals_it(crawl, tiny_world):
    def broken(path: str) -> Reply | None:
        return Reply(status=503) if path.startswith("/archive/ivan/img/ivan%201") else None

    with BrokenSite(tiny_world, broken) as site:
        _, report = crawl.run(site)
    assert report.rejected["unreachable"] == 1
    assert report.retries == 1
    assert report.photos_new == 18

    with BodyworldSite(tiny_world, missing_originals_fraction=0.0) as healed:
        _, report = crawl.run(healed)
        assert (report.photos_new, num_picture_requests(healed)) == (1, 1)
    assert ("unreachable",) not in crawl.rows("rejected_downloads", "reason")


def test_a_photo_behind_404_is_settled(crawl, tiny_world):
    def broken(path: str) -> Reply | None:
        return Reply(status=404) if "ivan%201" in path else None

    with BrokenSite(tiny_world, broken) as site:
        crawl.run(site)
        num_requests = num_picture_requests(site)
        crawl.run(site)
        assert num_picture_requests(site) == num_requests
    assert ("ivan", "not_found") in crawl.rows("rejected_downloads", "identity", "reason")


def test_photos_fetched_before_the_site_breaks_are_kept(crawl, tiny_world):
    def broken(path: str) -> Reply | None:
        return Reply(status=500) if "/ivan" in path and path != "/photos/ivan/" else None

    with BrokenSite(tiny_world, broken) as site, pytest.raises(SourceUnreachable):
        crawl.run(site)
    assert crawl.tables.count("raw_photos") == 14


def test_an_unreachable_site_is_a_clear_error_and_leaves_nothing(crawl):
    with pytest.raises(SourceUnreachable, match=r"http://127\.0\.0\.1:9/robots.txt.*BOLID_SOURCE_URL"):
        crawl.run("http://127.0.0.1:9")
    assert not crawl.data_dir.exists()


def test_robots_txt_is_obeyed(crawl, make_site):
    site = make_site(robots_txt="User-agent: BoLID-crawler\nDisallow: /photos/\n")
    with pytest.raises(RobotsDenied, match="/photos/"):
        crawl.run(site)
    assert [entry.path for entry in site.request_log] == ["/robots.txt"]


def test_pictures_that_robots_txt_forbids_are_not_fetched(crawl, make_site):
    site = make_site(robots_txt="User-agent: *\nDisallow: /archive/\nDisallow: /cache/\n")
    with pytest.raises(RobotsDenied):
        crawl.run(site)
    assert num_picture_requests(site) == 0
