"""A client of a faulty site on loopback, and what it asked for."""

from typing import Any

from fault_server import CANONICAL_URL, FaultySite, Response

from bolid_pipeline.scraping.client import PoliteClient
from bolid_pipeline.scraping.config import CrawlConfig

X = f"{CANONICAL_URL}/x"
FINE = Response(body=b"at last")


def make_client(site: FaultySite, **options: Any) -> PoliteClient:
    manners: dict[str, Any] = {"requests_per_second": 1000.0, "max_retries": 2, "backoff_seconds": 0.01}
    return PoliteClient(CrawlConfig(base_url=site.url, canonical_url=CANONICAL_URL, **(manners | options)))


def paths(site: FaultySite) -> list[str]:
    return [request.path for request in site.log]
