"""The two adapter branches, reference and body, on a frozen U-Net: ordinary IP-Adapters, loaded by diffusers itself.

    Z' = Attn(Q, K_t, V_t) + lambda_ref Attn(Q, K_ref, V_ref) + lambda_body Attn(Q, K_body, V_body)

A new branch starts its K and V as copies of the text ones (IP-Adapter, arXiv 2308.06721). Its projection starts, and
stays, without bias: a zero embedding then gives zero tokens, and zero tokens give a zero term. The projection of a
published IP-Adapter has biases, which are kept; its tokens of a zero embedding are set to zero. So three things
are exactly the same: a condition that training drops by zeroing its embedding, the unconditional half of
classifier-free guidance, and a branch switched off by scale 0. Without conditions the model is exactly the frozen base
model.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import cast

import torch
from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor2_0, IPAdapterAttnProcessor2_0
from diffusers.models.embeddings import (
    ImageProjection,
    IPAdapterFaceIDImageProjection,
    IPAdapterFullImageProjection,
    MultiIPAdapterImageProjection,
)

from bolid_pipeline.errors import WeightsMismatch
from bolid_pipeline.models.adapter_files import AdapterState, kind_in_words
from bolid_pipeline.pretrained.loading import first_words

NUM_REF_TOKENS = 4
"""diffusers builds every IP-Adapter of this kind with four tokens, whatever its file holds."""

# IP-Adapter's own names of the projections' parameters -> diffusers' names.
_PARAMETER_NAMES: dict[type[torch.nn.Module], dict[str, str]] = {
    ImageProjection: {"proj": "image_embeds", "norm": "norm"},
    IPAdapterFaceIDImageProjection: {"proj.0": "ff.net.0.proj", "proj.2": "ff.net.2", "norm": "norm"},
    IPAdapterFullImageProjection: {"proj.0": "ff.net.0.proj", "proj.2": "ff.net.2", "proj.3": "norm"},
}


def new_ref_state(unet: UNet2DConditionModel, image_embed_dim: int) -> AdapterState:
    """Make a reference branch: CLIP image embedding -> Linear -> LayerNorm -> 4 tokens."""
    projection = ImageProjection(image_embed_dim, unet.config.cross_attention_dim, NUM_REF_TOKENS)
    return {
        "image_proj": _projection_state(_without_bias(projection)),
        "ip_adapter": _text_keys_and_values(unet),
    }


def new_body_state(
    unet: UNet2DConditionModel, c_body_dim: int, num_tokens: int = 4, *, is_dense: bool = False
) -> AdapterState:
    """Make a body branch: c_body -> Linear -> GELU -> Linear -> LayerNorm -> `num_tokens` tokens.

    Args:
        unet: the U-Net that the branch is for; it gives keys, values and the width of the tokens.
        c_body_dim: D.
        num_tokens: T, 4, 16 or 64.
        is_dense: c_body already consists of T tokens (see `models.body_encoder`), all projected by the same layers.
    """
    text_dim = unet.config.cross_attention_dim
    if is_dense:
        projection = IPAdapterFullImageProjection(c_body_dim // num_tokens, text_dim)
    else:
        projection = IPAdapterFaceIDImageProjection(c_body_dim, text_dim, mult=1, num_tokens=num_tokens)
    return {
        "image_proj": _projection_state(_without_bias(projection)),
        "ip_adapter": _text_keys_and_values(unet),
    }


def attach(unet: UNet2DConditionModel, ref_state: AdapterState, body_state: AdapterState) -> None:
    """Add both branches to the U-Net, in place, frozen, scales (1, 1).

    Raises:
        WeightsMismatch: a branch was made for another U-Net, or is of another kind, such as an IP-Adapter plus.
    """
    _check_fit(unet, "reference", ref_state, (ImageProjection,))
    _check_fit(unet, "body", body_state, (IPAdapterFaceIDImageProjection, IPAdapterFullImageProjection))
    processors = dict(unet.attn_processors)
    try:
        with _without_cast_warning():
            # The loader of `load_ip_adapter`, for which this U-Net needs no pipeline around it.
            unet._load_ip_adapter_weights([ref_state, body_state], low_cpu_mem_usage=False)  # noqa: SLF001
    except Exception as error:
        unet.set_attn_processor(processors)
        raise WeightsMismatch(f"the branches do not fit this base model: {first_words(error)}") from error
    _projections(unet)[0].register_forward_hook(_no_tokens_of_zeros)
    for module in (unet.encoder_hid_proj, *adapter_processors(unet)):
        module.requires_grad_(False)


def is_attached(unet: UNet2DConditionModel) -> bool:
    """True if the U-Net carries both branches."""
    return isinstance(unet.encoder_hid_proj, MultiIPAdapterImageProjection)


def adapter_processors(unet: UNet2DConditionModel) -> list[IPAdapterAttnProcessor2_0]:
    """The cross-attention processors that hold the branches' K and V, in the U-Net's own order."""
    processors = unet.attn_processors.values()
    return [processor for processor in processors if isinstance(processor, IPAdapterAttnProcessor2_0)]


def trainable_parameters(unet: UNet2DConditionModel) -> list[torch.nn.Parameter]:
    """The parameters that training moves: K, V and projections of both branches, without biases (see above)."""
    projections = [
        parameter
        for name, parameter in unet.encoder_hid_proj.named_parameters()
        if not name.endswith(".bias")
    ]
    keys_and_values = [p for processor in adapter_processors(unet) for p in processor.parameters()]
    return projections + keys_and_values


def ref_embeds(unet: UNet2DConditionModel, embeds_BD: torch.Tensor) -> torch.Tensor:
    """Shape CLIP image embeddings (B, D) as `added_cond_kwargs["image_embeds"][0]` takes them: (B, 1, D)."""
    return embeds_BD[:, None].to(unet.dtype)


def body_embeds(unet: UNet2DConditionModel, c_body_BD: torch.Tensor) -> torch.Tensor:
    """Shape c_body (B, D) as `added_cond_kwargs["image_embeds"][1]` takes it: (B, 1, D), or (B, 1, T, D / T) if dense.

    Raises:
        ValueError: c_body has another length than the body branch was made for.
    """
    dim = body_input_dim(unet)
    is_dense = isinstance(_projections(unet)[1], IPAdapterFullImageProjection)
    if c_body_BD.shape[-1] % dim if is_dense else c_body_BD.shape[-1] != dim:
        raise ValueError(f"c_body has {c_body_BD.shape[-1]} numbers; the body branch takes {dim}")
    embeds = c_body_BD.unflatten(-1, (-1, dim)) if is_dense else c_body_BD
    return embeds[:, None].to(unet.dtype)


def ref_input_dim(unet: UNet2DConditionModel) -> int:
    """Length of the CLIP image embedding that the reference branch takes."""
    return _linear(_projections(unet)[0], "image_embeds").in_features


def body_input_dim(unet: UNet2DConditionModel) -> int:
    """Length of what the body branch projects: c_body, or one of its tokens if the branch is dense."""
    return _linear(_projections(unet)[1], "ff.net.0.proj").in_features


def set_scales(unet: UNet2DConditionModel, ref_scale: float, body_scale: float) -> None:
    """Set lambda_ref and lambda_body in every layer. diffusers skips a branch of scale 0, so it gets no gradient."""
    for processor in adapter_processors(unet):
        scales: list[float | int] = [ref_scale, body_scale]
        processor.scale = scales


def adapter_states(unet: UNet2DConditionModel) -> tuple[AdapterState, AdapterState]:
    """Copy the (ref, body) states of an attached U-Net, as `attach` takes them and files hold them."""
    ref, body = (
        {"image_proj": _projection_state(projection), "ip_adapter": _branch_keys_and_values(unet, branch)}
        for branch, projection in enumerate(_projections(unet))
    )
    return ref, body


@contextmanager
def detached(unet: UNet2DConditionModel) -> Iterator[None]:
    """Take the branches off the U-Net for the length of a `with` block."""
    processors, projections = unet.attn_processors, unet.encoder_hid_proj
    unet.encoder_hid_proj = None
    unet.config.encoder_hid_dim_type = None
    unet.set_attn_processor(
        {
            name: AttnProcessor2_0() if isinstance(processor, IPAdapterAttnProcessor2_0) else processor
            for name, processor in processors.items()
        }
    )
    try:
        yield
    finally:
        unet.set_attn_processor(dict(processors))
        unet.encoder_hid_proj = projections
        unet.config.encoder_hid_dim_type = "ip_image_proj"


@contextmanager
def _without_cast_warning() -> Iterator[None]:
    """Silence a warning of diffusers 0.42 about its own `to(dtype=...)`, which meets an empty list of modules."""
    logger = logging.getLogger("diffusers.models.modeling_utils")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _without_bias(projection: torch.nn.Module) -> torch.nn.Module:
    for name, parameter in projection.named_parameters():
        if name.endswith(".bias"):
            torch.nn.init.zeros_(parameter)
    return projection


def _no_tokens_of_zeros(
    _projection: torch.nn.Module, inputs: tuple[torch.Tensor], tokens_BTD: torch.Tensor
) -> torch.Tensor:
    """The tokens, zero where the embedding (B, D) is."""
    return tokens_BTD * (inputs[0] != 0).any(dim=-1)[:, None, None]


def _projections(unet: UNet2DConditionModel) -> Sequence[torch.nn.Module]:
    """The (ref, body) projections of an attached U-Net."""
    return list(cast(MultiIPAdapterImageProjection, unet.encoder_hid_proj).image_projection_layers)


def _projection_state(projection: torch.nn.Module) -> dict[str, torch.Tensor]:
    names = _PARAMETER_NAMES[type(projection)]
    state = projection.state_dict()
    return {
        f"{file_name}.{kind}": state[f"{name}.{kind}"].detach().cpu().clone()
        for file_name, name in names.items()
        for kind in ("weight", "bias")
    }


def _text_keys_and_values(unet: UNet2DConditionModel) -> dict[str, torch.Tensor]:
    attentions = [name.removesuffix(".processor") for name in _cross_attention_names(unet)]
    return _numbered([(_linear(unet, f"{name}.to_k"), _linear(unet, f"{name}.to_v")) for name in attentions])


def _branch_keys_and_values(unet: UNet2DConditionModel, branch: int) -> dict[str, torch.Tensor]:
    names = (f"to_k_ip.{branch}", f"to_v_ip.{branch}")
    processors = adapter_processors(unet)
    return _numbered([(_linear(each, names[0]), _linear(each, names[1])) for each in processors])


def _check_fit(
    unet: UNet2DConditionModel, name: str, state: AdapterState, kinds: tuple[type[torch.nn.Module], ...]
) -> None:
    parameters = [
        {f"{layer}.{part}" for layer in _PARAMETER_NAMES[kind] for part in ("weight", "bias")}
        for kind in kinds
    ]
    if state["image_proj"].keys() not in parameters:
        raise WeightsMismatch(
            f"the {name} branch has a projection of another kind{kind_in_words(state)}: name another file, such as "
            "ip-adapter_sd15.safetensors for a reference branch"
        )
    names = _cross_attention_names(unet)
    outputs = [
        unet.get_submodule(attention.replace("processor", f"to_{kind}")).out_features
        for attention in names
        for kind in "kv"
    ]
    wanted = [(width, unet.config.cross_attention_dim) for width in outputs]
    given = [tuple(tensor.shape) for tensor in state["ip_adapter"].values()]
    if sorted(given) != sorted(wanted):
        raise WeightsMismatch(
            f"the {name} branch ({len(given) // 2} layers, text width {given[0][1] if given else 0}) was made for "
            f"another base model than this one ({len(names)} layers, text width {unet.config.cross_attention_dim})"
        )


def _numbered(keys_and_values: Sequence[tuple[torch.nn.Linear, torch.nn.Linear]]) -> dict[str, torch.Tensor]:
    """Name keys and values as IP-Adapter does.

    It counts all attention layers and fills the odd ones, which are the cross-attentions.
    """
    return {
        f"{2 * i + 1}.to_{kind}_ip.weight": layer.weight.detach().cpu().clone()
        for i, pair in enumerate(keys_and_values)
        for kind, layer in zip("kv", pair, strict=True)
    }


def _linear(module: torch.nn.Module, name: str) -> torch.nn.Linear:
    return cast(torch.nn.Linear, module.get_submodule(name))


def _cross_attention_names(unet: UNet2DConditionModel) -> list[str]:
    return [name for name in unet.attn_processors if not name.endswith("attn1.processor")]
