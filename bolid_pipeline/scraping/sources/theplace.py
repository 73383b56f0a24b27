"""theplace's galleries (and those of a stand-in with the same layout: only `base_url` differs)."""

from bolid_pipeline.scraping import parsers
from bolid_pipeline.scraping.config import CrawlConfig
from bolid_pipeline.scraping.sources.site import SiteSource


class TheplaceSource(SiteSource):
    """theplace over HTTP; use as a context manager, or call `close`."""

    def __init__(self, config: CrawlConfig) -> None:
        super().__init__(config, parsers)
