"""Nothing of a forgotten person is left in tables, photos, body banks or reports; the others stay whole."""

import json
import os
import unicodedata
from datetime import UTC, datetime

import pyarrow as pa
import pytest
import torch

from bolid_pipeline.cli import forgetting_models
from bolid_pipeline.cli.forgetting import forget
from bolid_pipeline.errors import StoreLocked, UnknownIdentity
from bolid_pipeline.latents.buckets import Bucket
from bolid_pipeline.latents.layout import LatentLayout, to_binary
from bolid_pipeline.models.body_bank import BodyBank
from bolid_pipeline.scraping.forgotten import forgotten_identities
from bolid_pipeline.settings import to_json
from bolid_pipeline.storage.photos import PhotoStore
from bolid_pipeline.storage.store_lock import hold_store
from bolid_pipeline.storage.tables import TableStore
from bolid_pipeline.training.checkpoint import HELDOUT_PHOTOS_FILE, TRAIN_PHOTOS_FILE, write_photo_ids
from bolid_pipeline.training.presets import demo

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LAYOUT = LatentLayout(
    latent_shapes={Bucket(16, 16): (4, 4, 4)},
    scaling_factor=1.0,
    shift_factor=0.0,
    image_embed_dim=8,
    models="tiny",
)


def add_person(data_dir, identity, num_photos):
    tables, photos = TableStore(data_dir), PhotoStore(data_dir)
    added = [photos.add(f"{identity} {number}".encode(), "jpg") for number in range(num_photos)]
    tables.append(
        "identity_catalogue",
        [
            {
                "identity": identity,
                "name": identity,
                "page_url": f"https://gallery.example/{identity}/",
                "stated_photos": num_photos,
                "listed_photos": num_photos,
                "status": "listed",
                "refreshed_at": NOW,
                "source": "https://gallery.example",
                "failed_at": None,
            }
        ],
    )
    for photo_id, path in added:
        page = f"https://gallery.example/{identity}/{photo_id}"
        by = {"photo_id": photo_id, "model_fingerprint": "made"}
        url = {"page_url": page, "identity": identity}
        rows = {
            "raw_photos": {
                **url,
                "photo_id": photo_id,
                "source_url": page,
                "path": path,
                "width_px": 1000,
                "height_px": 1000,
                "size_bytes": 10,
                "content_type": "image/jpeg",
                "perceptual_hash": "0" * 16,
                "fetched_at": NOW,
            },
            "photo_pages": {**url, "position": 0, "listed_at": NOW},
            "folder_files": {**url, "size_bytes": 10, "sha256": photo_id},
            "rejected_downloads": {**url, "source_url": page, "reason": "empty", "checked_at": NOW},
            "watermark_scores": {**by, "watermark_prob": 0.1},
            "face_detections": {**by, "num_faces": 1, "num_persons": 1, "faces": []},
            "curated_photos": {"photo_id": photo_id, "identity": identity, "is_kept": True, "reasons": []},
            "captions": {**by, "caption": "a photo"},
            "poses": {**by, "keypoints": None, "person_box": None},
            "photo_clusters": {"photo_id": photo_id},
            "catalogue_pages": {"page_url": f"https://gallery.example/{identity}/"},
        }
        for table, row in rows.items():
            blank = dict.fromkeys(tables.schema(table).columns.names)
            tables.append(table, [blank | row])
        numbers = torch.zeros(64).numpy()
        tables.append(
            "latents",
            pa.table(
                {
                    "photo_id": [photo_id],
                    "identity": [identity],
                    "latent": to_binary([numbers], LAYOUT.latent_length),
                    "body_latent": to_binary([numbers], LAYOUT.latent_length),
                    "image_embed": to_binary([numbers[:8]], 8),
                    "crop": pa.array([[0.0, 0.0, 16.0, 16.0]], pa.list_(pa.float32(), 4)),
                    "keypoints": to_binary([numbers[:51]], 51),
                    "model_fingerprint": ["made"],
                    "body_fingerprint": ["made"],
                },
                LAYOUT.columns,
            ),
        )
    return [photo_id for photo_id, _ in added]


