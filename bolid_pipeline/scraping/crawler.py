"""The crawl: what is new is fetched once, and stored or recorded with the reason why not.

All state is in the tables, committed in small batches, so that a crawl which was killed goes on where it was:
`identity_catalogue` (galleries and their status), `photo_pages` (what the grids list), `raw_photos` (what is
stored) and `rejected_downloads` (what was refused). What is in one of the last two is not asked for again.
"""

from bolid_pipeline.scraping.catalogue_crawl import CatalogueCrawl
from bolid_pipeline.scraping.photo_crawl import PhotoCrawl
from bolid_pipeline.scraping.report import CrawlReport
from bolid_pipeline.scraping.sources.base import PhotoSource
from bolid_pipeline.storage.photos import PhotoStore
from bolid_pipeline.storage.tables import TableStore


def crawl_catalogue(source: PhotoSource, tables: TableStore) -> CrawlReport:
    """Refresh `identity_catalogue` and `photo_pages` from the source.

    A gallery whose first page states and shows what was known of it costs that one page; any other is walked
    whole.

    Raises:
        SourceUnreachable, RobotsDenied, LayoutChanged: the index, or several galleries in a row, cannot be
        had.
    """
    return CatalogueCrawl(source, tables).run()


def crawl_photos(source: PhotoSource, tables: TableStore, photos: PhotoStore) -> CrawlReport:
    """Fetch the photos of `listed` people that are neither stored nor refused.

    A photo that cannot be had is recorded in `rejected_downloads` and the crawl goes on.

    Raises:
        SourceUnreachable, RobotsDenied, LayoutChanged: several photo pages in a row, or all, cannot be had.
    """
    return PhotoCrawl(source, tables, photos).run()
