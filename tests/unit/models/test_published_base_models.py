"""Base models as they are published: folders in several variants and of older libraries, and single files."""

import json
import re
import shutil
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers.loaders.single_file_utils import (
    convert_ldm_unet_checkpoint,
    convert_ldm_vae_checkpoint,
    convert_open_clip_checkpoint,
)
from safetensors.torch import load_file, save_file
from single_files import save_single_file, single_file_state
from tiny_models import save_tiny_sdxl

from bolid_pipeline.errors import WeightsError
from bolid_pipeline.latents.autoencoder import ImageEncoder, LatentEncoder
from bolid_pipeline.models.architectures import SD15, SDXL
from bolid_pipeline.models.base import BaseModel, load_base_model
from bolid_pipeline.models.single_file import unpack_single_file
from resources.deployments import DEPLOYMENTS, Role
from resources.model_hub import ModelHub, model_hub_of
from resources.published_models import published_model

NETWORKS = ("unet", "vae", "text_encoder", "text_encoder_2", "image_encoder")


@pytest.fixture(scope="module")
def sdxl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its second text encoder is wider than the first, as that of SDXL is."""
    return save_tiny_sdxl(tmp_path_factory.mktemp("sdxl") / "sdxl", second_text_dim=48)


@pytest.fixture(scope="module")
def files(tiny_stable_diffusion: Path, sdxl: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the single files sd15.safetensors and sdxl.safetensors, and a layout of each."""
    folder = tmp_path_factory.mktemp("single")
    for name, model in (("sd15", tiny_stable_diffusion), ("sdxl", sdxl)):
        save_single_file(load_base_model(model), folder / f"{name}.safetensors")
        ignored = shutil.ignore_patterns("*.safetensors", "image_encoder")
        shutil.copytree(model, folder / name, ignore=ignored)
        index = json.loads((model / "model_index.json").read_text())
        index["image_encoder"] = [None, None]  # the published models have none
        (folder / name / "model_index.json").write_text(json.dumps(index))
    return folder


def assert_same(found: BaseModel, expected: BaseModel, parts: Iterable[str] = NETWORKS) -> None:
    for name in parts:
        if expected.components.get(name) is None:
            continue
        ours, theirs = found.components[name].state_dict(), expected.components[name].state_dict()
        assert ours.keys() == theirs.keys()
        for key, tensor in theirs.items():
            assert torch.equal(ours[key].to(tensor.dtype), tensor), (name, key)


@pytest.mark.parametrize("kind", ["sd15", "sdxl"])
def test_a_single_file_is_unpacked_to_the_same_weights(
    kind: str, files: Path, tiny_stable_diffusion: Path, sdxl: Path, tmp_path: Path
) -> None:
    expected = load_base_model({"sd15": tiny_stable_diffusion, "sdxl": sdxl}[kind])
    file, layout, folder = files / f"{kind}.safetensors", files / kind, tmp_path / "unpacked"

    unpacked = load_base_model(unpack_single_file(file, layout, folder))

    assert type(unpacked) is type(expected)
    assert_same(unpacked, expected, NETWORKS[:-1])
    assert unpacked.tokenizer("a photo").input_ids == expected.tokenizer("a photo").input_ids
    assert [path.name for path in tmp_path.iterdir()] == ["unpacked"]
    assert unpack_single_file(file, layout, folder) == folder  # what is there is taken as it is


@pytest.mark.parametrize("kind", ["sd15", "sdxl"])
def test_the_names_of_the_real_sizes_are_those_that_diffusers_reads(kind: str) -> None:
    with torch.device("meta"):
        networks = (SD15 if kind == "sd15" else SDXL).new_base().components
    state = single_file_state(networks, is_sdxl=kind == "sdxl")
    read: dict[str, dict[str, Any]] = {
        "unet": convert_ldm_unet_checkpoint(dict(state), networks["unet"].config),
        "vae": convert_ldm_vae_checkpoint(dict(state), networks["vae"].config),
    }
    if kind == "sdxl":
        prefix = "conditioner.embedders.1.model."
        read["text_encoder_2"] = convert_open_clip_checkpoint(networks["text_encoder_2"], state, prefix)
    for name, converted in read.items():
        expected = {key: tensor.shape for key, tensor in networks[name].state_dict().items()}
        assert {key: tensor.shape for key, tensor in converted.items()} == expected


def _cut(folder: Path) -> None:
    file = folder / "sd15.safetensors"
    file.write_bytes(file.read_bytes()[:-1000])


def _without(pattern: str) -> Callable[[Path], None]:
    def drop(folder: Path) -> None:
        state = load_file(folder / "sd15.safetensors")
        kept = {name: tensor for name, tensor in state.items() if not re.search(pattern, name)}
        save_file(kept, folder / "sd15.safetensors")

    return drop


