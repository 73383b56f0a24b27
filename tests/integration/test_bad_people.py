"""What is wrong with one person's pages costs that person's photos and nobody else's, over real HTTP."""

import zlib
from collections.abc import Callable

import pytest
from fault_server import (
    FaultySite,
    Page,
    Response,
    gallery_path,
    html,
    index_page,
    letter_page,
    letter_path,
    original_path,
    photo_page,
    photo_path,
    resized_path,
)
from small_crawls import bodies, jpeg, people

from bolid_pipeline.errors import DownloadFailed, LayoutChanged, ScrapingError, SourceUnreachable

GOOD = ("a_one", "c_two")
FORBIDDEN = Response(status=403)
BROKEN = Response(status=500)


def photos_of(slug: str, num_photos: int = 6) -> dict[str, bytes]:
    return {f"{slug}_{n}": jpeg(1000 * zlib.crc32(slug.encode()) + n) for n in range(num_photos)}


def make_pages(*slugs: str, num_photos: int = 6) -> dict[str, Page]:
    return people({slug: photos_of(slug, num_photos) for slug in sorted(slugs)})


def files_answer(answer: Page) -> Callable[[str], dict[str, Page]]:
    return lambda slug: {
        path(name, slug): answer for name in photos_of(slug) for path in (original_path, resized_path)
    }


def pages_answer(answer: Page) -> Callable[[str], dict[str, Page]]:
    return lambda slug: {photo_path(name, slug): answer for name in photos_of(slug)}


def files_denied(slug: str) -> dict[str, Page]:
    rules = f"User-agent: *\nDisallow: /archive/{slug}/\nDisallow: /cache/archive/{slug}/\n"
    return {"/robots.txt": Response(body=rules.encode())}


def pages_denied(slug: str) -> dict[str, Page]:
    return {"/robots.txt": Response(body=f"User-agent: *\nDisallow: /photos/{slug}/pic-\n".encode())}


BAD_PAGES = {
    "files answer 403": (files_answer(FORBIDDEN), "forbidden"),
    "pages answer 403": (pages_answer(FORBIDDEN), "forbidden"),
    "robots.txt forbids the files": (files_denied, "robots_denied"),
    "robots.txt forbids the photo pages": (pages_denied, "robots_denied"),
    "video pages": (pages_answer(html("<video></video>")), "layout_changed"),
    "malformed addresses of pictures": (pages_answer(photo_page("//[x")), "layout_changed"),
    "circles of redirects": (
        pages_answer(lambda request: Response(status=302, headers={"Location": request.path})),
        "too_many_redirects",
    ),
    "an odd status": (files_answer(Response(status=418)), "http_error"),
    "files answer 500": (files_answer(BROKEN), "unreachable"),
    "files answer 429": (files_answer(Response(status=429)), "unreachable"),
    "bodies break off": (files_answer(Response(body=b"x", stated_length=10)), "broken_body"),
}


@pytest.mark.parametrize(("break_person", "reason"), BAD_PAGES.values(), ids=BAD_PAGES.keys())
@pytest.mark.parametrize("bad", ["a_bad", "b_bad"])
def test_a_person_whose_pages_all_fail_costs_nobody_else(crawl, break_person, reason, bad):
    wanted = sorted(data for slug in GOOD for data in photos_of(slug).values())
    with FaultySite(make_pages(*GOOD, bad) | break_person(bad)) as site:
        assert crawl.run(site).photos_new == 12
        for _ in range(2):  # the nightly runs that follow are no errors either
            assert crawl.run(site).photos_new == 0
    assert sorted(crawl.stored) == wanted
    assert set(crawl.refused.values()) == {reason}
    assert all(f"/{bad}/" in path for path in crawl.refused)


def test_a_person_who_is_healed_is_had_by_the_next_crawl(crawl):
    pages = make_pages(*GOOD, "b_bad")
    with FaultySite(pages | files_answer(FORBIDDEN)("b_bad")) as site:
        assert crawl.run(site).photos_new == 12
        site.pages = dict(pages)
        assert crawl.run(site).photos_new == 6
    assert crawl.refused == {}


def test_pages_that_failed_last_time_are_asked_for_after_the_new_ones(crawl):
    with FaultySite(make_pages("a_bad", num_photos=2) | files_answer(FORBIDDEN)("a_bad")) as site:
        with pytest.raises(DownloadFailed):
            crawl.run(site)
        site.pages.update(make_pages("a_bad", "b_new", num_photos=2))
        site.log.clear()
        crawl.run(site, max_concurrency=1)
        owners = [path.split("/")[2] for path in bodies(site)]
    assert owners == ["b_new", "b_new", "a_bad", "a_bad"]


def test_a_person_who_fails_for_ever_is_asked_for_a_bounded_number_of_pages(crawl):
    pages = people({slug: photos_of(slug, n) for slug, n in (("a_one", 6), ("b_bad", 60), ("c_two", 6))})
    for name in photos_of("b_bad", 60):
        pages[photo_path(name, "b_bad")] = BROKEN
    with FaultySite(pages) as site:
        assert crawl.run(site, max_concurrency=1).photos_new == 12
        asked = [request.path for request in site.log if request.path.startswith("/photos/b_bad/pic-")]
    assert 5 <= len(asked) <= 8


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (FORBIDDEN, DownloadFailed),
        (html("<video></video>"), LayoutChanged),
        (BROKEN, SourceUnreachable),
    ],
    ids=["403", "no picture", "500"],
)
def test_a_site_that_fails_at_everything_from_the_start_ends_the_crawl_early(crawl, answer, error):
    slugs = [f"person_{n:02}" for n in range(20)]
    pages = make_pages(*slugs)
    for slug in slugs:
        pages |= pages_answer(answer)(slug)
    with FaultySite(pages) as site, pytest.raises(error):
        crawl.run(site, max_concurrency=1)
    assert sum("/pic-" in request.path for request in site.log) < 30
    assert 5 <= len(crawl.refused) < 30


