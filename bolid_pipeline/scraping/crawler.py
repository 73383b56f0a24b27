"""The crawl: each new photo is fetched once, and either stored or recorded with the reason of its refusal.

All state is in the tables, committed in small batches, so that a crawl which was killed goes on where it was:
`identity_catalogue` (galleries and their status), `photo_pages` (what the grids list), `catalogue_pages` (pages as last
seen), `raw_photos` (what is stored) and `rejected_downloads` (what was refused). Stored and refused photos are not
fetched again; `fetch_journal.FetchJournal` knows what was fetched since the last commit.
"""

from bolid_pipeline.scraping.lost_files import drop_photos_without_file
from bolid_pipeline.scraping.origins import refuse_to_mix_drawn_people
from bolid_pipeline.scraping.report import CrawlReport
from bolid_pipeline.scraping.selection import CrawlPlan, plan_photos
from bolid_pipeline.scraping.sources.base import PhotoSource
from bolid_pipeline.storage.photos import PhotoStore
from bolid_pipeline.storage.tables import TableStore

__all__ = ["CrawlPlan", "CrawlReport", "crawl_catalogue", "crawl_photos", "plan_photos"]


def crawl_catalogue(source: PhotoSource, tables: TableStore) -> CrawlReport:
    """Refresh `identity_catalogue`, `photo_pages` and `catalogue_pages` from the source.

    A gallery whose first page shows nothing new costs that one page; any other is read
    whole. A gallery that cannot be read is counted in the report, and the crawl goes on.

    Raises:
        ConfigurationError: drawn people would be mixed with others.
        ScrapingError: no list of people can be read, the site fails for several people in a row, or it refuses
            everybody.
    """
    refuse_to_mix_drawn_people(tables, source.label)
    return source.refresh_catalogue(tables)


def crawl_photos(source: PhotoSource, tables: TableStore, photos: PhotoStore) -> CrawlReport:
    """Fetch the photos of `listed` people that are neither stored nor refused.

    A photo that cannot be fetched is recorded in `rejected_downloads`, and the crawl goes on. A stored photo whose file
    was lost is fetched again. A spent budget ends the crawl early, which the report says.

    Raises:
        ConfigurationError: drawn people would be mixed with others.
        ScrapingError: the site fails for several people in a row, or it refuses every page.
        TableError: the photo store holds none of the photos of the tables.
    """
    refuse_to_mix_drawn_people(tables, source.label)
    drop_photos_without_file(tables, photos)
    return source.refresh_photos(tables, photos)
