"""Nonsense in one place of a page costs that place alone, over real HTTP."""

import pytest
from fault_server import FaultySite, Page, Response, gallery_path, letter_path, photo_path
from small_crawls import jpeg, people

from bolid_pipeline.scraping.crawler import crawl_catalogue
from bolid_pipeline.scraping.sources.site import open_site

ANNA = {"a1": jpeg(1), "a2": jpeg(2)}
BORIS = {"b1": jpeg(3), "b2": jpeg(4)}


def with_inserted(page: Page, before: bytes, inserted: str) -> Response:
    assert isinstance(page, Response)
    assert before in page.body
    return Response(body=page.body.replace(before, inserted.encode() + before, 1))


PLACES = {
    "index": ("/photos/", b'<a href="/photos/celebs/'),
    "list of people": (letter_path("A"), b'<div class="model-item">'),
    "grid": (gallery_path("anna"), b'<a href="/photos/anna/pic-'),
    "pager": (gallery_path("anna"), b"</body>"),
    "photo page": (photo_path("a1", "anna"), b"<img src="),
}
WRAPPED = {
    "pager": '<div class="listalka">{}</div>',
    "list of people": '<div class="model-item">{}</div>',
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    "nonsense",
    [
        '<a class="model-link" href="//[x"></a><img src="//[x">',
        f'<a href="/{"x" * 5000}"></a><img src="/{"x" * 5000}">',
    ],
    ids=["brackets", "long"],
)
def test_a_malformed_address_costs_nothing_else(crawl, place, nonsense):
    pages = people({"anna": ANNA, "boris": BORIS})
    path, before = PLACES[place]
    pages[path] = with_inserted(pages[path], before, WRAPPED.get(place, "{}").format(nonsense))
    with FaultySite(pages) as site:
        assert crawl.run(site).photos_new == 4
        assert crawl.run(site).requests == 0
    assert crawl.refused == {}


@pytest.mark.parametrize("number", ["89161234567", "9" * 20, "9" * 5000, "٩" * 12])
def test_an_absurd_number_of_photos_is_none(crawl, number):
    pages = people({"anna": ANNA, "boris": BORIS})
    grid = pages[gallery_path("anna")]
    assert isinstance(grid, Response)
    pages[gallery_path("anna")] = Response(body=grid.body.replace(b" 2 ", f" {number} ".encode(), 1))
    with FaultySite(pages) as site:
        assert crawl.run(site).photos_new == 4
    assert crawl.rows("identity_catalogue", "identity", "stated_photos") == [("anna", None), ("boris", 2)]


def test_a_name_of_200_kilobytes_of_brackets_is_read_and_cut(crawl):
    pages = people({"anna": ANNA})
    grid = pages[gallery_path("anna")]
    assert isinstance(grid, Response)
    pages[gallery_path("anna")] = Response(body=grid.body.replace(b"Anna</h1>", b"( " * 100_000 + b"</h1>"))
    with FaultySite(pages) as site, open_site(crawl.config(site)) as source:
        assert crawl_catalogue(source, crawl.tables).seconds < 5
    ((name,),) = crawl.rows("identity_catalogue", "name")
    assert len(name) <= 200
