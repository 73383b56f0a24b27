"""Stable Diffusion 1.x and 2.x with BoLID's two branches."""

from typing import Any, ClassVar

import torch
from diffusers import AutoencoderKL, PriorTransformer, StableDiffusionPipeline, UNet2DConditionModel
from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
from diffusers.schedulers.scheduling_utils import KarrasDiffusionSchedulers
from transformers import CLIPImageProcessor, CLIPTextModel, CLIPTokenizer, CLIPVisionModelWithProjection

from bolid_pipeline.models.body_encoder import BodyEncoder
from bolid_pipeline.models.loaders import ENCODERS
from bolid_pipeline.models.pipelines.conditioned import ConditionedPipeline
from bolid_pipeline.models.reference_encoder import ReferenceEncoder
from bolid_pipeline.models.text import encode_long_prompts


class BoLIDPipeline(ConditionedPipeline, StableDiffusionPipeline):
    """A Stable Diffusion pipeline that also takes a body, reference photos and image prompts.

    `load_pipeline` makes one from a checkpoint; `from_pretrained` from a folder that `save_pretrained` wrote.
    """

    _optional_components: ClassVar[list[str]] = [
        *StableDiffusionPipeline._optional_components,  # noqa: SLF001 - diffusers' own way to declare them
        *ENCODERS,
    ]

    def __init__(  # diffusers reads the components from this signature
        self,
        vae: AutoencoderKL,
        text_encoder: CLIPTextModel,
        tokenizer: CLIPTokenizer,
        unet: UNet2DConditionModel,
        scheduler: KarrasDiffusionSchedulers,
        safety_checker: StableDiffusionSafetyChecker | None,
        feature_extractor: CLIPImageProcessor | None,
        image_encoder: CLIPVisionModelWithProjection | None = None,
        body_encoder: BodyEncoder | None = None,
        ref_encoder: ReferenceEncoder | None = None,
        body_prior: PriorTransformer | None = None,
        requires_safety_checker: bool = True,
    ) -> None:
        StableDiffusionPipeline.__init__(
            self,
            vae=vae,
            text_encoder=text_encoder,
            tokenizer=tokenizer,
            unet=unet,
            scheduler=scheduler,
            safety_checker=safety_checker,
            feature_extractor=feature_extractor,
            image_encoder=image_encoder,
            requires_safety_checker=requires_safety_checker,
        )
        self.register_modules(body_encoder=body_encoder, ref_encoder=ref_encoder, body_prior=body_prior)

    def encode_prompt(
        self,
        prompt: str | list[str] | None,
        device: torch.device,
        num_images_per_prompt: int,
        do_classifier_free_guidance: bool,
        negative_prompt: str | list[str] | None = None,
        **kwargs: Any,
    ) -> Any:
        """Encode prompts as diffusers does if they fit one window, else window by window (see `models.text`)."""
        long = encode_long_prompts(self, prompt, negative_prompt)
        if long is not None:
            positive, negative = long
            kwargs |= {"prompt_embeds": positive.hidden_BLD, "negative_prompt_embeds": negative.hidden_BLD}
            prompt = negative_prompt = None
        return super().encode_prompt(
            prompt, device, num_images_per_prompt, do_classifier_free_guidance, negative_prompt, **kwargs
        )
