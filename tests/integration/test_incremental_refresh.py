"""A refresh computes exactly the rows that are missing, or whose ingredients have changed."""

import shutil
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from own_photos import OwnPhotos
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from assets import captioning, curation, latents, pose
from bodyworld.weights import weights_folder
from bolid_pipeline.captioning.config import ClipCaptionConfig, VlmConfig
from bolid_pipeline.captioning.recipe import CaptionRecipe
from bolid_pipeline.curation.config import CurationConfig
from bolid_pipeline.curation.near_duplicates import refresh_clusters
from bolid_pipeline.curation.recipes import PeopleRecipe, WatermarkRecipe
from bolid_pipeline.latents.recipe import LatentRecipe
from bolid_pipeline.latents.selection import photos_with_pose
from bolid_pipeline.pose.recipe import PoseRecipe
from bolid_pipeline.storage.location import Location
from bolid_pipeline.storage.photos import PhotoStore
from bolid_pipeline.storage.schemas import SCHEMAS
from bolid_pipeline.storage.tables import TableStore
from resources.compute_engine import ComputeEngine
from resources.deployments import Deployment, demo
from resources.model_hub import EmbeddedModels, model_hub_of
from resources.photo_source import WebSource
from resources.table_store import DataStore, data_store_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

PEOPLE = sorted((Path(__file__).parent / "people").glob("*.jpg"))
MODULES = [captioning, curation, latents, pose]
STAGES = ("watermark_scores", "face_detections", "curated_photos", "captions", "poses", "latents")
BUNDLED = weights_folder("clip").parent


def deployment_of(data_dir: Location) -> Deployment:
    """The demo, for small photos of which all pass the curation but for what a test asks."""
    curation_config = CurationConfig(min_side_px=64, min_photos_per_identity=1, max_watermark_prob=1.0)
    return replace(demo(data_dir), curation=curation_config, captioner=ClipCaptionConfig(num_contexts=1))


def refresh(deployment: Deployment, weights_dir: Path = BUNDLED) -> dict[str, int]:
    """Run every stage after the crawl; the number of rows that each computed, zeros left out."""
    graph: list[Any] = [*dg.load_assets_from_modules(MODULES), *dg.load_asset_checks_from_modules(MODULES)]
    done = dg.materialize(
        graph,
        selection=dg.AssetSelection.assets(*STAGES),
        resources={
            "store": DataStore(data_dir=str(deployment.data_dir)),
            "photo_source": WebSource(base_url="http://127.0.0.1:1"),  # of raw_photos, which is not selected
            "model_hub": EmbeddedModels(weights_dir=str(weights_dir)),
            "compute_engine": ComputeEngine(device="cpu"),
            "deployment": deployment,
        },
    )
    computed: dict[str, Any] = {}
    for event in done.get_asset_materialization_events():
        (name,), metadata = event.asset_key.path, event.materialization.metadata
        computed[name] = metadata["num_computed"].value
        if name == "latents":
            computed["body_latents alone"] = metadata["num_body_latents_redone"].value
    assert len(computed) == 7
    return {name: count for name, count in computed.items() if count}


def size_of(path: Path) -> tuple[int, int]:
    """Width and height in px."""
    with Image.open(path) as photo:
        return photo.size


def crawl(data_dir: Location, photos: list[Path]) -> None:
    """Put photos into the store, each of another person, as the crawl does."""
    blank = dict.fromkeys(SCHEMAS["raw_photos"].columns.names)
    rows: list[dict[str, Any]] = []
    for path in photos:
        photo_id, stored = PhotoStore(data_dir).add(path.read_bytes(), "jpg")
        width, height = size_of(path)
        size = {"width_px": width, "height_px": height, "fetched_at": datetime.now(UTC)}
        rows.append(blank | size | {"photo_id": photo_id, "identity": path.stem, "path": stored})
    TableStore(data_dir).append("raw_photos", rows)


