from pathlib import Path

import pytest
import torch
from diffusers import StableDiffusionPipeline
from diffusers.models.attention_processor import Attention
from tiny_models import IMAGE_EMBED_DIM, TEXT_DIM

from bolid_pipeline.errors import WeightsMissing
from bolid_pipeline.models import adapters
from bolid_pipeline.models.adapter_files import read_adapter, write_adapter
from bolid_pipeline.models.base import load_base_model

C_BODY_DIM = 12


@pytest.fixture
def base(tiny_stable_diffusion: Path) -> StableDiffusionPipeline:
    return load_base_model(tiny_stable_diffusion)


def _attach_trained(unet: torch.nn.Module, num_body_tokens: int = 3) -> None:
    """Attach both branches as if trained: K, V and projections moved away from where they start."""
    torch.manual_seed(1)
    adapters.attach(
        unet,
        adapters.new_ref_state(unet, IMAGE_EMBED_DIM),
        adapters.new_body_state(unet, C_BODY_DIM, num_body_tokens),
    )
    for parameter in adapters.trainable_parameters(unet):
        parameter.data += 0.3 * torch.randn_like(parameter)


def _noise_prediction(unet: torch.nn.Module, image_embeds: list[torch.Tensor] | None) -> torch.Tensor:
    generator = torch.Generator().manual_seed(2)
    return unet(
        torch.randn(2, 4, 16, 16, generator=generator),
        torch.tensor([10, 900]),
        torch.randn(2, 77, TEXT_DIM, generator=generator),
        added_cond_kwargs=None if image_embeds is None else {"image_embeds": image_embeds},
    ).sample


def _embeds() -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    return [torch.randn(2, 1, dim, generator=generator) for dim in (IMAGE_EMBED_DIM, C_BODY_DIM)]


def _plain_attention(attn: Attention, query, key_layer, value_layer, tokens) -> torch.Tensor:
    query, key, value = (
        x.unflatten(-1, (attn.heads, -1)).transpose(1, 2)
        for x in (query, key_layer(tokens), value_layer(tokens))
    )
    scores = query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5
    return (scores.softmax(-1) @ value).transpose(1, 2).flatten(2)


def test_the_three_branches_add_up_as_the_formula_says(base: StableDiffusionPipeline) -> None:
    _attach_trained(base.unet)
    adapters.set_scales(base.unet, 0.7, 1.3)
    attn = base.unet.mid_block.attentions[0].transformer_blocks[0].attn2
    hidden, text = torch.randn(2, 9, attn.to_q.in_features), torch.randn(2, 77, TEXT_DIM)
    ref_tokens, body_tokens = base.unet.encoder_hid_proj(_embeds())
    assert ref_tokens.shape == (2, 1, 4, TEXT_DIM)
    assert body_tokens.shape == (2, 1, 3, TEXT_DIM)

    branches = attn.processor
    query = attn.to_q(hidden)
    expected = attn.to_out[0](
        _plain_attention(attn, query, attn.to_k, attn.to_v, text)
        + 0.7 * _plain_attention(attn, query, branches.to_k_ip[0], branches.to_v_ip[0], ref_tokens[:, 0])
        + 1.3 * _plain_attention(attn, query, branches.to_k_ip[1], branches.to_v_ip[1], body_tokens[:, 0])
    )

    torch.testing.assert_close(attn(hidden, (text, [ref_tokens, body_tokens])), expected, atol=1e-5, rtol=0)


def test_new_keys_and_values_are_the_text_ones(base: StableDiffusionPipeline) -> None:
    attn = base.unet.mid_block.attentions[0].transformer_blocks[0].attn2
    text_key, text_value = attn.to_k.weight.clone(), attn.to_v.weight.clone()
    adapters.attach(
        base.unet,
        adapters.new_ref_state(base.unet, IMAGE_EMBED_DIM),
        adapters.new_body_state(base.unet, C_BODY_DIM),
    )
    for branch in (0, 1):
        assert torch.equal(attn.processor.to_k_ip[branch].weight, text_key)
        assert torch.equal(attn.processor.to_v_ip[branch].weight, text_value)


def test_scales_of_zero_give_the_base_model_bit_for_bit(base: StableDiffusionPipeline) -> None:
    expected = _noise_prediction(base.unet, None)
    _attach_trained(base.unet)
    assert not torch.equal(_noise_prediction(base.unet, _embeds()), expected)
    adapters.set_scales(base.unet, 0.0, 0.0)
    assert torch.equal(_noise_prediction(base.unet, _embeds()), expected)


@pytest.mark.parametrize("branch", [0, 1])
def test_a_zero_embedding_is_a_branch_switched_off(base: StableDiffusionPipeline, branch: int) -> None:
    _attach_trained(base.unet)
    embeds = _embeds()
    embeds[branch].zero_()
    dropped = _noise_prediction(base.unet, embeds)
    adapters.set_scales(base.unet, float(branch != 0), float(branch != 1))
    torch.testing.assert_close(_noise_prediction(base.unet, embeds), dropped, atol=1e-6, rtol=0)


def test_detached_is_the_base_model_and_comes_back(base: StableDiffusionPipeline) -> None:
    expected = _noise_prediction(base.unet, None)
    _attach_trained(base.unet)
    with_branches = _noise_prediction(base.unet, _embeds())
    with adapters.detached(base.unet):
        assert torch.equal(_noise_prediction(base.unet, None), expected)
    assert torch.equal(_noise_prediction(base.unet, _embeds()), with_branches)


@pytest.mark.parametrize("num_body_tokens", [1, 4, 16])
def test_stock_diffusers_loads_both_files(
    base: StableDiffusionPipeline, tiny_stable_diffusion: Path, tmp_path: Path, num_body_tokens: int
) -> None:
    expected_base = _noise_prediction(base.unet, None)
    _attach_trained(base.unet, num_body_tokens)
    for name, state in zip(("ref", "body"), adapters.adapter_states(base.unet), strict=True):
        write_adapter(state, tmp_path / f"{name}_adapter.safetensors")

    stock = StableDiffusionPipeline.from_pretrained(tiny_stable_diffusion, low_cpu_mem_usage=False)
    stock.load_ip_adapter(
        tmp_path,
        subfolder="",
        weight_name=["ref_adapter.safetensors", "body_adapter.safetensors"],
        image_encoder_folder=None,
        low_cpu_mem_usage=False,
    )

    assert torch.equal(_noise_prediction(stock.unet, _embeds()), _noise_prediction(base.unet, _embeds()))
    stock.set_ip_adapter_scale([0.0, 0.0])
    assert torch.equal(_noise_prediction(stock.unet, _embeds()), expected_base)


def test_an_adapter_file_reads_back_exactly(base: StableDiffusionPipeline, tmp_path: Path) -> None:
    _attach_trained(base.unet)
    ref_state, _ = adapters.adapter_states(base.unet)
    write_adapter(ref_state, tmp_path / "ref.safetensors")
    read = read_adapter(tmp_path / "ref.safetensors")
    for part, tensors in ref_state.items():
        assert {name: tensor.tolist() for name, tensor in tensors.items()} == {
            name: tensor.tolist() for name, tensor in read[part].items()
        }


def test_a_missing_adapter_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing, match=r"body_adapter\.safetensors"):
        read_adapter(tmp_path / "body_adapter.safetensors")
