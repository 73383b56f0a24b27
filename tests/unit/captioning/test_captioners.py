import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from bolid_pipeline.captioning.clip_attributes import ClipAttributeCaptioner
from bolid_pipeline.captioning.config import ClipCaptionConfig, VlmConfig
from bolid_pipeline.captioning.recipe import CaptionRecipe
from bolid_pipeline.captioning.vlm import VlmCaptioner
from bolid_pipeline.errors import WeightsMissing
from bolid_pipeline.images.decoding import encode_jpeg
from bolid_pipeline.storage.photos import PhotoStore


def plain(*rgb):
    return np.full((40, 30, 3), rgb, np.uint8)


def test_clip_fills_each_slot_with_what_the_photo_shows(clip_folder):
    captioner = ClipAttributeCaptioner(clip_folder)
    images = [plain(0, 250, 5), plain(100, 0, 0), plain(0, 0, 110), plain(255, 0, 10)]
    assert captioner(images) == [
        "a photo of a bright green field",
        "a photo of a dark red field",
        "a photo of a dark blue field",
        "a photo of a bright red field",
    ]
    assert captioner([]) == []


def test_the_stage_captions_every_photo_and_knows_unreadable_ones(clip_folder, tmp_path):
    store = PhotoStore(tmp_path)
    paths = [store.add(data, "jpg")[1] for data in (encode_jpeg(plain(255, 0, 0)), b"broken")]
    recipe = CaptionRecipe(model=clip_folder, config=ClipCaptionConfig())
    rows = recipe.open(store, "cpu")(pa.table({"photo_id": ["a", "b"], "path": paths}))
    assert rows.schema == recipe.made_columns
    assert rows.to_pylist() == [
        {"photo_id": "a", "caption": "a photo of a bright red field"},
        {"photo_id": "b", "caption": None},
    ]


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_a_vision_language_model_answers_photo_by_photo(vlm_folder):
    captioner = VlmCaptioner(vlm_folder, VlmConfig(max_new_tokens=6, max_side_px=112))
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, shape, np.uint8) for shape in ((300, 200, 3), (60, 112, 3))]

    together = captioner(images)

    assert together == [captioner([image])[0] for image in images]  # padding changes nothing
    assert all(together)
    assert captioner([]) == []


def test_a_missing_model_is_named(tmp_path):
    for captioner in (ClipAttributeCaptioner, VlmCaptioner):
        with pytest.raises(WeightsMissing, match="gone"):
            captioner(tmp_path / "gone")


def test_whatever_changes_captions_changes_the_fingerprint(tmp_path):
    (tmp_path / "slots.json").write_text(json.dumps({"slots": 1}))
    clip, vlm = ClipCaptionConfig(), VlmConfig()
    prints = [
        CaptionRecipe(model=tmp_path, config=config).fingerprint
        for config in (clip, replace(clip, num_contexts=3), vlm, replace(vlm, prompt="Describe the clothes."))
    ]
    (tmp_path / "slots.json").write_text(json.dumps({"slots": 2}))
    prints.append(CaptionRecipe(model=tmp_path, config=clip).fingerprint)
    assert len(set(prints)) == 5
