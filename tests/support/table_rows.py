"""Made-up rows of three tables, for a photo id."""

import hashlib


def score(photo_id, prob: object = 0.5, fingerprint: str | None = "a"):
    return {"photo_id": photo_id, "watermark_prob": prob, "model_fingerprint": fingerprint}


def caption(photo_id):
    words = hashlib.sha256(photo_id.encode()).hexdigest()  # does not compress
    return {"photo_id": photo_id, "caption": words, "model_fingerprint": "a"}


def detection(photo_id):
    face = {"x1": 1.0, "y1": 2.0, "x2": 3.0, "y2": 4.0, "conf": 0.5}
    return {
        "photo_id": photo_id,
        "num_faces": 1,
        "num_persons": 1,
        "faces": [face],
        "model_fingerprint": "a",
    }
