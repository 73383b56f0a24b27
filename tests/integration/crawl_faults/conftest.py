"""The crawl of an odd photo, for the tests of this folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from odd_photo import OddPhotoCrawl


@pytest.fixture
def crawl(tmp_path: Path) -> Iterator[OddPhotoCrawl]:
    crawl = OddPhotoCrawl(tmp_path / "data")
    with crawl.site:
        yield crawl
