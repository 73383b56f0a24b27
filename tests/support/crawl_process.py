"""A whole crawl of the faulty site, as a function that runs in a separate process."""

from pathlib import Path

from fault_server import CANONICAL_URL

from bolid_pipeline.scraping.config import CrawlConfig
from bolid_pipeline.scraping.crawler import crawl_catalogue, crawl_photos
from bolid_pipeline.scraping.sources.site import open_site
from bolid_pipeline.storage.photos import PhotoStore
from bolid_pipeline.storage.tables import TableStore


def crawl(data_dir: Path, url: str, max_concurrency: int) -> None:
    """Run both stages, with small commits, so that a kill meets many of them."""
    config = CrawlConfig(
        base_url=url,
        canonical_url=CANONICAL_URL,
        requests_per_second=10_000.0,
        max_concurrency=max_concurrency,
        photos_per_commit=4,
    )
    tables, photos = TableStore(data_dir), PhotoStore(data_dir)
    tables.recover()
    photos.recover()
    with open_site(config) as source:
        crawl_catalogue(source, tables)
        crawl_photos(source, tables, photos)
