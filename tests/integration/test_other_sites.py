"""The parsers that docs/crawling.md shows are all that another site takes."""

import io
import re
import sys
import types
from pathlib import Path

import numpy as np
import pytest
from fault_server import FaultySite, Page, Response, html, picture
from PIL import Image

from bolid_pipeline.errors import LayoutChanged
from bolid_pipeline.scraping.config import CrawlConfig
from bolid_pipeline.scraping.crawler import crawl_catalogue, crawl_photos
from bolid_pipeline.storage.photos import PhotoStore
from bolid_pipeline.storage.tables import TableStore
from resources.photo_source import WebSource

DOCUMENT = Path(__file__).parents[2] / "docs" / "crawling.md"


@pytest.fixture
def parsers(monkeypatch) -> str:
    """The document's example as a module; its name."""
    (example,) = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text("utf-8"), re.DOTALL)
    module = types.ModuleType("site_of_the_document")
    exec(compile(example, DOCUMENT, "exec"), vars(module))  # noqa: S102 - the example is what is tested
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return module.__name__


def jpeg(seed: int) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 255, (40, 30, 3), dtype=np.uint8)
    target = io.BytesIO()
    Image.fromarray(pixels).save(target, "JPEG")
    return target.getvalue()


def site_pages(photos: dict[str, bytes]) -> dict[str, Page]:
    def grid(name: str, more: str) -> Response:
        return html(f'<h1>Anna</h1><div class="grid"><a href="/photo/{name}">{name}</a></div>{more}')

    one, two = photos
    return {
        "/people/": html('<ul class="people"><li><a href="/people/anna_b/">Anna</a></li></ul>'),
        "/people/anna_b/": grid(one, '<nav class="pages"><a href="?p=2">2</a></nav>'),
        "/people/anna_b/?p=2": grid(two, ""),
        **{f"/photo/{name}": html(f'<a class="download" href="/files/{name}">get</a>') for name in photos},
        **{f"/files/{name}": picture(data) for name, data in photos.items()},
    }


def test_the_example_of_the_document_crawls_its_site(parsers, tmp_path):
    photos = {"one": jpeg(1), "two": jpeg(2)}
    tables, store = TableStore(tmp_path), PhotoStore(tmp_path)
    with FaultySite(site_pages(photos)) as site:
        crawl = CrawlConfig(base_url=site.url, requests_per_second=10_000.0)
        with WebSource(base_url=site.url, parsers=parsers).open(crawl) as source:
            crawl_catalogue(source, tables)
            crawl_photos(source, tables, store)
    rows = tables.read("raw_photos").to_pylist()
    assert {store.read(row["path"]) for row in rows} == set(photos.values())
    assert {row["identity"] for row in rows} == {"anna_b"}


def test_its_pages_of_a_new_look_are_kept_too(parsers, tmp_path):
    with FaultySite({"/people/": html("new")}) as site:
        crawl = CrawlConfig(base_url=site.url, requests_per_second=10_000.0)
        with (
            WebSource(base_url=site.url, parsers=parsers).open(crawl) as source,
            pytest.raises(LayoutChanged, match="a copy of the page is at"),
        ):
            crawl_catalogue(source, TableStore(tmp_path))
