"""Mistakes of earlier scrapers of the site, each with a test that this one does not make it."""

from pathlib import Path

import pytest
from fault_server import (
    FaultySite,
    Page,
    Response,
    gallery,
    gallery_path,
    original_path,
    photo_path,
    picture,
    resized_path,
)
from small_crawls import bodies, grid_page, jpeg

ERROR_PAGE = b"<!DOCTYPE html><html><body><h1>502 Bad Gateway</h1></body></html>"
FIVE = {f"p{n}": jpeg(n) for n in range(5)}


def with_file(answer: Response) -> dict[str, Page]:
    """Five photos, one of whose files answers so."""
    return gallery(FIVE) | {original_path("p2"): answer, resized_path("p2"): answer}


def test_one_try_around_the_whole_crawl(crawl):
    with FaultySite(with_file(Response(status=500))) as site:
        assert crawl.run(site).photos_new == 4


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Response(status=404), "not_found"),
        (Response(status=403), "forbidden"),
        (Response(delivery="hang"), "timeout"),
        (picture(b""), "empty"),
    ],
    ids=["404", "403", "timeout", "empty"],
)
def test_a_miss_a_404_and_a_timeout_all_become_none(crawl, answer, reason):
    with FaultySite(with_file(answer)) as site:
        crawl.run(site, read_timeout_seconds=0.3)
    assert crawl.refused == {photo_path("p2"): reason}


def test_directory_exists_means_done(crawl):
    with FaultySite(gallery(FIVE)) as site:
        crawl.run(site, max_photos_per_identity=2)
        assert crawl.run(site).photos_new == 3
        assert len(bodies(site)) == 5


def test_files_numbered_by_count(crawl):
    with FaultySite(gallery(FIVE)) as site:
        crawl.run(site)
        site.pages.update(gallery({"newest": jpeg(9)} | FIVE))
        crawl.run(site)
    assert sorted(crawl.stored) == sorted([*FIVE.values(), jpeg(9)])


def test_no_timeout(crawl):
    with FaultySite(with_file(Response(body=jpeg(2), content_type="image/jpeg", delivery="drip"))) as site:
        crawl.run(site, download_deadline_seconds=0.5)
    assert crawl.refused == {photo_path("p2"): "deadline"}


def test_pages_keyed_by_the_text_of_their_address(crawl):
    first = grid_page(["p0", "p1", "p2"], [1, 2], stated=5)
    second = grid_page(["p3", "p4"], [1, 2], stated=5)
    pages = gallery(FIVE) | {
        gallery_path("anna"): first,
        f"{gallery_path('anna')}?page=1": first,
        f"{gallery_path('anna')}?page=2": Response(
            body=second.body.replace(b'/photos/anna/">1<', b'/photos/anna/?page=1">1<')
        ),
    }
    with FaultySite(pages) as site:
        assert crawl.run(site).photos_new == 5
        assert site.num_requests(gallery_path("anna")) == 1
        assert site.num_requests(f"{gallery_path('anna')}?page=1") == 0


def test_an_error_page_saved_as_jpg_and_remembered_as_done(crawl):
    broken = with_file(picture(ERROR_PAGE))
    with FaultySite(broken) as site:
        crawl.run(site)
    assert crawl.refused == {photo_path("p2"): "not_a_picture"}
    assert ERROR_PAGE not in crawl.stored


def test_a_placeholder_saved_as_jpg_and_remembered_as_done(crawl):
    with FaultySite(gallery(FIVE | {f"gone{n}": jpeg(77) for n in range(3)})) as site:
        crawl.run(site)
    assert sorted(crawl.stored) == sorted(FIVE.values())
    assert set(crawl.refused.values()) == {"placeholder"}


def test_truncated_files_kept(crawl):
    with FaultySite(with_file(picture(jpeg(2)[:-400]))) as site:
        crawl.run(site)
    assert crawl.refused == {photo_path("p2"): "truncated"}


def test_the_count_read_as_1_from_1_234(crawl):
    page = grid_page(FIVE, [], stated=5)
    stated = Response(body=page.body.replace("Фото 5 шт".encode(), "Фото 1 234 шт".encode()))
    with FaultySite(gallery(FIVE) | {gallery_path("anna"): stated}) as site:
        assert crawl.run(site, min_photos=5).photos_new == 5
    assert crawl.rows("identity_catalogue", "stated_photos") == [(1234,)]


def test_a_fixed_jpg_extension(crawl):
    with FaultySite(with_file(picture(jpeg(2, kind="PNG")))) as site:
        crawl.run(site)
    endings = sorted(Path(path).suffix for (path,) in crawl.rows("raw_photos", "path"))
    assert endings == [".jpg"] * 4 + [".png"]
