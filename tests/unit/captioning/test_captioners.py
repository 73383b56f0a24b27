import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from safetensors.torch import load_file, save_file

from bolid_pipeline.captioning.clip_attributes import ClipAttributeCaptioner
from bolid_pipeline.captioning.config import ClipCaptionConfig, VlmConfig
from bolid_pipeline.captioning.recipe import CaptionRecipe
from bolid_pipeline.captioning.vlm import VlmCaptioner
from bolid_pipeline.errors import WeightsError, WeightsMissing
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
@pytest.mark.parametrize("model", ["vlm_folder", "qwen3_vl_folder"])
def test_a_vision_language_model_answers_photo_by_photo(model, request):
    captioner = VlmCaptioner(request.getfixturevalue(model), VlmConfig(max_new_tokens=6, max_side_px=112))
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, shape, np.uint8) for shape in ((300, 200, 3), (60, 112, 3))]

    together = captioner(images)

    assert together == [captioner([image])[0] for image in images]  # padding changes nothing
    assert all(together)
    assert captioner([]) == []


def _as_published(folder: Path) -> None:
    """The files of the hub: shards with an index, and the processor in files of older libraries."""
    state = load_file(folder / "model.safetensors")
    names = sorted(state)
    shards = {"model-00001-of-00002.safetensors": names[:20], "model-00002-of-00002.safetensors": names[20:]}
    for shard, of_shard in shards.items():
        save_file({name: state[name] for name in of_shard}, folder / shard, metadata={"format": "pt"})
    where = {name: shard for shard, of_shard in shards.items() for name in of_shard}
    index = {"metadata": {"total_size": 0}, "weight_map": where}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    processor = json.loads((folder / "processor_config.json").read_text())
    (folder / "preprocessor_config.json").write_text(json.dumps(processor["image_processor"]))
    template = (folder / "chat_template.jinja").read_text()
    (folder / "chat_template.json").write_text(json.dumps({"chat_template": template}))
    for name in ("model.safetensors", "processor_config.json", "chat_template.jinja"):
        (folder / name).unlink()


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("model", ["vlm_folder", "qwen3_vl_folder"])
def test_a_model_in_the_files_of_the_hub_answers_the_same(model, request, tmp_path):
    whole = request.getfixturevalue(model)
    published = shutil.copytree(whole, tmp_path / "published")
    _as_published(published)
    config = VlmConfig(max_new_tokens=6, max_side_px=112)
    image = np.random.default_rng(1).integers(0, 256, (90, 60, 3), np.uint8)
    answers = [VlmCaptioner(folder, config)([image]) for folder in (whole, published)]
    assert answers[0] == answers[1]
    assert answers[0][0]


def _cut(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])


def _without_a_weight(folder: Path) -> None:
    state = load_file(folder / "model.safetensors")
    state = {name: each for name, each in state.items() if "layers.1.mlp.up_proj" not in name}
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})


def _as_pickle(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def _without_processor(folder: Path) -> None:
    (folder / "tokenizer.json").write_text("{}")


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (_cut, "is damaged"),
        (_without_a_weight, "lacks 1 weights of its network, such as .*up_proj"),
        (_as_pickle, r"holds pytorch_model\.bin but no \.safetensors"),
        (_without_processor, "is damaged"),
    ],
)
def test_a_damaged_vision_language_model_is_one_line(damage, complaint, qwen3_vl_folder, tmp_path):
    folder = shutil.copytree(qwen3_vl_folder, tmp_path / "model")
    damage(folder)
    with pytest.raises(WeightsError, match=complaint) as refused:
        VlmCaptioner(folder)
    assert str(folder) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_model_of_another_task_is_one_line(clip_folder):
    with pytest.raises(WeightsError, match="holds something else than is needed") as refused:
        VlmCaptioner(clip_folder)
    assert "\n" not in str(refused.value)


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
