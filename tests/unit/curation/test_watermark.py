import copy
import hashlib
import json
import re
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torchvision import transforms
from torchvision.models.convnext import CNBlockConfig, ConvNeXt

from bolid_pipeline.curation.recipes import WatermarkRecipe
from bolid_pipeline.curation.watermark_network import (
    WatermarkClassifier,
    load_watermark_classifier,
    watermark_input,
)
from bolid_pipeline.errors import WeightsMismatch
from bolid_pipeline.images.decoding import encode_jpeg
from bolid_pipeline.pretrained.weights import WeightsFile
from bolid_pipeline.storage.photos import PhotoStore
from resources.environment import current_deployment
from resources.model_hub import model_hub_of

SMALL = {"widths": [4, 8, 12, 16], "depths": [1, 1, 2, 1], "head_widths": [8, 6]}


def small_classifier(seed=0):
    torch.manual_seed(seed)
    model = WatermarkClassifier(**SMALL)
    for name, parameter in model.named_parameters():
        torch.nn.init.normal_(parameter, 1 if name.endswith("gamma") else 0, 0.3)
    return model.eval()


def saved(model, folder):
    (folder / "config.json").write_text(json.dumps(SMALL))
    save_file(
        {name: value.half() for name, value in model.state_dict().items()}, folder / "model.safetensors"
    )
    return folder / "model.safetensors"


PAPER_BLOCK = ("gamma", "dwconv", "norm", "pwconv1", "pwconv2")
"""The parts of a block in the paper's own code, which the published detector is built on."""


def published_state(widths=(96, 192, 384, 768), depths=(3, 3, 9, 3), head_widths=(512, 256)):
    """A random state dict with the published detector's names and shapes."""
    shapes: dict[str, tuple[int, ...]] = {
        "downsample_layers.0.0": (widths[0], 3, 4, 4),
        "downsample_layers.0.1": (widths[0],),
    }
    for i, (narrow, wide) in enumerate(pairwise(widths), start=1):
        shapes |= {f"downsample_layers.{i}.0": (narrow,), f"downsample_layers.{i}.1": (wide, narrow, 2, 2)}
    for stage, (width, depth) in enumerate(zip(widths, depths, strict=True)):
        of_block = ((width,), (width, 1, 7, 7), (width,), (4 * width, width), (width, 4 * width))
        for block in range(depth):
            shapes |= {f"stages.{stage}.{block}.{n}": s for n, s in zip(PAPER_BLOCK, of_block, strict=True)}
    shapes["norm"] = (widths[-1],)
    for i, (wide, narrow) in enumerate(pairwise([widths[-1], *head_widths, 2])):
        shapes[f"head.{2 * i}"] = (narrow, wide)
    torch.manual_seed(1)
    state = {}
    for name, shape in shapes.items():
        if name.endswith("gamma"):
            state[name] = torch.randn(shape)
        else:
            state[f"{name}.weight"] = 0.3 * torch.randn(shape)
            state[f"{name}.bias"] = 0.3 * torch.randn(shape[0])
    return state


def in_torchvision(name):
    """The name that a parameter of the published detector has in torchvision's ConvNeXt."""
    block = {"dwconv": "block.0", "norm": "block.2", "pwconv1": "block.3", "pwconv2": "block.5"}
    name = re.sub(r"^downsample_layers\.0\.", "features.0.", name)
    name = re.sub(r"^downsample_layers\.(\d)\.", lambda m: f"features.{2 * int(m[1])}.", name)
    name = re.sub(
        r"^stages\.(\d)\.(\d)\.gamma", lambda m: f"features.{2 * int(m[1]) + 1}.{m[2]}.layer_scale", name
    )
    name = re.sub(
        r"^stages\.(\d)\.(\d)\.(\w+)", lambda m: f"features.{2 * int(m[1]) + 1}.{m[2]}.{block[m[3]]}", name
    )
    return re.sub(r"^norm\.", "classifier.0.", re.sub(r"^head\.", "classifier.2.", name))


def test_the_published_names_load_and_make_a_convnext(tmp_path):
    state = published_state(**SMALL)
    save_file(state, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(SMALL))
    ours = load_watermark_classifier(tmp_path / "model.safetensors")

    widths, depths = SMALL["widths"], SMALL["depths"]
    blocks = [CNBlockConfig(*each) for each in zip(widths, [*widths[1:], None], depths, strict=True)]
    peer = ConvNeXt(blocks).eval()
    peer.classifier[2] = copy.deepcopy(ours.get_submodule("head.fc"))
    shapes = peer.state_dict()
    renamed = {in_torchvision(name): value for name, value in state.items()}
    peer.load_state_dict({name: value.reshape(shapes[name].shape) for name, value in renamed.items()})

    x = torch.randn(2, 3, 64, 96)
    torch.testing.assert_close(ours(x), peer(x), rtol=1e-4, atol=1e-5)


