"""Measure the bundled detectors on an unseen world, through the stages of the pipeline.

    python -m bodyworld.pretrain.evaluate_detectors --report data/pretrain/detectors.json

The held-out world has more watermarks and groups than an ordinary one, so that a rate rests on enough photos.
"One person" is the decision of the curation: one person and at most one face found.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import pyarrow as pa

from bodyworld.pretrain.detector_scores import measure_people, measure_pose, measure_watermarks
from bodyworld.pretrain.face_detector import WEIGHTS_NAME as FACE_WEIGHTS_NAME
from bodyworld.pretrain.pose_estimator import WEIGHTS_NAME as POSE_WEIGHTS_NAME
from bodyworld.weights import weights_folder
from bodyworld.world.build import WorldConfig, build_world
from bolid_pipeline.curation.config import PeopleConfig
from bolid_pipeline.curation.recipes import PeopleRecipe, WatermarkRecipe
from bolid_pipeline.pose.config import PoseConfig
from bolid_pipeline.pose.recipe import PoseRecipe
from bolid_pipeline.pretrained.weights import WeightsFile
from bolid_pipeline.stages.batches import compute_here
from bolid_pipeline.stages.recipe import Recipe
from bolid_pipeline.storage.photos import PhotoStore

HELD_OUT_WORLD = WorldConfig(
    seed=30_000,
    num_identities=10,
    num_photos_per_identity=24,
    watermark_rate=0.30,
    several_people_rate=0.25,
    truncated_rate=0.0,
    wrong_type_rate=0.0,
)
BATCH_SIZE = 32


def read_world(world_dir: Path, store_dir: Path) -> tuple[pa.Table, list[dict[str, Any]]]:
    """Put the photos of a world into a photo store; returns rows like those of `raw_photos`, and the truth of each."""
    store = PhotoStore(store_dir)
    lines = (world_dir / "ground_truth.jsonl").read_text(encoding="utf-8").splitlines()
    truths = [json.loads(line) for line in lines]
    sizes = {
        photo["file"]: photo
        for gallery in json.loads((world_dir / "world.json").read_text(encoding="utf-8"))["galleries"]
        for photo in gallery["photos"]
    }
    rows = []
    for truth in truths:
        photo_id, path = store.add((world_dir / truth["file"]).read_bytes(), "jpg")
        size = sizes[truth["file"]]
        rows.append(
            {"photo_id": photo_id, "path": path, "width_px": size["width"], "height_px": size["height"]}
        )
    return pa.Table.from_pylist(rows), truths


def rows_by(recipe: Recipe, store: PhotoStore, photos: pa.Table) -> list[dict[str, Any]]:
    """The rows that a recipe makes of all photos, in their order."""
    pieces = compute_here(recipe, store, photos, batch_size=BATCH_SIZE, device="cpu")
    return [row for piece in pieces for row in piece.to_pylist()]


def to_markdown(report: dict[str, Any]) -> str:
    """The figures as a Markdown table."""
    rows = (
        ("Watermark F1", report["watermarks"]["f1"], 0.97),
        ("One-person decision F1", report["people"]["f1"], 0.97),
        ("F1 of the opposite decision (nobody, or several)", report["people"]["f1_of_not_one"], None),
        ("Face boxes F1 at IoU 0.5", report["people"]["face_f1_at_iou_50"], None),
        ("Pose PCK@0.1 of the person box", report["pose"]["pck_at_0.1"], 0.95),
        ("Pose PCK@0.05", report["pose"]["pck_at_0.05"], None),
        ("Visible or not, accuracy", report["pose"]["visibility_accuracy"], None),
    )
    lines = [
        f"| {name} | {value:.4f} | {'' if asked is None else f'>= {asked}'} |" for name, value, asked in rows
    ]
    return "\n".join(["| measure | value | asked |", "|---|---|---|", *lines])


def evaluate(
    work_dir: Path, world: WorldConfig, people: PeopleConfig, pose: PoseConfig, max_watermark_prob: float
) -> dict[str, Any]:
    """Measure all three detectors on a world, which is built first if it is not there."""
    build_world(world, work_dir / "world")
    photos, truths = read_world(work_dir / "world", work_dir / "store")
    store = PhotoStore(work_dir / "store")
    face_weights = WeightsFile(path=weights_folder("face_detector") / FACE_WEIGHTS_NAME)
    pose_weights = WeightsFile(path=weights_folder("pose_estimator") / POSE_WEIGHTS_NAME)
    watermark_weights = WeightsFile(path=weights_folder("watermark_classifier") / "model.safetensors")
    find_watermarks = WatermarkRecipe(weights=watermark_weights)
    count_people = PeopleRecipe(face_weights=face_weights, person_weights=pose_weights, config=people)
    find_poses = PoseRecipe(weights=pose_weights, person_weights=pose_weights, config=pose)
    watermark_rows, people_rows, pose_rows = (
        rows_by(recipe, store, photos) for recipe in (find_watermarks, count_people, find_poses)
    )
    return {
        "world": {"seed": world.seed, "num_photos": len(truths)},
        "thresholds": {"face_conf": people.face_conf, "person_conf": people.person_conf, "iou": people.iou},
        "watermarks": measure_watermarks(watermark_rows, truths, max_watermark_prob),
        "people": measure_people(people_rows, truths),
        "pose": measure_pose(pose_rows, truths),
    }


@click.command()
@click.option("--work-dir", type=Path, default=Path("data/pretrain/held_out"), show_default=True)
@click.option(
    "--report", "report_path", type=Path, default=Path("data/pretrain/detectors.json"), show_default=True
)
@click.option("--face-conf", default=0.5, show_default=True)
@click.option("--person-conf", default=0.5, show_default=True)
@click.option("--max-watermark-prob", default=0.5, show_default=True)
@click.option("--seed", default=HELD_OUT_WORLD.seed, show_default=True, help="Of the world.")
@click.option("--iou", default=0.5, show_default=True)
@click.option("--face-image-size-px", default=192, show_default=True)
@click.option("--pose-image-size-px", default=160, show_default=True)
def main(
    *,
    work_dir: Path,
    report_path: Path,
    face_conf: float,
    person_conf: float,
    max_watermark_prob: float,
    seed: int,
    iou: float,
    face_image_size_px: int,
    pose_image_size_px: int,
) -> None:
    """Measure the bundled detectors, write the report, and print its table."""
    people = PeopleConfig(
        face_conf=face_conf,
        person_conf=person_conf,
        iou=iou,
        face_image_size_px=face_image_size_px,
        person_image_size_px=pose_image_size_px,
    )
    report = evaluate(
        work_dir,
        replace(HELD_OUT_WORLD, seed=seed),
        people,
        PoseConfig(image_size_px=pose_image_size_px),
        max_watermark_prob,
    )
    report_path.parent.mkdir(parents=True, exist_ok=True)
    report_path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    click.echo(to_markdown(report))


if __name__ == "__main__":
    main()
