"""Tables, photos, lock, whole runs and forgetting on object storage: a real S3 server on loopback."""

import threading
import time

import pyarrow.parquet as pq
import pytest
from own_photos import OwnPhotos
from refresh_process import run_refresh
from stored import contents

from bolid_pipeline.cli.forgetting import forget
from bolid_pipeline.errors import DamagedTable, StoreLocked
from bolid_pipeline.scraping.fetch_journal import FetchJournal, RefusedFile
from bolid_pipeline.scraping.forgotten import forgotten_identities, remember_to_forget
from bolid_pipeline.storage import object_lock
from bolid_pipeline.storage.photos import PhotoStore
from bolid_pipeline.storage.store_lock import hold_store, living_holder
from bolid_pipeline.storage.tables import TableStore


@pytest.fixture
def address(s3_bucket):
    return s3_bucket / "data"


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
    assert tables.snapshot("captions").missing(["a", "b"]) == ["a", "b"]
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


def test_a_folder_of_ones_own_photos_is_kept_in_step(address, tmp_path):
    own = OwnPhotos(tmp_path)
    own.use(own.root, address)
    own.add_all({"anna/1.jpg": 1, "anna/2.jpg": 2, "boris/3.jpg": 3, "boris/copy.jpg": 3})
    assert own.refresh().photos_new == 3
    own.move("anna/1.jpg", "boris/1.jpg")
    (own.root / "boris/3.jpg").unlink()
    (own.root / "anna/2.jpg").unlink()
    report = own.refresh()
    assert (report.photos_new, report.photos_known, report.photos_gone) == (0, 2, 1)
    assert own.stored == {"boris/1.jpg": "boris", "boris/copy.jpg": "boris"}
    own.check_as_fresh()


def test_a_killed_crawl_leaves_its_journal(address):
    photos = PhotoStore(address)
    urls = [f"https://gallery.example/{number}.jpg" for number in range(3)]
    killed = FetchJournal(address, photos)
    for url in urls:
        killed.add(RefusedFile(source_url=url, reason="truncated"))
    journal = FetchJournal(address, photos)
    assert [journal.refusal(url) for url in urls] == ["truncated"] * 3
    journal.close(())
    assert FetchJournal(address, photos).is_empty


@pytest.fixture
def quick_renewal(monkeypatch):
    """A holder may still be late by a lot on a busy machine before it is taken for dead."""
    monkeypatch.setattr(object_lock, "RENEWED_EVERY_SECONDS", 0.2)
    monkeypatch.setattr(object_lock, "DEAD_AFTER_SECONDS", 30.0)


@pytest.mark.usefixtures("quick_renewal")
def test_the_second_writer_is_told_who_the_first_one_is(address):
    with hold_store(address, "run 42"), pytest.raises(StoreLocked, match=r"by run 42 \(process"):
        hold_store(address, "run 43").__enter__()
    with hold_store(address, "run 43"):
        pass
    assert list(address.glob(".writer*")) == []


@pytest.mark.usefixtures("quick_renewal")
def test_the_living_holder_is_named_and_a_killed_one_is_not(address, monkeypatch):
    assert living_holder(address) is None
    with hold_store(address, "run 42"):
        assert living_holder(address) == "run 42"
    monkeypatch.setattr(object_lock, "DEAD_AFTER_SECONDS", 2.0)
    killed = {"holder": "run 42", "pid": 1, "host": "gone", "since": "long ago", "token": "0"}
    object_lock._create(address / ".writer.json", killed)
    assert living_holder(address) is None


@pytest.mark.usefixtures("quick_renewal")
def test_of_all_who_find_a_killed_writers_lock_one_takes_it(address, caplog, monkeypatch):
    monkeypatch.setattr(object_lock, "DEAD_AFTER_SECONDS", 2.0)
    killed = {"holder": "run 42", "pid": 1, "host": "gone", "since": "long ago", "token": "0"}
    object_lock._create(address / ".writer.json", killed)
    holders, refusals, may_end = [], [], threading.Event()

    def write(name):
        try:
            with hold_store(address, name):
                holders.append(name)
                may_end.wait(30)
        except StoreLocked as error:
            refusals.append(str(error))

    writers = [threading.Thread(target=write, args=(f"run {number}",)) for number in range(3)]
    for writer in writers:
        writer.start()
    deadline = time.monotonic() + 60
    while len(holders) + len(refusals) < 3 and time.monotonic() < deadline:
        time.sleep(0.05)
    may_end.set()
    for writer in writers:
        writer.join()
    assert (len(holders), len(refusals)) == (1, 2)
    assert "run 42 (process 1 on gone, since long ago) ended without giving the store back" in caplog.text
    assert list(address.glob(".writer*")) == []


@pytest.mark.usefixtures("quick_renewal")
def test_who_was_taken_for_dead_learns_of_it(address):
    with pytest.raises(StoreLocked, match="taken over by run 43"), hold_store(address, "run 42"):
        object_lock._write(address / ".writer.json", object_lock.holder_note("run 43") | {"token": "1"})
    assert b"run 43" in (address / ".writer.json").read_bytes()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_whole_run_gives_the_tables_of_a_run_in_a_folder(
    address, s3_endpoint, people_site, uninterrupted, tmp_path
):
    access = {"AWS_ENDPOINT_URL": s3_endpoint, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    for _ in range(2):
        done = run_refresh(str(address), people_site.url, log=tmp_path / "run", environment=access)
        assert done.exit_code == 0, done.output
        assert contents(address) == contents(uninterrupted[0])

    forget(address, "anna", local_dir=tmp_path)
    tables = TableStore(address)
    for table in ("raw_photos", "latents"):
        assert set(tables.read(table, ["identity"])["identity"].to_pylist()) == {"boris"}
    assert len(PhotoStore(address).paths()) == 3
    assert list(address.glob(".writer*")) == []
