"""Measure the bundled detectors on photos of a world they have never seen, through the pipeline's own stages.

    python -m bodyworld.pretrain.evaluate_detectors --report data/pretrain/detectors.json

The held-out world has more watermarks and groups than an ordinary one, so that the rates mean something.
"One person" is the curation's decision: one person and at most one face found.

Shape suffixes: N photos, K keypoints.
"""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import click
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

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


@dataclass(frozen=True, kw_only=True)
class Counts:
    """How often a yes-or-no decision was right."""

    true_positives: int
    false_positives: int
    false_negatives: int
    true_negatives: int

    @classmethod
    def of(cls, said: NDArray[np.bool_], true: NDArray[np.bool_]) -> Self:
        """Compare decisions with the truth, (N,) each."""
        return cls(
            true_positives=int((said & true).sum()),
            false_positives=int((said & ~true).sum()),
            false_negatives=int((~said & true).sum()),
            true_negatives=int((~said & ~true).sum()),
        )

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        return f1_score(self.true_positives, self.false_positives, self.false_negatives)

    @property
    def f1_of_no(self) -> float:
        """F1 with the two answers exchanged."""
        return f1_score(self.true_negatives, self.false_negatives, self.false_positives)


def f1_score(true_positives: int, false_positives: int, false_negatives: int) -> float:
    """F1; 0 where nothing was found."""
    return 2 * true_positives / max(2 * true_positives + false_positives + false_negatives, 1)


def read_world(world_dir: Path, store_dir: Path) -> tuple[pa.Table, list[dict[str, Any]]]:
    """Put a world's photos into a photo store; returns rows as of `raw_photos` and the truth of each."""
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


def match_boxes(found: NDArray[Any], true: NDArray[Any], min_iou: float = 0.5) -> int:
    """How many true boxes (x1, y1, x2, y2) are found: greedy matches in the order of `found`."""
    taken: set[int] = set()
    for box in found.reshape(-1, 4):
        overlaps = [0.0 if i in taken else box_iou(box, other) for i, other in enumerate(true.reshape(-1, 4))]
        if overlaps and max(overlaps) >= min_iou:
            taken.add(int(np.argmax(overlaps)))
    return len(taken)


def box_iou(a: NDArray[Any], b: NDArray[Any]) -> float:
    """Intersection over union of two boxes."""
    shared = np.clip(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0, None).prod()
    areas = [float((box[2:] - box[:2]).prod()) for box in (a, b)]
    return float(shared / max(sum(areas) - shared, 1e-9))


def correct_keypoints(
    found_K3: NDArray[Any] | None, true_K3: NDArray[Any], box: NDArray[Any], fraction: float
) -> NDArray[np.bool_]:
    """For every visible keypoint: is it found within `fraction` of the longer side of the person's box?"""
    is_visible = true_K3[:, 2] > 0
    if found_K3 is None:
        return np.zeros(int(is_visible.sum()), bool)
    distance = np.hypot(*(found_K3 - true_K3)[is_visible, :2].T)
    return distance <= fraction * float((box[2:] - box[:2]).max())


def measure_watermarks(
    rows: list[dict[str, Any]], truths: list[dict[str, Any]], max_prob: float
) -> dict[str, Any]:
    """F1 where more than `max_prob` counts as watermarked, F1 over thresholds, and what was missed."""
    probs = np.array([row["watermark_prob"] for row in rows])
    true = np.array([truth["has_watermark"] for truth in truths])
    missed = [t for t, prob in zip(truths, probs, strict=True) if t["has_watermark"] and prob <= max_prob]
    return {
        "num_photos": len(true),
        "num_watermarked": int(true.sum()),
        "f1": Counts.of(probs > max_prob, true).f1,
        "counts": vars(Counts.of(probs > max_prob, true)),
        "f1_at": {
            f"{level:.2f}": round(Counts.of(probs > level, true).f1, 4)
            for level in np.arange(0.5, 0.99, 0.02)
        },
        "missed": [{key: t[key] for key in ("file", "watermark_kind", "watermark_opacity")} for t in missed],
    }


