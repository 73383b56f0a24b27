"""A site with one page, a client of it, and a folder of one's own photos."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fault_server import FaultySite
from loopback_client import FINE, make_client
from own_photos import OwnPhotos

from bolid_pipeline.scraping.client import PoliteClient


@pytest.fixture
def site() -> Iterator[FaultySite]:
    with FaultySite({"/x": FINE}) as site:
        yield site


@pytest.fixture
def client(site: FaultySite) -> Iterator[PoliteClient]:
    with make_client(site) as client:
        yield client


@pytest.fixture
def own(tmp_path: Path) -> OwnPhotos:
    return OwnPhotos(tmp_path)