def test_the_published_detector_loads_without_a_config(tmp_path):
    state = published_state()
    assert {
        name: tuple(state[name].shape)
        for name in (
            "downsample_layers.0.0.weight",
            "downsample_layers.3.1.weight",
            "stages.2.8.gamma",
            "stages.3.2.pwconv1.weight",
            "norm.weight",
            "head.0.weight",
            "head.2.weight",
            "head.4.weight",
        )
    } == {
        "downsample_layers.0.0.weight": (96, 3, 4, 4),
        "downsample_layers.3.1.weight": (768, 384, 2, 2),
        "stages.2.8.gamma": (384,),
        "stages.3.2.pwconv1.weight": (3072, 768),
        "norm.weight": (768,),
        "head.0.weight": (512, 768),
        "head.2.weight": (256, 512),
        "head.4.weight": (2, 256),
    }
    trunk = sum(value.numel() for name, value in state.items() if not name.startswith("head."))
    assert trunk == 28_589_128 - 769 * 1000  # ConvNeXt-tiny without its 1000 classes
    save_file(state, tmp_path / "detector.safetensors")
    loaded = load_watermark_classifier(tmp_path / "detector.safetensors").state_dict()
    assert len(loaded) == len(state)
    assert torch.equal(loaded["stages.2.blocks.8.gamma"], state["stages.2.8.gamma"])
    assert torch.equal(loaded["head.fc.4.weight"], state["head.4.weight"])


def test_the_input_is_what_the_detector_was_trained_on():
    image = np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8)
    published = transforms.Compose(
        [
            transforms.Resize((256, 256)),
            transforms.ToTensor(),
            transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
        ]
    )
    torch.testing.assert_close(watermark_input(image), published(Image.fromarray(image)))


def test_weights_load_with_the_config_beside_them(tmp_path):
    model = small_classifier()
    loaded = load_watermark_classifier(saved(model, tmp_path))
    x = torch.randn(1, 3, 64, 64)
    torch.testing.assert_close(loaded(x), model.half().float()(x))
    (tmp_path / "config.json").unlink()
    with pytest.raises(WeightsMismatch, match="tiny"):
        load_watermark_classifier(tmp_path / "model.safetensors")


def test_a_pickled_state_dict_loads_once_pinned(tmp_path):
    saved(small_classifier(), tmp_path)
    path = tmp_path / "detector.pth"
    torch.save(small_classifier().state_dict(), path)
    with pytest.raises(WeightsMismatch, match="pin"):
        load_watermark_classifier(path)
    load_watermark_classifier(path, hashlib.sha256(path.read_bytes()).hexdigest())


def test_the_published_pickle_is_opened_through_the_deployment_and_a_spoilt_one_is_refused(tmp_path):
    path = tmp_path / "boomb0om/watermark-detectors/convnext-tiny_watermarks_detector.pth"
    path.parent.mkdir(parents=True)
    pins = tmp_path / "pins.json"
    environment = {
        "BOLID_DEPLOYMENT": "theplace_sd15_permissive",
        "BOLID_DATA_DIR": str(tmp_path / "data"),
        "BOLID_WEIGHTS_DIR": str(tmp_path),
        "BOLID_WEIGHT_PINS": str(pins),
    }

    def weights():
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        pins.write_text(json.dumps({"boomb0om/watermark-detectors": {"sha256": {path.name: sha256}}}))
        return model_hub_of(current_deployment(environment)).file("watermark_classifier")

    state = published_state()
    torch.save(state, path)
    store = PhotoStore(tmp_path / "photos")
    image = np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8)
    photos = pa.table({"photo_id": ["a"], "path": [store.add(encode_jpeg(image), "jpg")[1]]})
    (row,) = WatermarkRecipe(weights=weights()).open(store, "cpu")(photos).to_pylist()
    assert 0 <= row["watermark_prob"] <= 1

    path.write_bytes(path.read_bytes()[:1_000_000])
    with pytest.raises(WeightsMismatch, match=rf"{path.name} is damaged"):
        WatermarkRecipe(weights=weights()).open(store, "cpu")
    del state["norm.weight"]
    torch.save(state, path)
    with pytest.raises(WeightsMismatch, match=rf"{path.name} does not fit"):
        WatermarkRecipe(weights=weights()).open(store, "cpu")


def test_the_stage_scores_every_photo_and_knows_unreadable_ones(tmp_path):
    rng = np.random.default_rng(1)
    images = [rng.integers(0, 256, shape, np.uint8) for shape in ((300, 200, 3), (90, 400, 3))]
    store = PhotoStore(tmp_path)
    paths = [
        store.add(data, "jpg")[1] for data in (encode_jpeg(images[0]), b"broken", encode_jpeg(images[1]))
    ]
    photos = pa.table({"photo_id": ["a", "b", "c"], "path": paths})
    weights = saved(small_classifier(), tmp_path)

    recipe = WatermarkRecipe(weights=WeightsFile(path=weights))
    stage = recipe.open(store, "cpu")
    rows = stage(photos)

    assert rows.schema == recipe.made_columns
    assert rows["photo_id"].to_pylist() == ["a", "b", "c"]
    probs = rows["watermark_prob"].to_pylist()
    assert probs[1] is None
    assert probs[0] != probs[2]
    assert all(0 <= prob <= 1 for prob in (probs[0], probs[2]))
    assert stage(photos.slice(1, 1))["watermark_prob"].to_pylist() == [None]


def test_other_weights_have_another_fingerprint(tmp_path):
    prints = set()
    for seed in (0, 1):
        folder = tmp_path / str(seed)
        folder.mkdir()
        weights = WeightsFile(path=saved(small_classifier(seed), folder))
        prints.add(WatermarkRecipe(weights=weights).fingerprint)
    assert len(prints) == 2
