"""An empty store."""

from pathlib import Path

import pytest

from bolid_pipeline.storage.tables import TableStore


@pytest.fixture
def tables(tmp_path: Path) -> TableStore:
    return TableStore(tmp_path)
