"""`BoLIDPipeline`: Stable Diffusion with a body from the bank, a reference photo, an image prompt, or none of them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from diffusers import StableDiffusionPipeline
from PIL.Image import Image

from bolid_pipeline.errors import ConfigurationError, WeightsMissing
from bolid_pipeline.models import adapters
from bolid_pipeline.models.base import load_base_model
from bolid_pipeline.models.body_bank import BANK_FILE, BodyBank
from bolid_pipeline.models.body_encoder import BodyEncoder
from bolid_pipeline.models.text import count_windows, encode_prompts

REF_ADAPTER_FILE = "ref_adapter.safetensors"
BODY_ADAPTER_FILE = "body_adapter.safetensors"
BODY_ENCODER_FOLDER = "body_encoder"

Scale = float | Mapping[str, Any]
"""lambda of a branch: one number, or diffusers' per-block configuration (see `set_ip_adapter_scale`)."""


class BoLIDPipeline(StableDiffusionPipeline):
    """A Stable Diffusion pipeline with BoLID's two branches.

    A branch without an input is off: with neither identity nor picture the result is the base model's, bit for bit
    (prompts of more than 75 tokens are kept whole here, where the base model cuts them).

        pipe = BoLIDPipeline.from_checkpoint("data/checkpoints/demo", base_model="path/of/stable-diffusion")
        pipe("a woman running on a beach", identity="anna-smith").images[0]
    """

    _optional_components: ClassVar[list[str]] = [
        *StableDiffusionPipeline._optional_components,  # noqa: SLF001 - diffusers' own way to declare them
        "body_encoder",
    ]

    def __init__(
        self,
        vae: Any,
        text_encoder: Any,
        tokenizer: Any,
        unet: Any,
        scheduler: Any,
        safety_checker: Any,
        feature_extractor: Any,
        image_encoder: Any = None,
        body_encoder: BodyEncoder | None = None,
        requires_safety_checker: bool = True,
    ) -> None:
        super().__init__(
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
        self.register_modules(body_encoder=body_encoder)
        self.body_bank: BodyBank | None = None

    @classmethod
    def from_checkpoint(
        cls, checkpoint: str | Path, base_model: str | Path, *, dtype: torch.dtype = torch.float32
    ) -> "BoLIDPipeline":
        """The base model of a folder with the branches, encoder and bank of a checkpoint folder.

        Raises:
            WeightsMissing: a part of either folder is not there.
        """
        base = load_base_model(base_model, dtype=dtype)
        pipe = cls(**base.components, requires_safety_checker=False)
        pipe.load_bolid(checkpoint)
        return pipe

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | Path, **kwargs: Any) -> "BoLIDPipeline":
        """Diffusers' own, and the branches and the bank too where the folder holds them."""
        pipe = super().from_pretrained(pretrained_model_name_or_path, **kwargs)
        folder = Path(pretrained_model_name_or_path)
        if (folder / REF_ADAPTER_FILE).is_file():
            pipe.load_branches(folder)
        return pipe

    def save_pretrained(self, save_directory: str | Path, **kwargs: Any) -> None:
        """Diffusers' own folder, with the branches and the bank beside the base model's parts (stock drops them)."""
        if not adapters.is_attached(self.unet):
            super().save_pretrained(save_directory, **kwargs)
            return
        with adapters.detached(self.unet):
            super().save_pretrained(save_directory, **kwargs)
        save_branches(Path(save_directory), self.unet, self.body_bank)

    def load_bolid(self, checkpoint: str | Path) -> None:
        """Attach the branches, body encoder and body bank of a checkpoint folder.

        Raises:
            WeightsMissing: a part of the checkpoint is not there.
        """
        folder = Path(checkpoint)
        if not (folder / BODY_ENCODER_FOLDER).is_dir():
            raise WeightsMissing(f"{folder} is no BoLID checkpoint: it holds no {BODY_ENCODER_FOLDER}/")
        encoder = BodyEncoder.from_pretrained(
            folder / BODY_ENCODER_FOLDER, dtype=self.unet.dtype, low_cpu_mem_usage=False
        )
        self.register_modules(body_encoder=encoder.to(self.device).requires_grad_(False).eval())
        self.load_branches(folder)

    def load_branches(self, folder: Path) -> None:
        """Attach the branches and the body bank of a folder, but not the body encoder. Raises WeightsMissing."""
        adapters.attach(
            self.unet,
            adapters.read_adapter(folder / REF_ADAPTER_FILE),
            adapters.read_adapter(folder / BODY_ADAPTER_FILE),
        )
        self.body_bank = BodyBank.load(folder) if (folder / BANK_FILE).is_file() else None

    def set_ip_adapter_scale(self, scale: Scale | list[Scale]) -> None:
        """Diffusers' own, but one number sets both branches (stock callbacks pass one and would fail)."""
        super().set_ip_adapter_scale(scale if isinstance(scale, list) else [scale, scale])

    @torch.no_grad()
    def __call__(
        self,
        prompt: str | list[str] | None = None,
        *,
        identity: str | Sequence[str] | None = None,
        ref_image: Image | Sequence[Image] | None = None,
        image_prompt: Image | Sequence[Image] | None = None,
        ref_scale: Scale = 1.0,
        body_scale: Scale = 1.0,
        num_images_per_prompt: int = 1,
        **kwargs: Any,
    ) -> Any:
        """Generate pictures.

        Args:
            prompt: one text or B of them.
            identity: a person of the body bank for all pictures, or one for each of the B prompts.
            ref_image: photo(s) of the person, for the reference branch, the same for all pictures.
            image_prompt: picture(s) of the wanted content, for the reference branch too.
            ref_scale: lambda_ref, 1 as trained; without a picture the branch is off.
            body_scale: lambda_body, 1 as trained; without an identity the branch is off.
            num_images_per_prompt: pictures per prompt.
            kwargs: all else that `StableDiffusionPipeline` takes: height, width, num_inference_steps,
                guidance_scale, negative_prompt, generator, latents, output_type, callbacks ...

        Raises:
            ConfigurationError: a condition without loaded branches, or as many identities as do not fit the prompts.
            UnknownIdentity: the body bank does not hold a person.
            WeightsMissing: a picture without an image encoder.
        """
        pictures = [*_as_list(ref_image), *_as_list(image_prompt)]
        if not adapters.is_attached(self.unet):
            if pictures or identity is not None:
                raise ConfigurationError("no BoLID checkpoint is loaded: call load_bolid(folder) first")
            return super().__call__(prompt, num_images_per_prompt=num_images_per_prompt, **kwargs)
        prompts = [prompt] if isinstance(prompt, str) else prompt
        num_prompts = len(kwargs["prompt_embeds"]) if prompts is None else len(prompts)
        num_pictures = num_prompts * num_images_per_prompt
        embeds = [
            self._ref_embeds(pictures).expand(num_pictures, -1, -1),
            self._c_body(identity, num_prompts).repeat_interleave(num_images_per_prompt, dim=0),
        ]
        self.set_ip_adapter_scale(
            [ref_scale if pictures else 0.0, body_scale if identity is not None else 0.0]
        )
        return super().__call__(
            prompt, num_images_per_prompt=num_images_per_prompt, ip_adapter_image_embeds=embeds, **kwargs
        )

    def prepare_ip_adapter_image_embeds(
        self,
        ip_adapter_image: None,
        ip_adapter_image_embeds: list[torch.Tensor],
        device: torch.device,
        num_images_per_prompt: int,
        do_classifier_free_guidance: bool,
    ) -> list[torch.Tensor]:
        """Put the unconditional half, zeros, before embeddings that already have a row for each picture."""
        del ip_adapter_image, num_images_per_prompt
        if not do_classifier_free_guidance:
            return [embeds.to(device) for embeds in ip_adapter_image_embeds]
        return [
            torch.cat([torch.zeros_like(embeds), embeds]).to(device) for embeds in ip_adapter_image_embeds
        ]

    def encode_prompt(
        self,
        prompt: str | list[str] | None,
        device: torch.device,
        num_images_per_prompt: int,
        do_classifier_free_guidance: bool,
        negative_prompt: str | list[str] | None = None,
        prompt_embeds: torch.Tensor | None = None,
        negative_prompt_embeds: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Diffusers' own for prompts that fit one window; longer ones are encoded by windows (see `models.text`)."""
        if prompt is not None:
            prompts = _as_list(prompt)
            negatives = _as_list(negative_prompt) or [""]
            num_windows = count_windows([*prompts, *negatives], self.tokenizer)
            if num_windows > 1:
                prompt_embeds = encode_prompts(
                    prompts, self.tokenizer, self.text_encoder, num_windows=num_windows
                )
                negative_prompt_embeds = encode_prompts(
                    negatives * (len(prompts) // len(negatives)),
                    self.tokenizer,
                    self.text_encoder,
                    num_windows=num_windows,
                )
                prompt, negative_prompt = None, None
        return super().encode_prompt(
            prompt,
            device,
            num_images_per_prompt,
            do_classifier_free_guidance,
            negative_prompt=negative_prompt,
            prompt_embeds=prompt_embeds,
            negative_prompt_embeds=negative_prompt_embeds,
            **kwargs,
        )

    def _ref_embeds(self, pictures: list[Image]) -> torch.Tensor:
        """CLIP embeddings (1, number of pictures, D); one of zeros where there is no picture."""
        projection = self.unet.encoder_hid_proj.image_projection_layers[0]
        if not pictures:
            dim = projection.image_embeds.in_features
            return torch.zeros(1, 1, dim, device=self.device, dtype=self.unet.dtype)
        if self.image_encoder is None:
            raise WeightsMissing("the base model holds no image_encoder/, so it takes no picture")
        embeds, _ = self.encode_image([picture.convert("RGB") for picture in pictures], self.device, 1)
        return embeds[None].to(self.unet.dtype)

    def _c_body(self, identity: str | Sequence[str] | None, num_prompts: int) -> torch.Tensor:
        """c_body (num_prompts, 1, D); zeros where nobody is named."""
        projection = self.unet.encoder_hid_proj.image_projection_layers[1]
        if identity is None:
            dim = projection.ff.net[0].proj.in_features
            return torch.zeros(num_prompts, 1, dim, device=self.device, dtype=self.unet.dtype)
        if self.body_bank is None:
            raise WeightsMissing("the checkpoint holds no body bank, so no person can be named")
        identities = [identity] * num_prompts if isinstance(identity, str) else list(identity)
        if len(identities) != num_prompts:
            raise ConfigurationError(f"{len(identities)} identities for {num_prompts} prompts")
        c_body = torch.stack([self.body_bank[name] for name in identities])
        return c_body[:, None].to(self.device, self.unet.dtype)


def save_branches(folder: Path, unet: Any, body_bank: BodyBank | None) -> None:
    """Write both adapter files, and the body bank if there is one, into a folder."""
    ref_state, body_state = adapters.adapter_states(unet)
    adapters.write_adapter(ref_state, folder / REF_ADAPTER_FILE)
    adapters.write_adapter(body_state, folder / BODY_ADAPTER_FILE)
    if body_bank is not None:
        body_bank.save(folder)


def _as_list(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str) else [value]
