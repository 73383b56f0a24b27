"""Made-up people with photos, verdicts and refused files in tables, and the page about them."""

import io
import re

import numpy as np
from PIL import Image

from bolid_pipeline.curation.config import CurationConfig
from bolid_pipeline.overview.page import write_overview
from bolid_pipeline.overview.people import DataSet
from bolid_pipeline.storage.photos import PhotoStore
from bolid_pipeline.storage.schemas import SCHEMAS
from bolid_pipeline.storage.tables import TableStore

LIMITS = CurationConfig(min_side_px=640, max_watermark_prob=0.9, min_photos_per_identity=8)


class World:
    """Tables and photos of made-up people, and their page."""

    def __init__(self, folder):
        self.folder = folder
        self.tables = TableStore(folder)
        self.photos = PhotoStore(folder)
        self.num_photos = 0

    def append(self, table, **values):
        self.tables.append(table, [{**dict.fromkeys(SCHEMAS[table].columns.names), **values}])

    def person(self, identity, name=None, status="listed"):
        self.append("identity_catalogue", identity=identity, name=name or identity, status=status)

    def photo(self, identity, page_url, reasons=(), width_px=1000, **facts):
        self.num_photos += 1
        file = io.BytesIO()
        pixels = np.random.default_rng(self.num_photos).integers(0, 255, (30, 20, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((200, 300)).save(file, "JPEG")
        photo_id, path = self.photos.add(file.getvalue(), "jpg")
        self.append(
            "raw_photos",
            photo_id=photo_id,
            identity=identity,
            page_url=page_url,
            path=path,
            width_px=width_px,
            height_px=1500,
        )
        if reasons is not None:
            facts = {"watermark_prob": 0.1, "num_faces": 1, "num_persons": 1} | facts
            prob = facts.pop("watermark_prob")
            self.append("watermark_scores", photo_id=photo_id, watermark_prob=prob)
            self.append("face_detections", photo_id=photo_id, **facts)
            self.append(
                "curated_photos",
                photo_id=photo_id,
                identity=identity,
                is_kept=not reasons,
                reasons=list(reasons),
            )
        return photo_id, path

    def refusal(self, identity, page_url, reason, photo_id=None):
        self.append(
            "rejected_downloads", identity=identity, page_url=page_url, reason=reason, photo_id=photo_id
        )

    def write(self, **limits):
        config = LIMITS if not limits else CurationConfig(**limits)
        return write_overview(self.path, DataSet(self.tables), self.photos, config, "/home/me/photos")

    @property
    def path(self):
        return self.folder / "overview.html"

    def html(self):
        self.write()
        return self.path.read_text("utf-8")

    def text(self):
        """What a person reads."""
        return " ".join(re.sub(r"<style>.*?</style>|<[^>]+>", " ", self.html(), flags=re.DOTALL).split())