def add_checkpoint(data_dir, name, photo_ids_of):
    folder = data_dir / "checkpoints" / name
    folder.mkdir(parents=True)
    BodyBank.of({who: (torch.ones(4), len(ids)) for who, ids in photo_ids_of.items()}).save(folder)
    training = {
        "base_model": "base",
        "config": to_json(demo()),
        "fingerprint": "made",
    }
    (folder / "training_config.json").write_text(json.dumps(training))
    write_photo_ids(folder / TRAIN_PHOTOS_FILE, [id_ for ids in photo_ids_of.values() for id_ in ids[1:]])
    write_photo_ids(folder / HELDOUT_PHOTOS_FILE, [ids[0] for ids in photo_ids_of.values()])
    metrics = {"seconds": 1.0, "l_diff_first": 1.0, "l_diff_last": 0.5}
    (folder / "metrics.json").write_text(json.dumps(metrics))
    (folder / "README.md").write_text(f"people: {', '.join(photo_ids_of)}")
    (data_dir / "reports" / name).mkdir(parents=True)
    (data_dir / "reports" / name / "samples.png").write_bytes(b"their faces")


def mentions(data_dir, words):
    """Files outside of the list of the forgotten whose name or bytes hold one of the words."""
    files = [path for path in data_dir.rglob("*") if path.is_file() and path.name != "forgotten.txt"]
    return [p for p in files if any(word in str(p) or word.encode() in p.read_bytes() for word in words)]


@pytest.fixture
def two_people(tmp_path):
    ids = {"anna": add_person(tmp_path, "anna", 3), "boris": add_person(tmp_path, "boris", 2)}
    add_checkpoint(tmp_path, "run", ids)
    return ids


def test_nothing_that_names_or_shows_the_person_is_left(tmp_path, two_people):
    report = forget(tmp_path, "anna")
    assert report.num_photos == 3
    assert report.models.checkpoints == ("run",)
    assert mentions(tmp_path, ["anna", *two_people["anna"]]) == []
    assert list((tmp_path / "reports").iterdir()) == []
    assert forgotten_identities(tmp_path) == {"anna"}


def test_what_was_cut_short_or_left_unfinished_goes_too(tmp_path, two_people):
    folder = tmp_path / "tables" / "captions"
    part = min(folder.iterdir())
    part.write_bytes(part.read_bytes()[:-20])
    (folder / f".{part.name}.0.tmp").write_bytes(b"anna")
    forget(tmp_path, "anna")
    assert mentions(tmp_path, ["anna", *two_people["anna"]]) == []


def test_nobody_is_forgotten_while_a_run_writes(tmp_path, two_people):
    with hold_store(tmp_path, "run 42"), pytest.raises(StoreLocked, match="run 42"):
        forget(tmp_path, "anna")
    assert mentions(tmp_path, two_people["anna"])


def test_everybody_else_stays_whole(tmp_path, two_people):
    forget(tmp_path, "anna")
    tables = TableStore(tmp_path)
    for table in ("raw_photos", "captions", "poses", "latents", "watermark_scores", "face_detections"):
        assert sorted(tables.read(table)["photo_id"].to_pylist()) == sorted(two_people["boris"])
    assert BodyBank.load(tmp_path / "checkpoints" / "run").identities == ("boris",)
    assert "boris" in (tmp_path / "checkpoints" / "run" / "README.md").read_text()


def test_a_checkpoint_of_nobody_else_goes_as_a_whole(tmp_path, two_people):
    add_checkpoint(tmp_path, "alone", {"anna": two_people["anna"]})
    forget(tmp_path, "anna")
    assert [folder.name for folder in (tmp_path / "checkpoints").iterdir()] == ["run"]


def killed_training(data_dir, name="run"):
    """The hidden folder that a killed training leaves, with weights that learned from everybody's photos."""
    work = data_dir / "checkpoints" / f".{name}.training-0123"
    (work / "logs" / "previews").mkdir(parents=True)
    (work / "state.ckpt").write_bytes(b"anna's weights")
    return work


@pytest.mark.usefixtures("two_people")
def test_what_a_killed_training_left_goes_and_is_named(tmp_path):
    killed_training(tmp_path)
    killed_training(tmp_path, "no_checkpoint_yet")
    for name in (".run.partial", ".run.previous"):
        (tmp_path / "checkpoints" / name).mkdir()
    report = forget(tmp_path, "anna")
    assert [folder.name for folder in (tmp_path / "checkpoints").iterdir()] == ["run"]
    assert report.models.deleted == (
        "checkpoints/.no_checkpoint_yet.training-0123",
        "checkpoints/.run.partial",
        "checkpoints/.run.previous",
        "checkpoints/.run.training-0123",
        "reports/run",
    )


@pytest.mark.usefixtures("two_people")
def test_a_training_goes_on_if_the_person_has_no_photo_in_it(tmp_path):
    work = killed_training(tmp_path)
    add_person(tmp_path, "carl", 0)
    assert forget(tmp_path, "carl").models.deleted == ()
    assert work.is_dir()
    assert (tmp_path / "reports" / "run").is_dir()


