"""SDXL with BoLID's two branches: two text encoders, and the picture's size as a condition."""

from typing import Any, ClassVar

import torch
from diffusers import AutoencoderKL, PriorTransformer, StableDiffusionXLPipeline, UNet2DConditionModel
from diffusers.schedulers.scheduling_utils import KarrasDiffusionSchedulers
from transformers import (
    CLIPImageProcessor,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    CLIPVisionModelWithProjection,
)

from bolid_pipeline.errors import ConfigurationError
from bolid_pipeline.models.body_encoder import BodyEncoder
from bolid_pipeline.models.loaders import ENCODERS
from bolid_pipeline.models.pipelines.conditioned import ConditionedPipeline
from bolid_pipeline.models.reference_encoder import ReferenceEncoder
from bolid_pipeline.models.text import encode_long_prompts


class BoLIDXLPipeline(ConditionedPipeline, StableDiffusionXLPipeline):
    """An SDXL pipeline that also takes a body, reference photos and image prompts.

    `load_pipeline` makes one from a checkpoint; `from_pretrained` from a folder that `save_pretrained` wrote.
    """

    _optional_components: ClassVar[list[str]] = [
        *StableDiffusionXLPipeline._optional_components,  # noqa: SLF001 - diffusers' own way to declare them
        *ENCODERS,
    ]

    def __init__(
        self,
        vae: AutoencoderKL,
        text_encoder: CLIPTextModel,
        text_encoder_2: CLIPTextModelWithProjection,
        tokenizer: CLIPTokenizer,
        tokenizer_2: CLIPTokenizer,
        unet: UNet2DConditionModel,
        scheduler: KarrasDiffusionSchedulers,
        image_encoder: CLIPVisionModelWithProjection | None = None,
        feature_extractor: CLIPImageProcessor | None = None,
        body_encoder: BodyEncoder | None = None,
        ref_encoder: ReferenceEncoder | None = None,
        body_prior: PriorTransformer | None = None,
        force_zeros_for_empty_prompt: bool = True,
    ) -> None:
        StableDiffusionXLPipeline.__init__(
            self,
            vae=vae,
            text_encoder=text_encoder,
            text_encoder_2=text_encoder_2,
            tokenizer=tokenizer,
            tokenizer_2=tokenizer_2,
            unet=unet,
            scheduler=scheduler,
            image_encoder=image_encoder,
            feature_extractor=feature_extractor,
            force_zeros_for_empty_prompt=force_zeros_for_empty_prompt,
            add_watermarker=False,  # the pictures get BoLID's own mark
        )
        self.register_modules(body_encoder=body_encoder, ref_encoder=ref_encoder, body_prior=body_prior)

    def upcast_vae(self) -> None:
        """Make the autoencoder float32, as diffusers does where float16 is too coarse, but without its warning."""
        self.vae.to(torch.float32)

    def encode_prompt(
        self,
        prompt: str | list[str] | None,
        prompt_2: str | list[str] | None = None,
        *args: Any,
        negative_prompt: str | list[str] | None = None,
        negative_prompt_2: str | list[str] | None = None,
        **kwargs: Any,
    ) -> Any:
        """Encode prompts as diffusers does if they fit one window, else window by window (see `models.text`).

        Raises:
            ConfigurationError: a long prompt comes with another text for the second encoder.
        """
        long = encode_long_prompts(self, prompt, negative_prompt)
        if long is not None:
            if prompt_2 is not None or negative_prompt_2 is not None:
                raise ConfigurationError(
                    "a prompt of more than 75 tokens goes to both text encoders: leave out prompt_2 and "
                    "negative_prompt_2"
                )
            positive, negative = long
            kwargs |= {
                "prompt_embeds": positive.hidden_BLD,
                "negative_prompt_embeds": negative.hidden_BLD,
                "pooled_prompt_embeds": positive.pooled_BD,
                "negative_pooled_prompt_embeds": negative.pooled_BD,
            }
            prompt = negative_prompt = None
        return super().encode_prompt(
            prompt,
            prompt_2,
            *args,
            negative_prompt=negative_prompt,
            negative_prompt_2=negative_prompt_2,
            **kwargs,
        )