def _other_architecture(folder: Path) -> None:
    shutil.copy(folder / "sdxl.safetensors", folder / "sd15.safetensors")


UNFIT: dict[str, tuple[Callable[[Path], None], str]] = {
    "cut short": (_cut, "is damaged"),
    "no VAE": (_without("first_stage_model"), "it holds 0 numbers of the vae, which has"),
    "a layer is missing": (_without(r"output_blocks\.1\.0\.in_layers\.2\.weight"), "numbers of the unet"),
    "another architecture": (_other_architecture, "is no base model of the layout of"),
    "nothing": (_without("."), "it holds 0 numbers of the unet"),
}


@pytest.mark.parametrize("damage", UNFIT)
def test_a_single_file_that_does_not_fit_is_one_line(damage: str, files: Path, tmp_path: Path) -> None:
    shutil.copytree(files, tmp_path / "files")
    break_it, complaint = UNFIT[damage]
    break_it(tmp_path / "files")
    file, layout = tmp_path / "files" / "sd15.safetensors", tmp_path / "files" / "sd15"
    with pytest.raises(WeightsError, match=complaint) as refused:
        unpack_single_file(file, layout, tmp_path / "unpacked")
    assert str(file) in str(refused.value)
    assert "\n" not in str(refused.value)
    assert [path.name for path in tmp_path.iterdir()] == ["files"]


def test_a_single_file_that_is_a_pickle_is_refused(files: Path, tmp_path: Path) -> None:
    with pytest.raises(
        WeightsError, match=r"v1-5-pruned\.ckpt is no \.safetensors, and a pickle can run code"
    ):
        unpack_single_file(tmp_path / "v1-5-pruned.ckpt", files / "sd15", tmp_path / "unpacked")


def _weights_of(folder: Path) -> list[Path]:
    return sorted(folder.glob("*/*.safetensors"))


def _as_fp16(folder: Path, *, keep_full: bool = False) -> None:
    for file in _weights_of(folder):
        halves = {name: tensor.half() for name, tensor in load_file(file).items()}
        save_file(halves, file.with_suffix(".fp16.safetensors"), metadata={"format": "pt"})
        if not keep_full:
            file.unlink()


def _as_pickles(folder: Path) -> None:
    for file in _weights_of(folder):
        torch.save(load_file(file), file.with_suffix(".bin"))
        file.unlink()


def _of_older_libraries(folder: Path) -> None:
    """The names of the published SD 1.5: the VAE's attention of old, text_model, and position_ids as a tensor."""
    vae, text = folder / "vae/diffusion_pytorch_model.safetensors", folder / "text_encoder/model.safetensors"
    renames = {".to_q.": ".query.", ".to_k.": ".key.", ".to_v.": ".value.", ".to_out.0.": ".proj_attn."}

    def old(name: str) -> str:
        for new, older in renames.items():
            name = name.replace(new, older)
        return name

    save_file({old(name): tensor for name, tensor in load_file(vae).items()}, vae, metadata={"format": "pt"})
    named = {f"text_model.{name.removeprefix('text_model.')}": each for name, each in load_file(text).items()}
    named["text_model.embeddings.position_ids"] = torch.arange(77)[None]
    save_file(named, text, metadata={"format": "pt"})


