"""What a site can do wrong as a whole, by its host, its robots.txt or its galleries, over real HTTP."""

import socket
import time
from collections import Counter

import pytest
from fault_server import (
    Response,
    gallery,
    gallery_path,
    in_turn,
    original_path,
    photo_page,
    photo_path,
    resized_path,
)
from odd_photo import FINE, GOOD, ODD, ODD_PHOTO, QUICK, break_files, encoded

from bolid_pipeline.errors import DownloadFailed, RobotsDenied, ScrapingError, SourceUnreachable


def test_a_host_that_wants_quiet_for_hours_ends_the_run_and_the_next_one_goes_on(crawl):
    busy = Response(status=503, headers={"Retry-After": "7200"})
    crawl.site.pages[photo_path(ODD)] = busy
    report = crawl.run(max_concurrency=1)
    assert "asks for 7200 s of quiet" in report.stopped_by
    assert crawl.stored == Counter(GOOD.values())
    assert crawl.site.log[-1].path == photo_path(ODD)

    crawl.site.pages[photo_path(ODD)] = photo_page(resized_path(ODD))
    report = crawl.run()
    assert (report.photos_new, report.stopped_by) == (1, None)
    assert crawl.stored == Counter([*GOOD.values(), ODD_PHOTO])


def test_a_spent_budget_ends_the_run_and_the_next_one_goes_on(crawl):
    """Six requests: four for robots.txt and the catalogue, two for one photo."""
    for num_stored in range(1, 5):
        report = crawl.run(max_requests=6, max_concurrency=1)
        assert sum(crawl.stored.values()) == num_stored
        assert (report.stopped_by is None) == (num_stored == 4)
    assert crawl.stored == Counter([*GOOD.values(), ODD_PHOTO])
    assert crawl.refused == {}
    assert all(crawl.site.num_requests(original_path(name)) == 1 for name in (*GOOD, ODD))


def test_a_clock_that_goes_back_harms_nothing(crawl, monkeypatch):
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now - 3600 * len(crawl.site.log))
    break_files(crawl, in_turn(Response(status=503), Response(status=500), FINE))
    report = crawl.run()
    assert crawl.stored == Counter([*GOOD.values(), ODD_PHOTO])
    assert (report.photos_new, crawl.refused) == (4, {})


def test_robots_txt_that_forbids_the_pages_ends_the_crawl_before_it_begins(crawl):
    crawl.site.pages["/robots.txt"] = Response(body=b"User-agent: BoLID-crawler\nDisallow: /photos/\n")
    with pytest.raises(RobotsDenied):
        crawl.run()
    assert [request.path for request in crawl.site.log] == ["/robots.txt"]


def test_one_picture_that_robots_txt_forbids_is_named(crawl):
    rules = f"User-agent: *\nDisallow: {original_path(ODD)}\nDisallow: {resized_path(ODD)}\n"
    crawl.site.pages["/robots.txt"] = Response(body=rules.encode())
    crawl.run()
    assert crawl.stored == Counter(GOOD.values())
    assert crawl.refused == {photo_path(ODD): "robots_denied"}


@pytest.mark.parametrize(
    "answer", [Response(status=404), Response(body=b"\x00\xff" * 500), Response(status=403)]
)
def test_robots_txt_that_is_missing_or_garbage_forbids_nothing(crawl, answer):
    crawl.site.pages["/robots.txt"] = answer
    assert crawl.run().photos_new == 4


@pytest.mark.parametrize(
    "answer", [Response(status=503), Response(delivery="reset"), Response(delivery="hang")]
)
def test_robots_txt_that_cannot_be_read_forbids_everything(crawl, answer):
    crawl.site.pages["/robots.txt"] = answer
    with pytest.raises(SourceUnreachable, match=r"robots\.txt"):
        crawl.run(**QUICK)
    assert {request.path for request in crawl.site.log} == {"/robots.txt"}


def test_a_site_that_breaks_down_ends_the_crawl_and_the_next_one_goes_on(crawl):
    names = {f"p{number}": encoded(100 + number) for number in range(8)}
    crawl.site.pages |= gallery(GOOD | names)
    for name in names:
        crawl.site.pages[photo_path(name)] = Response(status=500)
    with pytest.raises(ScrapingError):
        crawl.run(max_retries=0)
    assert crawl.stored == Counter(GOOD.values())
    crawl.site.pages |= gallery(GOOD | names)
    crawl.run()
    assert crawl.stored == Counter([*GOOD.values(), *names.values()])
    assert crawl.refused == {}


def test_a_name_that_suddenly_leads_into_a_private_network_is_not_followed(crawl, monkeypatch):
    """DNS rebinding: the public name of the site answers with an internal address."""
    port = int(crawl.site.url.rpartition(":")[2])
    resolve = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda _, *rest, **more: resolve("127.0.0.1", *rest, **more))
    with pytest.raises(DownloadFailed) as failure:
        crawl.run(base_url=f"http://gallery.invalid:{port}")
    assert failure.value.reason == "internal_address"
    assert crawl.site.log == []


def test_a_gallery_behind_a_fault_is_had_by_the_next_crawl(crawl):
    crawl.site.pages[gallery_path("anna")] = Response(status=503)
    with pytest.raises(SourceUnreachable):
        crawl.run(max_retries=0)
    crawl.site.pages |= gallery(GOOD)
    crawl.run()
    assert crawl.stored == Counter(GOOD.values())
