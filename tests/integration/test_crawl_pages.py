"""What a site can do wrong with its pages and galleries, one thing at a time, over real HTTP."""

import io
from typing import Any

import pytest
from fault_server import (
    FaultySite,
    Response,
    gallery,
    gallery_page,
    gallery_path,
    html,
    letter_path,
    original_path,
    photo_path,
    picture,
    resized_path,
)
from PIL import Image
from small_crawls import bodies, grid_page, jpeg, people

from bolid_pipeline.errors import LayoutChanged
from bolid_pipeline.scraping.crawler import crawl_catalogue
from bolid_pipeline.scraping.sources.site import open_site


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


def test_a_new_look_of_every_page_is_an_error_and_never_an_empty_success(crawl):
    new_look = html("<main>welcome to our new look</main>")
    with (
        FaultySite({"/photos/": new_look}) as site,
        pytest.raises(LayoutChanged, match="a copy of the page is at"),
    ):
        crawl.run(site)
    assert crawl.statuses == {}