@pytest.fixture(scope="module")
def refreshed(tmp_path_factory):
    """Data of four people, all up to date."""
    data_dir = tmp_path_factory.mktemp("refreshed") / "data"
    crawl(data_dir, PEOPLE[:4])
    assert refresh(deployment_of(data_dir)) == dict.fromkeys(STAGES, 4)
    return data_dir


@pytest.fixture
def data_dir(refreshed, tmp_path):
    return shutil.copytree(refreshed, tmp_path / "data")


def with_other_bytes(file: str, folder: Path) -> Path:
    """The bundled weights with one file that computes the same and has another hash."""
    shutil.copytree(BUNDLED, folder, copy_function=lambda source, target: Path(target).symlink_to(source))
    changed = folder / file
    changed.unlink()
    if changed.suffix == ".safetensors":
        with safe_open(BUNDLED / file, "pt") as weights:
            metadata: Mapping[str, str] = weights.metadata() or {}
        save_file(load_file(BUNDLED / file), changed, {**metadata, "retrained": "yes"})
    else:
        changed.write_text((BUNDLED / file).read_text("utf-8") + "\n", "utf-8")
    return folder


WATERMARK = "watermark_classifier/model.safetensors"
FACE = "face_detector/yolo11n-face.safetensors"
POSE = "pose_estimator/yolo11n-pose.safetensors"
VAE = "base_model/vae/diffusion_pytorch_model.safetensors"
IMAGE_ENCODER = "base_model/image_encoder/model.safetensors"


@pytest.mark.parametrize(
    ("file", "redone"),
    [
        (WATERMARK, {"watermark_scores"}),
        (FACE, {"face_detections"}),
        (POSE, {"face_detections", "poses", "latents"}),
        ("clip/model.safetensors", {"captions"}),
        ("clip/slots.json", {"captions"}),
        (VAE, {"latents"}),
        (IMAGE_ENCODER, {"latents"}),
    ],
)
def test_other_weights_redo_what_they_make_and_what_depends_on_it(data_dir, tmp_path, file, redone):
    weights_dir = with_other_bytes(file, tmp_path / "weights")
    assert refresh(deployment_of(data_dir), weights_dir) == dict.fromkeys(redone, 4)
    assert refresh(deployment_of(data_dir), weights_dir) == {}


