"""A site with one page, and a client of it."""

from collections.abc import Iterator

import pytest
from fault_server import FaultySite
from loopback_client import FINE, make_client

from bolid_pipeline.scraping.client import PoliteClient


@pytest.fixture
def site() -> Iterator[FaultySite]:
    with FaultySite({"/x": FINE}) as site:
        yield site


@pytest.fixture
def client(site: FaultySite) -> Iterator[PoliteClient]:
    with make_client(site) as client:
        yield client
