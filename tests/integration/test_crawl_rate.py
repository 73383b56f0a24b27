"""How often and how many at once a whole crawl asks, by the server's own log."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from fault_server import CANONICAL_URL, FaultySite, Request, Response, html

from bodyworld.site.server import BodyworldSite
from bolid_pipeline.scraping.client import PoliteClient
from bolid_pipeline.scraping.config import CrawlConfig
from bolid_pipeline.scraping.crawler import crawl_catalogue, crawl_photos
from bolid_pipeline.scraping.sources.site import open_site
from bolid_pipeline.storage.photos import PhotoStore
from bolid_pipeline.storage.tables import TableStore

RATE = 20.0


def most_in_a_second(times: list[float]) -> int:
    return max(sum(start <= time < start + 1.0 for time in times) for start in times)


@pytest.mark.parametrize("is_failing", [False, True], ids=["all well", "every third answer fails"])
def test_a_crawl_keeps_to_rate_and_concurrency_further_tries_included(
    tmp_path: Path, make_site, is_failing: bool
):
    class Slow(FaultySite):
        """The stand-in's pages, each after a tenth of a second."""

        def respond(self, request: Request) -> Response:
            self.closing.wait(0.1)
            if is_failing and len(self.log) % 3 == 0:
                return Response(status=500)
            reply = world.respond(request.path)
            return Response(status=reply.status, body=reply.body, content_type=reply.content_type)

    world: BodyworldSite = make_site()
    with Slow({}) as site:
        config = CrawlConfig(
            base_url=site.url,
            canonical_url=CANONICAL_URL,
            requests_per_second=RATE,
            max_concurrency=3,
            max_retries=9,
            backoff_seconds=0.01,
        )
        tables = TableStore(tmp_path / "data")
        with open_site(config) as source:
            crawl_catalogue(source, tables)
            report = crawl_photos(source, tables, PhotoStore(tmp_path / "data"))
            assert source.counts.requests == len(site.log)
    assert report.photos_new == 19
    # One more than allowed may be seen where a request was held up on its way and the next ones were not.
    assert most_in_a_second([request.time for request in site.log]) <= RATE + 1
    assert 1 < site.max_in_flight <= 3


def test_an_allowed_rate_is_used():
    """A floor that holds on a busy machine; `benchmarks/crawl_throughput.py` gives the figure (at least 95 %)."""
    with FaultySite({"/": html("")}) as site:
        config = CrawlConfig(base_url=site.url, requests_per_second=RATE)
        with PoliteClient(config) as client, ThreadPoolExecutor(4) as threads:
            list(threads.map(client.get_page, [f"{site.url}/"] * 40))
        times = [request.time for request in site.log]
    assert (len(times) - 1) / (times[-1] - times[0]) >= RATE / 2