def test_a_report_goes_unless_it_is_of_a_checkpoint_that_never_held_the_person(tmp_path, two_people):
    for name, people in (
        ("others", {"boris": two_people["boris"]}),
        ("retrained", {"boris": two_people["boris"]}),
    ):
        add_checkpoint(tmp_path, name, people)
        (tmp_path / "reports" / name / "report.html").write_text("people")
    os.utime(tmp_path / "reports" / "retrained" / "report.html", (1, 1))  # made of an older checkpoint
    (tmp_path / "reports" / "without_checkpoint").mkdir()
    (tmp_path / "reports" / "without_checkpoint" / "samples.png").write_bytes(b"their faces")
    report = forget(tmp_path, "anna")
    assert report.models.deleted == ("reports/retrained", "reports/run", "reports/without_checkpoint")
    assert [path.name for path in (tmp_path / "reports").iterdir()] == ["others"]


def test_a_damaged_checkpoint_is_named_and_keeps_nothing_else_from_going(tmp_path, two_people):
    for name in ("cut_short", "of_other_settings"):
        add_checkpoint(tmp_path, name, two_people)
    (tmp_path / "checkpoints" / "cut_short" / "body_bank.json").write_text("{")
    training = tmp_path / "checkpoints" / "of_other_settings" / "training_config.json"
    training.write_text(json.dumps(json.loads(training.read_text()) | {"config": {"unheard_of": 1}}))
    report = forget(tmp_path, "anna")
    assert report.num_photos == 3
    assert BodyBank.load(tmp_path / "checkpoints" / "run").identities == ("boris",)
    assert [sentence.split(" may still hold anna")[0] for sentence in report.models.left] == [
        f"{tmp_path}/checkpoints/cut_short",
        f"{tmp_path}/checkpoints/of_other_settings",
    ]
    assert not (tmp_path / "reports" / "of_other_settings").exists()


@pytest.mark.usefixtures("two_people")
def test_previews_that_show_the_person_go(tmp_path):
    previews = tmp_path / "checkpoints" / "run" / "logs" / "previews"
    previews.mkdir(parents=True)
    (previews / "step_000000006.png").write_bytes(b"anna, drawn")
    forget(tmp_path, "anna")
    assert not previews.exists()


def test_rows_of_photos_that_are_no_longer_stored_go_too(tmp_path, two_people):
    gone = two_people["anna"][0]
    TableStore(tmp_path).delete("raw_photos", "photo_id", [gone])
    forget(tmp_path, "anna")
    assert gone not in TableStore(tmp_path).read("latents")["photo_id"].to_pylist()
    assert "anna" not in TableStore(tmp_path).read("curated_photos")["identity"].to_pylist()


def test_forgetting_that_was_cut_short_ends_the_next_time(tmp_path, two_people, monkeypatch):
    killed_training(tmp_path)

    def power_cut(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(forgetting_models, "_forget_in_checkpoint", power_cut)
        with pytest.raises(KeyboardInterrupt):
            forget(tmp_path, "anna")
    forget(tmp_path, "anna")
    forget(tmp_path, "anna")  # nothing left to do, and no error
    assert mentions(tmp_path, ["anna", *two_people["anna"]]) == []


def test_the_person_is_forgotten_by_another_normal_form_of_the_name(tmp_path):
    add_person(tmp_path, "zoë", 1)
    assert forget(tmp_path, unicodedata.normalize("NFD", " zoë")).num_photos == 1
    assert forgotten_identities(tmp_path) == {"zoë"}


@pytest.mark.usefixtures("two_people")
def test_somebody_of_nearly_that_name_is_offered_and_not_forgotten(tmp_path):
    for typed in ("Anna", "ana"):
        with pytest.raises(UnknownIdentity, match="did you mean anna"):
            forget(tmp_path, typed)
    assert TableStore(tmp_path).count("raw_photos") == 5


@pytest.mark.usefixtures("two_people")
def test_somebody_unknown_is_refused_and_nothing_is_touched(tmp_path):
    with pytest.raises(UnknownIdentity, match=r"'xu' is in no table .* `bolid block` keeps somebody out"):
        forget(tmp_path, "xu")
    assert forgotten_identities(tmp_path) == frozenset()
    assert TableStore(tmp_path).count("raw_photos") == 5


def test_the_page_with_the_persons_pictures_goes_too(tmp_path):
    add_person(tmp_path, "anna", 2)
    (tmp_path / "overview.html").write_text("<img alt=anna>")
    forget(tmp_path, "anna")
    assert not (tmp_path / "overview.html").exists()