@pytest.mark.parametrize(
    ("part", "change", "redone"),
    [
        ("latents", {"sigma_fraction": 0.2}, {"body_latents alone"}),
        ("latents", {"alpha": 0.5}, {"body_latents alone"}),
        ("latents", {"resolution_px": 96}, {"latents"}),
        ("captioner", {"seed": 1}, {"captions"}),
        ("people", {"face_conf": 0.31}, {"face_detections"}),
        ("pose", {"iou": 0.61}, {"poses", "latents"}),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_another_setting_redoes_what_it_shapes(data_dir, part, change, redone):
    deployment = deployment_of(data_dir)
    changed = replace(deployment, **{part: replace(getattr(deployment, part), **change)})
    assert refresh(changed) == dict.fromkeys(redone, 4)


def test_another_minimum_size_redoes_the_verdicts_it_changes_and_no_model_sees_a_photo_twice(data_dir):
    deployment = deployment_of(data_dir)
    sides = sorted(min(size_of(path)) for path in PEOPLE[:4])
    stricter = replace(deployment, curation=replace(deployment.curation, min_side_px=sides[0] + 1))
    num_dropped = sum(side <= sides[0] for side in sides)
    assert 0 < num_dropped < 4
    assert refresh(stricter) == {"curated_photos": num_dropped}
    assert refresh(deployment) == dict.fromkeys(
        ("curated_photos", "captions", "poses", "latents"), num_dropped
    )


def test_another_prompt_is_another_captioner():
    clip = BUNDLED / "clip"
    configs = (VlmConfig(prompt="Describe."), VlmConfig(prompt="Describe it."), ClipCaptionConfig())
    assert len({CaptionRecipe(model=clip, config=config).fingerprint for config in configs}) == 3


def test_one_new_person_among_twenty_costs_a_twentieth_and_nothing_new_costs_nothing(tmp_path):
    deployment = deployment_of(tmp_path / "data")
    crawl(deployment.data_dir, PEOPLE[:20])
    first = sum(refresh(deployment).values())
    assert refresh(deployment) == {}
    crawl(deployment.data_dir, PEOPLE[20:21])
    assert 0 < sum(refresh(deployment).values()) <= 0.1 * first


COLUMNS = {
    "photo_clusters": ("photo_id", "cluster_id", "is_shared", "identity"),
    "watermark_scores": ("photo_id", "model_fingerprint"),
    "face_detections": ("photo_id", "num_persons", "model_fingerprint"),
    "curated_photos": ("photo_id", "identity", "is_kept"),
    "captions": ("photo_id", "caption", "model_fingerprint"),
    "poses": ("photo_id", "model_fingerprint"),
    "latents": ("photo_id", "identity", "model_fingerprint", "body_fingerprint"),
}
"""What a refresh gives, but for numbers that depend on the photos of a batch."""


def follow(own: OwnPhotos) -> dict[str, int]:
    """The rows that a refresh of everything has computed."""
    own.refresh()
    refresh_clusters(own.tables)
    return refresh(deployment_of(own.data_dir))


def tables_of(own: OwnPhotos) -> dict[str, list[tuple[object, ...]]]:
    return {table: own.rows(table, *columns) for table, columns in COLUMNS.items()}


def test_tables_behind_a_changed_folder_say_what_the_folder_says(tmp_path):
    """A person renamed, a photo put right, one edited, one deleted: all tables are those of a fresh crawl."""
    own = OwnPhotos(tmp_path)
    places = ("anna/1.jpg", "anna/2.jpg", "boris/1.jpg", "boris/wrong.jpg", "clara/1.jpg")
    own.add_all({place: path.read_bytes() for place, path in zip(places, PEOPLE, strict=False)})
    follow(own)
    own.move("boris", "boris_b")
    own.move("boris_b/wrong.jpg", "anna/3.jpg")
    (own.root / "anna/1.jpg").write_bytes(PEOPLE[5].read_bytes())
    (own.root / "clara/1.jpg").unlink()
    computed = follow(own)
    assert computed["latents"] == computed["captions"] == computed["poses"] == 1  # the edited one
    assert computed["watermark_scores"] == computed["face_detections"] == 1

    fresh = OwnPhotos(tmp_path / "fresh")
    fresh.root = own.root
    follow(fresh)
    assert tables_of(own) == tables_of(fresh)
    assert {person for _, person, *_ in own.rows("latents", "photo_id", "identity")} == {"anna", "boris_b"}


def test_a_batch_of_which_no_photo_can_be_read_is_a_result_of_every_stage(data_dir):
    for path in (data_dir / "photos").glob("*/*"):
        path.write_bytes(b"gone bad")
    deployment = deployment_of(data_dir)
    store, hub = data_store_of(deployment), model_hub_of(deployment)
    poses = store.tables.read("poses")
    photos = photos_with_pose(store.kept_photos(), poses, deployment.latents.min_keypoint_conf)
    whole = LatentRecipe.from_poses(poses, models=hub.latent_models(), config=deployment.latents)
    recipes = [
        WatermarkRecipe(weights=hub.file("watermark_classifier")),
        PeopleRecipe(
            face_weights=hub.file("face_detector"),
            person_weights=hub.file("person_detector"),
            config=deployment.people,
        ),
        CaptionRecipe(model=hub.folder("captioner"), config=deployment.captioner),
        PoseRecipe(
            weights=hub.file("pose_estimator"),
            person_weights=hub.file("person_detector"),
            config=deployment.pose,
        ),
        whole,
        whole.body,
    ]
    made = [recipe.open(store.photos, "cpu")(photos) for recipe in recipes]
    assert [rows.schema for rows in made] == [recipe.made_columns for recipe in recipes]
    assert [rows.num_rows for rows in made] == [4, 4, 4, 4, 0, 0]
