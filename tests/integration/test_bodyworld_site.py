"""The stand-in site as theplace's own visitors know it: over real HTTP on loopback."""

import io
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urljoin

import pytest
import requests
from bs4 import BeautifulSoup, Tag
from PIL import Image

from bodyworld.site.server import BodyworldSite
from bolid_pipeline.errors import ConfigurationError

AUTHORS_COUNT_PATH = (
    "#vue-app > div.content-wrapper > div:nth-child(2) > div > "
    "div.col-xl-9.col-lg-8.col-md-7.col-sm-12.main-col-content > div.d-none.d-sm-block"
)
AUTHORS_PHOTO_PATH = (
    "#vue-app > div.content-wrapper > div:nth-child(3) > div > div > div:nth-child(1) > div > "
    "div.pic-big-box__main > span.s-pic > img"
)
GRIDS = "div.row.gx-1.justify-content-center a[href], a.photos-pic-card__link"


@pytest.fixture
def site(make_site: Callable[..., BodyworldSite]) -> BodyworldSite:
    return make_site(missing_originals_fraction=0.0)


def linked(base_url: str, tag: Tag | None, attribute: str) -> str:
    """The absolute address in a tag's attribute."""
    assert tag is not None
    return urljoin(base_url, str(tag[attribute]))


def soup_of(url: str) -> BeautifulSoup:
    reply = requests.get(url, timeout=10)
    assert reply.status_code == 200, url
    return BeautifulSoup(reply.content, "lxml")


@pytest.mark.parametrize(("slug", "num_photos"), [("anna_p._belle", 14), ("ivan", 9)])
def test_the_thesis_authors_own_selectors_work_in_both_grid_variants(site, slug, num_photos):
    gallery = soup_of(f"{site.url}/photos/{slug}/")
    (block,) = gallery.select(AUTHORS_COUNT_PATH)
    assert int(block.find("p").text.split(" ")[1]) == num_photos

    photo_url = linked(site.url, gallery.select_one(GRIDS), "href")
    (picture,) = soup_of(photo_url).select(AUTHORS_PHOTO_PATH)
    assert "-gthumb-gwdata1600-gfitdatamax.jpg" in picture["src"]
    assert requests.get(linked(site.url, picture, "src"), timeout=10).content.startswith(b"\xff\xd8")


def test_galleries_alternate_between_the_grids_of_2025_and_2022(site):
    assert soup_of(f"{site.url}/photos/anna_p._belle/").select("div.row.gx-1.justify-content-center a")
    grid_2022 = soup_of(f"{site.url}/photos/ivan/")
    assert grid_2022.select("a.photos-pic-card__link")
    assert grid_2022.select("div.p-1 > div.gallery-photo-card > a")


def test_index_lists_latin_and_cyrillic_letters_and_cards(site):
    index = soup_of(f"{site.url}/photos/")
    blocks = [[a.text for a in block.select("a[href]")] for block in index.select("div.letters-list")]
    assert blocks == [["A", "N", "O"], ["И"]]
    letter = soup_of(linked(site.url, index.select("div.letters-list a")[-1], "href"))
    (card,) = letter.select("div.models_list.row.my-5 div.model-item > a.model-link")
    assert card.select_one("span.name").text == "Иван Петров"
    icon = requests.get(linked(site.url, card.select_one("span.ico_box > img.icon"), "src"), timeout=10)
    assert Image.open(io.BytesIO(icon.content)).width <= 128


def test_pagination_is_a_window_and_absent_on_one_page_galleries(site):
    first = soup_of(f"{site.url}/photos/anna_p._belle/")
    assert [a["href"] for a in first.select("div.listalka a[href]")] == ["/photos/anna_p._belle/?page=2"]
    second = soup_of(f"{site.url}/photos/anna_p._belle/?page=2")
    assert [a["href"] for a in second.select("div.listalka a[href]")] == ["/photos/anna_p._belle/"]
    assert not soup_of(f"{site.url}/photos/ivan/").select("div.listalka")
    assert requests.get(f"{site.url}/photos/anna_p._belle/?page=3", timeout=10).status_code == 404


def test_originals_are_served_byte_for_byte_and_resized_only_where_wider(site, tiny_world):
    original = requests.get(f"{site.url}/archive/ivan/img/large.jpg", timeout=10)
    assert original.content == (tiny_world / "photos/ivan/large.jpg").read_bytes()
    resized_url = f"{site.url}/cache/archive/ivan/img/large-gthumb-gwdata1600-gfitdatamax.jpg"
    assert Image.open(io.BytesIO(requests.get(resized_url, timeout=10).content)).size == (1600, 1200)
    small = "ivan%201"
    resized_url = f"{site.url}/cache/archive/ivan/img/{small}-gthumb-gwdata1600-gfitdatamax.jpg"
    assert (
        requests.get(resized_url, timeout=10).content == (tiny_world / "photos/ivan/ivan 1.jpg").read_bytes()
    )


def test_a_missing_original_is_404_and_its_resized_file_serves(make_site):
    site = make_site(missing_originals_fraction=1.0)
    assert requests.get(f"{site.url}/archive/ivan/img/large.jpg", timeout=10).status_code == 404
    resized_url = f"{site.url}/cache/archive/ivan/img/large-gthumb-gwdata1600-gfitdatamax.jpg"
    assert requests.get(resized_url, timeout=10).status_code == 200


@pytest.mark.parametrize("path", ["/photos/ivan/", "/archive/ivan/img/large.jpg"])
def test_conditional_requests_are_answered_with_304(site, path):
    first = requests.get(site.url + path, timeout=10)
    by_tag = requests.get(site.url + path, headers={"If-None-Match": first.headers["ETag"]}, timeout=10)
    since = {"If-Modified-Since": first.headers["Last-Modified"]}
    by_date = requests.get(site.url + path, headers=since, timeout=10)
    changed = requests.get(site.url + path, headers={"If-None-Match": '"other"'} | since, timeout=10)
    assert [by_tag.status_code, by_date.status_code, changed.status_code] == [304, 304, 200]
    assert by_tag.content == by_date.content == b""


@pytest.mark.parametrize(
    "path",
    ["/", "/photos/unknown/", "/ground_truth.json", "/world.json", "/archive/ivan/img/../../../world.json"],
)
def test_nothing_but_the_site_is_served(site, path):
    session = requests.Session()
    prepared = session.prepare_request(requests.Request("GET", site.url))
    prepared.url = site.url + path
    assert session.send(prepared, timeout=10).status_code == 404


def test_every_request_is_logged_with_its_status(site):
    requests.get(f"{site.url}/photos/?x=1", timeout=10)
    requests.head(f"{site.url}/nothing", timeout=10)
    assert [entry[1:] for entry in site.request_log] == [
        ("GET", "/photos/?x=1", 200),
        ("HEAD", "/nothing", 404),
    ]


def test_photo_pages_keep_their_addresses_from_run_to_run(tiny_world):
    with BodyworldSite(tiny_world) as one, BodyworldSite(tiny_world) as other:
        assert one.respond("/photos/ivan/") == other.respond("/photos/ivan/")
        assert one.url != other.url


def test_a_folder_without_a_world_is_a_clear_error(tmp_path: Path):
    with pytest.raises(ConfigurationError, match=r"world\.json"):
        BodyworldSite(tmp_path)