def measure_people(rows: list[dict[str, Any]], truths: list[dict[str, Any]]) -> dict[str, Any]:
    """The one-person decision, and the face boxes."""
    said = np.array([row["num_persons"] == 1 and row["num_faces"] <= 1 for row in rows])
    true = np.array([truth["num_people"] == 1 for truth in truths])
    counts = Counts.of(said, true)
    faces = [
        np.array([[f[k] for k in ("x1", "y1", "x2", "y2")] for f in row["faces"]], float) for row in rows
    ]
    true_faces = [np.array(truth["face_boxes"], float) for truth in truths]
    matched = sum(match_boxes(f, t) for f, t in zip(faces, true_faces, strict=True))
    num_found, num_true = sum(map(len, faces)), sum(map(len, true_faces))
    hidden = [s for s, truth in zip(said, truths, strict=True) if truth["has_hidden_face"]]
    wrong = [(row, truth) for row, truth, s, t in zip(rows, truths, said, true, strict=True) if s != t]
    return {
        "num_photos": len(true),
        "num_one_person": int(true.sum()),
        "f1": counts.f1,
        "f1_of_not_one": counts.f1_of_no,
        "counts": vars(counts),
        "num_groups_with_hidden_face": len(hidden),
        "num_groups_with_hidden_face_caught": int(len(hidden) - sum(hidden)),
        "person_count_accuracy": float(
            np.mean([r["num_persons"] == t["num_people"] for r, t in zip(rows, truths, strict=True)])
        ),
        "face_f1_at_iou_50": f1_score(matched, num_found - matched, num_true - matched),
        "wrong": [
            {
                "file": t["file"],
                **{k: t[k] for k in ("num_people", "num_faces")},
                "found": [r["num_persons"], r["num_faces"]],
            }
            for r, t in wrong
        ],
    }


def measure_pose(rows: list[dict[str, Any]], truths: list[dict[str, Any]]) -> dict[str, Any]:
    """PCK over the visible keypoints of photos of one person, and how well visibility is told."""
    hits: dict[float, list[NDArray[np.bool_]]] = {0.1: [], 0.05: []}
    told: list[NDArray[np.bool_]] = []
    for row, truth in zip(rows, truths, strict=True):
        if truth["num_people"] != 1:
            continue
        true_K3, box = np.array(truth["keypoints"]), np.array(truth["person_boxes"][0])
        found_K3 = None if row["keypoints"] is None else np.array(row["keypoints"])
        for fraction, results in hits.items():
            results.append(correct_keypoints(found_K3, true_K3, box, fraction))
        if found_K3 is not None:
            told.append((found_K3[:, 2] > 0.5) == (true_K3[:, 2] > 0))
    return {
        "num_photos": len(hits[0.1]),
        "num_keypoints": int(sum(map(len, hits[0.1]))),
        **{f"pck_at_{fraction}": float(np.concatenate(results).mean()) for fraction, results in hits.items()},
        "visibility_accuracy": float(np.concatenate(told).mean()) if told else 0.0,
    }


def to_markdown(report: dict[str, Any]) -> str:
    """The figures as a table."""
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
    """Build the world where it is not there yet, and measure all three detectors on it."""
    build_world(world, work_dir / "world")
    photos, truths = read_world(work_dir / "world", work_dir / "store")
    store = PhotoStore(work_dir / "store")
    face_weights = WeightsFile(path=weights_folder("face_detector") / FACE_WEIGHTS_NAME)
    pose_weights = WeightsFile(path=weights_folder("pose_estimator") / POSE_WEIGHTS_NAME)
    watermark_weights = WeightsFile(path=weights_folder("watermark_classifier") / "model.safetensors")
    find_watermarks = WatermarkRecipe(weights=watermark_weights)
    count_people = PeopleRecipe(face_weights=face_weights, pose_weights=pose_weights, config=people)
    find_poses = PoseRecipe(weights=pose_weights, config=pose)
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


@click.command(help=__doc__)
@click.option("--work-dir", type=Path, default=Path("data/pretrain/held_out"), show_default=True)
@click.option(
    "--report", "report_path", type=Path, default=Path("data/pretrain/detectors.json"), show_default=True
)
@click.option("--face-conf", default=0.5, show_default=True)
@click.option("--person-conf", default=0.5, show_default=True)
@click.option("--max-watermark-prob", default=0.5, show_default=True)
@click.option(
    "--seed",
    default=HELD_OUT_WORLD.seed,
    show_default=True,
    help="Of the world; another to choose thresholds on.",
)
@click.option("--iou", default=0.5, show_default=True)
@click.option("--face-image-size-px", default=192, show_default=True)
@click.option("--pose-image-size-px", default=160, show_default=True)
def main(
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
    """Measure, write the report and print its table."""
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
