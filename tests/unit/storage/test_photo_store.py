import hashlib

import pytest

from bolid_pipeline.storage.atomic import write_atomically
from bolid_pipeline.storage.photos import PhotoStore


def test_a_photo_lies_under_the_hash_of_its_bytes(tmp_path):
    photos = PhotoStore(tmp_path)

    photo_id, path = photos.add(b"bytes as received", "jpg")

    assert photo_id == hashlib.sha256(b"bytes as received").hexdigest()
    assert path == f"photos/{photo_id[:2]}/{photo_id}.jpg"
    assert (tmp_path / path).read_bytes() == photos.read(path) == b"bytes as received"
    assert [file.name for file in (tmp_path / path).parent.iterdir()] == [f"{photo_id}.jpg"]


def test_the_same_photo_is_kept_once(tmp_path):
    photos = PhotoStore(tmp_path)
    _, path = photos.add(b"twice", "jpg")
    before = (tmp_path / path).stat().st_mtime_ns
    assert photos.add(b"twice", "jpg")[1] == path
    assert (tmp_path / path).stat().st_mtime_ns == before


def test_a_deleted_photo_is_gone_and_may_be_deleted_again(tmp_path):
    photos = PhotoStore(tmp_path)
    _, path = photos.add(b"short-lived", "png")
    photos.delete(path)
    photos.delete(path)
    with pytest.raises(FileNotFoundError):
        photos.read(path)


@pytest.mark.parametrize("path", ["../secret", "photos/../tables/poses", "/etc/hostname"])
def test_paths_outside_of_the_photo_folder_are_refused(tmp_path, path):
    with pytest.raises(ValueError, match="outside"):
        PhotoStore(tmp_path).read(path)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "folder" / "file"
    write_atomically(path, b"old")
    with pytest.raises(TypeError):
        write_atomically(path, "no bytes")  # pyright: ignore[reportArgumentType]
    assert path.read_bytes() == b"old"
    assert list(path.parent.iterdir()) == [path]
