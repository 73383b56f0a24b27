"""The conditions of a BoLID pipeline's call beside the prompt: bodies, pictures and their scales.

Shape suffixes: B prompts, P pictures to draw, N given pictures, D the length of c_body or of a CLIP image embedding,
L text positions, F text features.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import PriorTransformer
from PIL.Image import Image

from bolid_pipeline.errors import ConfigurationError, WeightsMissing
from bolid_pipeline.models import adapters
from bolid_pipeline.models.body_prior import sample_bodies, text_vector
from bolid_pipeline.models.loaders import BODY_PRIOR_FOLDER, BoLIDLoaderMixin
from bolid_pipeline.models.scales import Scale, check_scale
from bolid_pipeline.models.text import encode_text


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """The conditions of one call; see `ConditionedPipeline.__call__`."""

    identity: str | Sequence[str] | None
    c_body: torch.Tensor | None
    sample_body: bool
    refs: Sequence[Image]
    contents: Sequence[Image]
    ref_scale: Scale
    body_scale: Scale

    @property
    def num_bodies(self) -> int:
        """Number of the three ways to give a body that are used; more than one is a mistake."""
        return (self.identity is not None) + (self.c_body is not None) + self.sample_body

    @property
    def scales(self) -> tuple[Scale, Scale]:
        """(ref, body). A branch without an input is off."""
        return (
            self.ref_scale if self.refs or self.contents else 0.0,
            self.body_scale if self.num_bodies else 0.0,
        )


def check_conditions(pipe: BoLIDLoaderMixin, conditions: Conditions, num_prompts: int) -> None:
    """Refuse conditions that this pipeline cannot follow.

    Raises:
        ConfigurationError: two bodies at once; conditions without a checkpoint; a number of identities or bodies
            other than that of the prompts; a body without finite numbers; a scale with unknown blocks or without
            numbers.
        UnknownIdentity: the body bank lacks a person.
        WeightsMissing: a picture without an image encoder, a name without a bank, a drawn body without a prior.
        ValueError: c_body has another length than the body branch takes.
    """
    if conditions.num_bodies > 1:
        raise ConfigurationError("identity, c_body and sample_body each say whose body it is: give one")
    for name, scale in (("ref_scale", conditions.ref_scale), ("body_scale", conditions.body_scale)):
        check_scale(name, scale, pipe.unet)
    c_body: Any = conditions.c_body
    if c_body is not None and not (isinstance(c_body, torch.Tensor) and c_body.isfinite().all()):
        raise ConfigurationError("c_body must be a tensor (D,) or (B, D) of finite numbers")
    has_pictures = bool(conditions.refs or conditions.contents)
    if not adapters.is_attached(pipe.unet):
        if has_pictures or conditions.num_bodies:
            raise ConfigurationError("no BoLID checkpoint is loaded: call load_bolid(folder) first")
        return
    if has_pictures and (pipe.image_encoder is None or pipe.feature_extractor is None):
        raise WeightsMissing(
            "there is no CLIP image encoder, so pictures cannot be taken: give load_pipeline an image_encoder and a "
            "feature_extractor, because the base model holds none"
        )
    if conditions.sample_body:
        _prior(pipe)
    elif conditions.num_bodies:
        adapters.body_embeds(pipe.unet, _given_bodies(pipe, conditions, num_prompts))


def body_vectors(
    pipe: BoLIDLoaderMixin,
    conditions: Conditions,
    text: Sequence[str] | torch.Tensor,
    num_images_per_prompt: int,
    generator: torch.Generator | list[torch.Generator] | None,
) -> torch.Tensor:
    """c_body (P, D) of each picture to draw; zeros for nobody.

    Args:
        pipe: the pipeline.
        conditions: whose bodies.
        text: B prompts, or their embeddings (B, L, F).
        num_images_per_prompt: P / B.
        generator: of the bodies that the prior draws.
    """
    if not conditions.sample_body:
        body_BD = _given_bodies(pipe, conditions, len(text))
        return body_BD.repeat_interleave(num_images_per_prompt, dim=0)
    hidden_BLF = text if isinstance(text, torch.Tensor) else encode_text(pipe, text).hidden_BLD
    text_PF = text_vector(hidden_BLF).repeat_interleave(num_images_per_prompt, dim=0)
    return sample_bodies(_prior(pipe), text_PF, generator=generator)


def _given_bodies(pipe: BoLIDLoaderMixin, conditions: Conditions, num_prompts: int) -> torch.Tensor:
    """c_body (B, D) from names or from a tensor; zeros for nobody."""
    c_body = conditions.c_body
    if conditions.identity is not None:
        c_body = _named_bodies(pipe, conditions.identity)
    if c_body is None:
        c_body = torch.zeros(adapters.body_input_dim(pipe.unet))
    body_BD = c_body.expand(num_prompts, -1) if c_body.ndim == 1 else c_body
    if len(body_BD) != num_prompts:
        raise ConfigurationError(f"{len(body_BD)} bodies or identities for {num_prompts} prompts")
    return body_BD.to(pipe.device, pipe.unet.dtype)


def _named_bodies(pipe: BoLIDLoaderMixin, identity: str | Sequence[str]) -> torch.Tensor:
    """c_body (D,) of one person, or (B, D) of several."""
    if pipe.body_bank is None:
        raise WeightsMissing("the checkpoint holds no body bank, so no person can be named")
    if isinstance(identity, str):
        return pipe.body_bank[identity]
    return torch.stack([pipe.body_bank[name] for name in identity])


def _prior(pipe: BoLIDLoaderMixin) -> PriorTransformer:
    if pipe.body_prior is None:
        raise WeightsMissing(
            f"the checkpoint holds no {BODY_PRIOR_FOLDER}/, so no body can be drawn from the text"
        )
    return pipe.body_prior


def ref_embeds(pipe: BoLIDLoaderMixin, conditions: Conditions) -> torch.Tensor:
    """CLIP embeddings (1, N, D) of the given pictures, for the reference branch; one of zeros if there are none.

    A reference encoder makes one embedding of all reference photos; image prompts stay one each.
    """
    pictures = [*conditions.refs, *conditions.contents]
    if not pictures:
        dim = adapters.ref_input_dim(pipe.unet)
        return torch.zeros(1, 1, dim, device=pipe.device, dtype=pipe.unet.dtype)
    embeds_1ND = pipe.encode_image(pictures, pipe.device, 1)[0][None]
    num_refs = len(conditions.refs)
    if num_refs and pipe.ref_encoder is not None:
        refs_1ND = embeds_1ND[:, :num_refs]
        one_11D = pipe.ref_encoder(refs_1ND, torch.ones_like(refs_1ND[..., 0]))[:, None]
        embeds_1ND = torch.cat([one_11D, embeds_1ND[:, num_refs:]], dim=1)
    return embeds_1ND.to(pipe.unet.dtype)