def test_a_site_that_breaks_down_between_two_people_ends_the_crawl_and_the_next_one_goes_on(crawl):
    slugs = [f"person_{n:02}" for n in range(12)]
    pages = make_pages(*slugs)
    broken = dict(pages)
    for slug in slugs[2:]:
        broken |= pages_answer(BROKEN)(slug)
    with FaultySite(broken) as site:
        with pytest.raises(SourceUnreachable):
            crawl.run(site)
        assert len(crawl.stored) == 12
        assert len(crawl.refused) < 40
        site.pages = pages
        crawl.run(site)
    assert len(crawl.stored) == 12 * 6
    assert crawl.refused == {}


SEVEN = [f"b_bad_{n}" for n in range(7)]


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (FORBIDDEN, "unreachable"),
        (html("<canvas></canvas>"), "layout_changed"),
        (Response(status=302, headers={"Location": "/photos/b_bad_0/"}), "unreachable"),
        (Response(status=302, headers={"Location": "https://elsewhere.example/"}), "unreachable"),
        (Response(headers={"X-Robots-Tag": "noai"}), "no_ai"),
    ],
    ids=["403", "no gallery", "circle", "another host", "no AI"],
)
def test_many_people_in_a_row_whose_galleries_are_refused_cost_nobody_else(crawl, answer, status):
    pages = make_pages(*GOOD, *SEVEN) | {gallery_path(slug): answer for slug in SEVEN}
    with FaultySite(pages) as site:
        for photos_new in (12, 0):
            assert crawl.run(site).photos_new == photos_new
    assert crawl.statuses == dict.fromkeys(GOOD, "listed") | dict.fromkeys(SEVEN, status)


def test_people_whose_galleries_fail_by_the_site_are_visited_after_the_others_next_time(crawl):
    pages = make_pages(*GOOD, *SEVEN) | {gallery_path(slug): BROKEN for slug in SEVEN}
    with FaultySite(pages) as site:
        with pytest.raises(SourceUnreachable):
            crawl.run(site)
        assert crawl.run(site).photos_new == 12
        assert crawl.catalogue.failures == {"unreachable": 7}
        assert crawl.run(site).photos_new == 0
        site.pages.update(make_pages(*GOOD, *SEVEN))
        assert crawl.run(site).photos_new == 7 * 6
    assert set(crawl.statuses.values()) == {"listed"}


def test_people_whom_robots_txt_forbids_have_a_status_and_are_no_failure(crawl):
    rules = "User-agent: *\n" + "".join(f"Disallow: {gallery_path(slug)}\n" for slug in SEVEN)
    pages = make_pages(*GOOD, *SEVEN)
    with FaultySite(pages | {"/robots.txt": Response(body=rules.encode())}) as site:
        for photos_new in (12, 0):
            assert crawl.run(site).photos_new == photos_new
            assert crawl.catalogue.failures == {}
            assert crawl.catalogue.identities == {"listed": 2, "robots_denied": 7}
        assert not any("b_bad" in request.path for request in site.log)
        site.pages["/robots.txt"] = Response(status=404)
        assert crawl.run(site).photos_new == 7 * 6
    assert set(crawl.statuses.values()) == {"listed"}


def test_a_listed_person_whom_robots_txt_forbids_from_now_on_is_left_alone_and_keeps_the_photos(crawl):
    pages = make_pages(*GOOD)
    with FaultySite(pages) as site:
        crawl.run(site)
        site.pages.update(make_pages(*GOOD, num_photos=8))
        site.pages["/robots.txt"] = Response(body=b"User-agent: *\nDisallow: /photos/a_one/\n")
        assert crawl.run(site).photos_new == 2
    assert crawl.statuses == {"a_one": "robots_denied", "c_two": "listed"}
    assert len(crawl.stored) == 14


@pytest.mark.parametrize(
    ("list_page", "reason"),
    [
        (html("<main>our new look</main>"), "layout_changed"),
        (FORBIDDEN, "forbidden"),
        (BROKEN, "unreachable"),
        (Response(status=404), "not_found"),
        ("robots.txt", "robots_denied"),
    ],
    ids=["new look", "403", "500", "404", "robots.txt"],
)
def test_a_list_of_people_that_cannot_be_read_costs_only_its_own_people(crawl, list_page, reason):
    pages = make_pages(*GOOD)
    pages |= {
        "/photos/": index_page(["A", "B", "C"]),
        letter_path("A"): letter_page({"a_one": "A One"}),
        letter_path("B"): list_page if isinstance(list_page, Response) else letter_page({"b_bad": "B"}),
        letter_path("C"): letter_page({"c_two": "C Two"}),
    }
    if list_page == "robots.txt":
        pages["/robots.txt"] = Response(body=f"User-agent: *\nDisallow: {letter_path('B')}\n".encode())
    with FaultySite(pages) as site:
        assert crawl.run(site).photos_new == 12
    assert crawl.catalogue.failures == {reason: 1}


def test_lists_that_all_fail_end_the_crawl(crawl):
    with FaultySite(make_pages(*GOOD) | {letter_path("A"): FORBIDDEN}) as site, pytest.raises(ScrapingError):
        crawl.run(site)
