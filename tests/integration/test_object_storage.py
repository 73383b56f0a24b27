"""Tables, photos and the list of the forgotten on object storage: a real S3 server on loopback."""

import pyarrow.parquet as pq
import pytest
from moto.server import ThreadedMotoServer
from upath import UPath

from bolid_pipeline.errors import DamagedTable
from bolid_pipeline.storage.forgotten import forgotten_identities, remember_to_forget
from bolid_pipeline.storage.photos import PhotoStore
from bolid_pipeline.storage.tables import TableStore


@pytest.fixture(scope="module")
def endpoint():
    server = ThreadedMotoServer("127.0.0.1", 0)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def address(endpoint, request):
    bucket = UPath(
        f"s3://{request.node.name.replace('_', '-')[:60]}",
        key="test",
        secret="test",  # noqa: S106 - the server on loopback asks for some
        endpoint_url=endpoint,
        use_listings_cache=False,
    )
    bucket.mkdir()
    return bucket / "data"


def captions(photo_ids, word="sitting"):
    return [{"photo_id": photo_id, "caption": word, "model_fingerprint": "a"} for photo_id in photo_ids]


def test_a_table_is_written_read_compacted_and_pruned(address):
    tables = TableStore(address)
    tables.append("captions", captions("abc"))
    tables.append("captions", captions("cd", "standing"))
    expected = [*captions("ab"), *captions("cd", "standing")]
    assert tables.read("captions").to_pylist() == expected
    assert tables.compact("captions") == 1
    assert tables.read("captions").to_pylist() == expected
    assert tables.prune("captions", ["d"]) == 3
    (part,) = tables.parts("captions")
    with part.open("rb") as file:
        assert pq.read_table(file).to_pylist() == captions("d", "standing")


def test_a_part_cut_short_is_named_and_set_aside(address):
    tables = TableStore(address)
    tables.append("captions", captions("ab"))
    (part,) = tables.parts("captions")
    part.write_bytes(part.read_bytes()[:-20])
    with pytest.raises(DamagedTable, match=part.name):
        tables.read("captions")
    tables.recover()
    assert tables.outdated("captions", ["a", "b"]) == ["a", "b"]
    tables.delete_set_aside()
    assert list((address / "tables" / "captions").glob("*")) == []


def test_photos_and_the_forgotten(address):
    photos = PhotoStore(address)
    photo_id, path = photos.add(b"bytes as received", "jpg")
    assert photos.read(path) == b"bytes as received"
    assert path.endswith(f"{photo_id}.jpg")
    photos.delete(path)
    with pytest.raises(FileNotFoundError):
        photos.read(path)
    remember_to_forget(address, "anna")
    assert forgotten_identities(address) == {"anna"}
