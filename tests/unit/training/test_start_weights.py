"""A training that starts from published weights, or from another training."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from published_adapters import save_ip_adapter, save_ip_adapter_faceid, save_ip_adapter_plus
from safetensors.torch import load_file
from tiny_models import IMAGE_EMBED_DIM
from tiny_pipelines import save_checkpoint
from tiny_training import make_training, random_data

from bolid_pipeline.errors import WeightsError, WeightsMissing
from bolid_pipeline.models import adapters
from bolid_pipeline.models.base import load_base_model
from bolid_pipeline.pretrained.weights import file_sha256
from bolid_pipeline.training.branches import Branches
from bolid_pipeline.training.config import OptimizerConfig
from bolid_pipeline.training.fit import fit
from bolid_pipeline.training.presets import tiny

STILL = replace(tiny(), steps=1, optimizer=OptimizerConfig(learning_rate=1e-12))


@pytest.fixture(scope="module")
def published(tiny_stable_diffusion: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    unet = load_base_model(tiny_stable_diffusion).unet
    return save_ip_adapter(
        tmp_path_factory.mktemp("hub") / "ip-adapter_sd15.safetensors", unet, IMAGE_EMBED_DIM
    )


@pytest.fixture
def branches(tiny_stable_diffusion: Path) -> Branches:
    return Branches(tiny(), load_base_model(tiny_stable_diffusion), IMAGE_EMBED_DIM)


def test_the_reference_branch_starts_as_a_published_ip_adapter(
    published: Path, tiny_stable_diffusion: Path, tmp_path: Path
) -> None:
    plain = random_data(tiny_stable_diffusion)
    data = replace(plain, start_from=published)
    run_dir = fit(STILL, data, tmp_path / "run", progress=False)

    saved = load_file(run_dir / "ref_adapter.safetensors")
    expected = load_file(published)
    assert saved.keys() == expected.keys()
    for name, tensor in expected.items():
        torch.testing.assert_close(saved[name], tensor.float(), atol=1e-6, rtol=1e-5)
    of_new = adapters.adapter_states(make_training(plain, STILL)[0].branches.unet)[1]
    body = load_file(run_dir / "body_adapter.safetensors")
    for name, tensor in of_new["ip_adapter"].items():
        torch.testing.assert_close(body[f"ip_adapter.{name}"], tensor, atol=1e-6, rtol=1e-5)

    training = json.loads((run_dir / "training_config.json").read_text())
    assert training["start_from"] == {"place": str(published), "sha256": file_sha256(published)}
    assert "the weights of ip-adapter\\_sd15.safetensors" in (run_dir / "README.md").read_text()


def test_the_content_of_the_start_weights_counts_not_their_name(
    published: Path, tiny_stable_diffusion: Path, tmp_path: Path
) -> None:
    data = random_data(tiny_stable_diffusion)
    elsewhere, other = tmp_path / "mine.safetensors", tmp_path / "other.safetensors"
    elsewhere.write_bytes(published.read_bytes())
    save_ip_adapter(other, load_base_model(tiny_stable_diffusion).unet, IMAGE_EMBED_DIM, seed=8)

    def made_by(start_from: Path | None, named: str | None = None) -> str:
        return replace(data, start_from=start_from).fingerprint(replace(STILL, start_from=named))

    assert made_by(published, "ip_adapter") == made_by(elsewhere, "mine.safetensors")
    assert len({made_by(None), made_by(published), made_by(other)}) == 3


def test_without_a_reference_the_started_branch_leaves_the_base_model_as_it_is(
    branches: Branches, published: Path, tiny_stable_diffusion: Path
) -> None:
    branches.load(published)
    generator = torch.Generator().manual_seed(0)
    noise, text = (
        torch.randn(2, 4, 16, 16, generator=generator),
        torch.randn(2, 77, 32, generator=generator),
    )
    timesteps = torch.tensor([10, 900])

    def drawn(refs_BD: torch.Tensor) -> torch.Tensor:
        embeds = [
            adapters.ref_embeds(branches.unet, refs_BD),
            adapters.body_embeds(branches.unet, torch.zeros(2, 12)),
        ]
        return branches.unet(noise, timesteps, text, added_cond_kwargs={"image_embeds": embeds}).sample

    expected = load_base_model(tiny_stable_diffusion).unet(noise, timesteps, text).sample
    none, first = torch.zeros(2, IMAGE_EMBED_DIM), torch.zeros(2, IMAGE_EMBED_DIM)
    first[0] = torch.randn(IMAGE_EMBED_DIM, generator=generator)
    torch.testing.assert_close(drawn(none), expected, atol=1e-6, rtol=0)
    torch.testing.assert_close(drawn(first)[1], expected[1], atol=1e-6, rtol=0)
    assert (drawn(first)[0] - expected[0]).abs().max() > 1e-3


def _truncated(folder: Path, base: Path) -> Path:
    path = save_ip_adapter(folder / "cut.safetensors", load_base_model(base).unet, IMAGE_EMBED_DIM)
    path.write_bytes(path.read_bytes()[:-100])
    return path


def _without_a_layer(folder: Path, base: Path) -> Path:
    unet = load_base_model(base).unet
    del unet.mid_block
    return save_ip_adapter(folder / "short.safetensors", unet, IMAGE_EMBED_DIM)


def _pickle(folder: Path, base: Path) -> Path:
    del base
    torch.save({"image_proj": {}, "ip_adapter": {}}, folder / "ip-adapter_sd15.bin")
    return folder / "ip-adapter_sd15.bin"


def _half_checkpoint(folder: Path, base: Path) -> Path:
    save_checkpoint(folder, base, is_dense=False)
    (folder / "body_adapter.safetensors").unlink()
    return folder


def _checkpoint_of_other_settings(folder: Path, base: Path) -> Path:
    save_checkpoint(folder, base, is_dense=True)
    return folder


UNFIT: dict[str, tuple[Callable[[Path, Path], Path], str]] = {
    "missing": (lambda folder, _: folder / "gone.safetensors", "no adapter file .*gone"),
    "cut short": (_truncated, "cut.safetensors is no whole safetensors file"),
    "a pickle": (_pickle, "a pickle can run code: take the .safetensors that lies beside it"),
    "IP-Adapter plus": (
        lambda folder, base: save_ip_adapter_plus(
            folder / "plus.safetensors", load_base_model(base).unet, IMAGE_EMBED_DIM
        ),
        "plus.safetensors: .*an IP-Adapter plus, which reads a photo's patches",
    ),
    "IP-Adapter FaceID": (
        lambda folder, base: save_ip_adapter_faceid(
            folder / "faceid.safetensors", load_base_model(base).unet
        ),
        "faceid.safetensors: .*an IP-Adapter FaceID",
    ),
    "for another image encoder": (
        lambda folder, base: save_ip_adapter(folder / "g.safetensors", load_base_model(base).unet, 40),
        r"g.safetensors: .*image_embeds.weight has the shape \(128, 40\) there, and \(128, 24\)",
    ),
    "for another base model": (_without_a_layer, "short.safetensors: .*was made for another base model"),
    "half a checkpoint": (_half_checkpoint, "no adapter file .*body_adapter"),
    "a checkpoint of other settings": (_checkpoint_of_other_settings, "has the shape"),
}


@pytest.mark.parametrize("kind", UNFIT)
def test_start_weights_that_do_not_fit_are_one_line(
    kind: str, branches: Branches, tiny_stable_diffusion: Path, tmp_path: Path
) -> None:
    make, complaint = UNFIT[kind]
    with pytest.raises(WeightsError, match=complaint) as refused:
        branches.load(make(tmp_path, tiny_stable_diffusion))
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 500


def test_missing_start_weights_are_named_before_the_training(tiny_stable_diffusion: Path) -> None:
    data = replace(random_data(tiny_stable_diffusion), start_from=Path("gone"))
    with pytest.raises(WeightsMissing, match="gone"):
        data.fingerprint(STILL)
