"""Where photos come from: a site, your own folder, or the embedded world behind a stand-in of the site."""

from abc import abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path

import dagster as dg

from bolid_pipeline.scraping.config import CrawlConfig
from bolid_pipeline.scraping.sources.base import PhotoSource
from bolid_pipeline.scraping.sources.folder import FolderSource
from bolid_pipeline.scraping.sources.site import load_parsers, open_site
from resources.deployments import Deployment
from resources.embedded_world import needing_bodyworld
from resources.source_address import folder_of, is_folder


class PhotoSourceResource(dg.ConfigurableResource["PhotoSourceResource"]):
    """A gallery of people, open for the time of a step."""

    @abstractmethod
    def open(self, crawl: CrawlConfig) -> AbstractContextManager[PhotoSource]:
        """The source, ready to be crawled within the bounds and manners of `crawl`."""


class WebSource(PhotoSourceResource):
    """A gallery site, theplace by default."""

    base_url: str
    parsers: str = "bolid_pipeline.scraping.parsers"
    """The module that reads the site's pages: `bolid_pipeline.scraping.sources.site.SiteParsers`."""

    @contextmanager
    def open(self, crawl: CrawlConfig) -> Iterator[PhotoSource]:
        """Crawl `base_url`."""
        with open_site(replace(crawl, base_url=self.base_url), load_parsers(self.parsers)) as source:
            yield source


class OwnFolder(PhotoSourceResource):
    """Your own photos, in a folder per person."""

    address: str
    """`file:///...`, which can say any folder's name, whatever bytes it is made of."""

    @contextmanager
    def open(self, crawl: CrawlConfig) -> Iterator[PhotoSource]:
        """Read the folder within the bounds of `crawl`."""
        yield FolderSource(folder_of(self.address), crawl)


class EmbeddedSource(PhotoSourceResource):
    """The synthetic world, rendered once into `world_dir` and served on loopback while a step reads it."""

    world_dir: str
    num_identities: int = 8
    num_photos_per_identity: int = 28
    seed: int = 0

    @contextmanager
    def open(self, crawl: CrawlConfig) -> Iterator[PhotoSource]:
        """Render what is not rendered yet, serve it on a free port, crawl it."""
        with needing_bodyworld():
            from bodyworld.site.server import BodyworldSite
            from bodyworld.world.build import WorldConfig, build_world

        world = WorldConfig(
            seed=self.seed,
            num_identities=self.num_identities,
            num_photos_per_identity=self.num_photos_per_identity,
        )
        build_world(world, Path(self.world_dir))
        with (
            BodyworldSite(Path(self.world_dir)) as site,
            open_site(replace(crawl, base_url=site.url)) as source,
        ):
            yield source


def photo_source_of(deployment: Deployment) -> PhotoSourceResource:
    """The site, the folder, or the embedded world if the deployment names neither."""
    if deployment.source_url is None:
        return EmbeddedSource(world_dir=str(deployment.local_root / "bodyworld"))
    if is_folder(deployment.source_url):
        return OwnFolder(address=deployment.source_url)
    return WebSource(base_url=deployment.source_url, parsers=deployment.parsers)