def test_a_folder_of_older_libraries_gives_the_same_model(
    tiny_stable_diffusion: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(tiny_stable_diffusion, tmp_path / "model")
    _of_older_libraries(folder)
    assert "decoder.mid_block.attentions.0.query.weight" in load_file(
        folder / "vae/diffusion_pytorch_model.safetensors"
    )
    assert_same(load_base_model(folder), load_base_model(tiny_stable_diffusion))
    picture = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    found, expected = (LatentEncoder(each / "vae")([picture]) for each in (folder, tiny_stable_diffusion))
    assert np.array_equal(found, expected)


def test_a_folder_that_holds_only_the_fp16_variant_gives_the_halved_weights(
    tiny_stable_diffusion: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(tiny_stable_diffusion, tmp_path / "model")
    _as_fp16(folder)
    expected = load_base_model(tiny_stable_diffusion, dtype=torch.float16)
    assert_same(load_base_model(folder, dtype=torch.float16), expected)
    found = load_base_model(folder)
    assert_same(found, expected)
    assert found.unet.dtype == torch.float32


def test_of_two_variants_the_full_one_is_taken(tiny_stable_diffusion: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_stable_diffusion, tmp_path / "model")
    _as_fp16(folder, keep_full=True)
    assert_same(load_base_model(folder), load_base_model(tiny_stable_diffusion))


def test_a_folder_of_pickles_is_refused_unopened(tiny_stable_diffusion: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_stable_diffusion, tmp_path / "model")
    _as_pickles(folder)
    with pytest.raises(WeightsError, match=r"holds diffusion_pytorch_model\.bin but no \.safetensors"):
        load_base_model(folder)


@pytest.mark.parametrize("part", NETWORKS)
def test_a_network_that_lacks_a_weight_is_refused(
    part: str, tiny_stable_diffusion: Path, sdxl: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(sdxl if part == "text_encoder_2" else tiny_stable_diffusion, tmp_path / "model")
    (file,) = (folder / part).glob("*.safetensors")
    state = load_file(file)
    gone = min(name for name in state if name.endswith(".weight"))
    del state[gone]
    save_file(state, file, metadata={"format": "pt"})
    with pytest.raises(WeightsError, match=rf"{part} lacks 1 weights of its network, such as .*weight"):
        load_base_model(folder)


def test_an_image_encoder_of_older_libraries_lies_beside_its_pickle(
    tiny_clip_vision: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(tiny_clip_vision, tmp_path / "clip")
    file = folder / "image_encoder" / "model.safetensors"
    state = load_file(file)
    state["vision_model.embeddings.position_ids"] = torch.arange(17)[None]
    save_file(state, file, metadata={"format": "pt"})
    (folder / "image_encoder" / "pytorch_model.bin").write_bytes(b"a pickle")
    picture = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    found, expected = (
        ImageEncoder(each / "image_encoder", each / "feature_extractor")([picture])
        for each in (folder, tiny_clip_vision)
    )
    assert np.array_equal(found, expected)


def _hub(kind: str, address: str, folder: Path) -> ModelHub:
    """The hub of a deployment whose base model has this address, and whose weights lie in `folder`."""
    deployment = DEPLOYMENTS[f"theplace_{kind}"](folder / "data")
    repositories: dict[Role, str] = {**deployment.weight_repositories, "base_model": address}
    return model_hub_of(replace(deployment, weight_repositories=repositories, weights_dir=folder / "weights"))


def _as_published_tokenizer(folder: Path) -> None:
    """The files of older libraries: vocab.json, merges.txt and special_tokens_map.json in place of tokenizer.json."""
    model = json.loads((folder / "tokenizer.json").read_text())["model"]
    (folder / "vocab.json").write_text(json.dumps(model["vocab"]))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    (folder / "special_tokens_map.json").write_text("{}")
    (folder / "tokenizer.json").unlink()


@pytest.mark.parametrize("kind", ["sd15", "sdxl"])
def test_a_deployment_reads_exactly_the_files_that_it_names(
    kind: str, tiny_stable_diffusion: Path, sdxl: Path, tmp_path: Path
) -> None:
    expected = {"sd15": tiny_stable_diffusion, "sdxl": sdxl}[kind]
    address = DEPLOYMENTS[f"theplace_{kind}"](tmp_path).weight_repositories["base_model"]
    published = tmp_path / "published"
    shutil.copytree(expected, tmp_path / "all")
    index = json.loads((expected / "model_index.json").read_text())
    index |= {
        "image_encoder": [None, None],
        "safety_checker": ["stable_diffusion", "StableDiffusionSafetyChecker"],
    }
    (tmp_path / "all" / "model_index.json").write_text(json.dumps(index))
    for tokenizer in (tmp_path / "all").glob("tokenizer*"):
        _as_published_tokenizer(tokenizer)
    for pattern in published_model(address).files:
        for file in (tmp_path / "all").glob(pattern):
            target = published / file.relative_to(tmp_path / "all")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, target)

    folder = _hub(kind, str(published), tmp_path).folder("base_model")

    assert folder == published
    found, whole = load_base_model(folder), load_base_model(expected)
    assert_same(found, whole, NETWORKS[:-1])
    assert found.tokenizer("a photo").input_ids == whole.tokenizer("a photo").input_ids


def test_a_deployment_takes_a_base_model_of_one_file(
    files: Path, tiny_stable_diffusion: Path, tmp_path: Path
) -> None:
    layout = tmp_path / "weights" / "stable-diffusion-v1-5" / "stable-diffusion-v1-5"
    shutil.copytree(files / "sd15", layout)
    _as_published_tokenizer(layout / "tokenizer")
    hub = _hub("sd15", str(files / "sd15.safetensors"), tmp_path)
    folder = hub.folder("base_model")
    assert folder.parent == tmp_path / "data" / "base_models"
    assert hub.folder("base_model") == folder
    assert_same(load_base_model(folder), load_base_model(tiny_stable_diffusion), NETWORKS[:-1])
