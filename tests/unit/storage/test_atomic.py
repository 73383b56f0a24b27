import subprocess
import sys

from upath import UPath

from bolid_pipeline.storage.photos import PhotoStore
from bolid_pipeline.storage.tables import TableStore

_WRITER = """
import resource, signal, sys
from pathlib import Path
from bolid_pipeline.errors import StorageFull
from bolid_pipeline.storage.atomic import write_atomically
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    write_atomically(Path(sys.argv[1]), bytes(5000))
except StorageFull as error:
    print(error)
"""


def test_what_does_not_fit_leaves_the_old_file_and_says_so(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    done = subprocess.run([sys.executable, "-c", _WRITER, path], capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"no room for {path}")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_tables_and_photos_live_at_an_address_too():
    address = UPath("memory://bolid-test/data")
    tables, photos = TableStore(address), PhotoStore(address)
    for prob in (0.25, 0.75):
        row = {"photo_id": "x", "watermark_prob": prob, "model_fingerprint": "a"}
        tables.append("watermark_scores", [row, row | {"photo_id": f"{prob}"}])
    assert tables.compact("watermark_scores") == 1
    assert sorted(tables.read("watermark_scores")["watermark_prob"].to_pylist()) == [0.25, 0.75, 0.75]
    cut = tables.parts("watermark_scores")[0]
    cut.write_bytes(cut.read_bytes()[:-20])
    assert [part.name for part in tables.recover()] == [f"_{cut.name}.damaged"]
    assert tables.count("watermark_scores") == 0
    _, path = photos.add(b"bytes", "jpg")
    assert photos.read(path) == b"bytes"
    photos.delete(path)
    photos.delete(path)
