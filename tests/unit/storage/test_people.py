"""Deleting people from every table that knows them."""

from datetime import UTC, datetime

import pytest
from table_rows import caption, detection, score

from bolid_pipeline.storage.people import delete_people
from bolid_pipeline.storage.photos import PhotoStore
from bolid_pipeline.storage.schemas import SCHEMAS
from bolid_pipeline.storage.tables import TableStore


def row(table, **values):
    return dict.fromkeys(SCHEMAS[table].columns.names) | values


@pytest.fixture
def tables(tmp_path):
    """Two photos each of anna and boris, with rows of several stages."""
    tables, photos = TableStore(tmp_path), PhotoStore(tmp_path)
    for person in ("anna", "boris"):
        tables.append("identity_catalogue", [row("identity_catalogue", identity=person, status="listed")])
        for number in range(2):
            photo_id, path = photos.add(f"{person} {number}".encode(), "jpg")
            page = {"page_url": f"{person}/{number}", "identity": person}
            tables.append("raw_photos", [row("raw_photos", photo_id=photo_id, path=path, **page)])
            tables.append("photo_pages", [row("photo_pages", **page, listed_at=datetime.now(UTC))])
            tables.append("rejected_downloads", [row("rejected_downloads", **page)])
            tables.append("watermark_scores", [score(photo_id)])
            tables.append("face_detections", [detection(photo_id)])
            tables.append("captions", [caption(photo_id)])
            tables.append("curated_photos", [row("curated_photos", photo_id=photo_id, identity=person)])
    return tables


def test_nothing_of_the_deleted_people_stays_and_everything_of_the_others(tables, tmp_path):
    photos = PhotoStore(tmp_path)
    removal = delete_people(tables, photos, ["anna"])
    assert (removal.num_photos, removal.num_rows) == (2, 15)
    counts = {name: tables.count(name) for name in tables.names}
    assert {name: count for name, count in counts.items() if count} == {
        "identity_catalogue": 1,
        **dict.fromkeys(
            [
                "raw_photos",
                "photo_pages",
                "rejected_downloads",
                "watermark_scores",
                "face_detections",
                "captions",
                "curated_photos",
            ],
            2,
        ),
    }
    assert photos.paths() == set(tables.read("raw_photos", ["path"])["path"].to_pylist())


def test_a_deletion_that_was_cut_short_is_finished_by_the_next(tables, tmp_path, monkeypatch):
    photos = PhotoStore(tmp_path)
    with monkeypatch.context() as broken:
        broken.setattr(photos, "delete", lambda _path: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            delete_people(tables, photos, ["anna"])
    assert "anna" in tables.read("identity_catalogue", ["identity"])["identity"].to_pylist()
    delete_people(tables, photos, ["anna"])
    assert photos.paths() == set(tables.read("raw_photos", ["path"])["path"].to_pylist())
    assert tables.count("raw_photos") == 2


def test_deleting_nobody_changes_nothing(tables, tmp_path):
    before = {name: tables.parts(name) for name in tables.names}
    assert delete_people(tables, PhotoStore(tmp_path), []).num_rows == 0
    assert {name: tables.parts(name) for name in tables.names} == before
