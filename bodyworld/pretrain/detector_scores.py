"""Scores of the detectors, which compare their findings with the truth.

Rows are those of the pipeline's stages as dictionaries, truths are lines of `ground_truth.jsonl`, in the same order.
Shape suffixes: N photos, K keypoints.
"""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class Counts:
    """Numbers of right and wrong yes-or-no decisions."""

    true_positives: int
    false_positives: int
    false_negatives: int
    true_negatives: int

    @classmethod
    def compare(cls, said: NDArray[np.bool_], true: NDArray[np.bool_]) -> Self:
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


def match_boxes(found: NDArray[Any], true: NDArray[Any], min_iou: float = 0.5) -> int:
    """Number of true boxes (x1, y1, x2, y2) that are found; each box of `found`, in order, takes its best match."""
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
    """One bool per visible keypoint: True if found within `fraction` of the longer side of the person's box."""
    is_visible = true_K3[:, 2] > 0
    if found_K3 is None:
        return np.zeros(int(is_visible.sum()), bool)
    distance = np.hypot(*(found_K3 - true_K3)[is_visible, :2].T)
    return distance <= fraction * float((box[2:] - box[:2]).max())


def measure_watermarks(
    rows: list[dict[str, Any]], truths: list[dict[str, Any]], max_prob: float
) -> dict[str, Any]:
    """F1 if more than `max_prob` counts as watermarked, F1 at other thresholds, and the photos that were missed."""
    probs = np.array([row["watermark_prob"] for row in rows])
    true = np.array([truth["has_watermark"] for truth in truths])
    missed = [t for t, prob in zip(truths, probs, strict=True) if t["has_watermark"] and prob <= max_prob]
    return {
        "num_photos": len(true),
        "num_watermarked": int(true.sum()),
        "f1": Counts.compare(probs > max_prob, true).f1,
        "counts": vars(Counts.compare(probs > max_prob, true)),
        "f1_at": {
            f"{level:.2f}": round(Counts.compare(probs > level, true).f1, 4)
            for level in np.arange(0.5, 0.99, 0.02)
        },
        "missed": [{key: t[key] for key in ("file", "watermark_kind", "watermark_opacity")} for t in missed],
    }


def measure_people(rows: list[dict[str, Any]], truths: list[dict[str, Any]]) -> dict[str, Any]:
    """F1 of the decision "exactly one person" and of the face boxes, and the photos with a wrong decision."""
    said = np.array([row["num_persons"] == 1 and row["num_faces"] <= 1 for row in rows])
    true = np.array([truth["num_people"] == 1 for truth in truths])
    counts = Counts.compare(said, true)
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
    """PCK over the visible keypoints of photos of one person, and accuracy of visibility."""
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
