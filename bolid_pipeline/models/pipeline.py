"""`BoLIDPipeline`: Stable Diffusion with a body by name or by text, reference photos, an image prompt, or none.

`BoLIDXLPipeline` is the same on SDXL; `from_checkpoint` of either gives the one that fits the base model.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from diffusers import PriorTransformer, StableDiffusionPipeline, StableDiffusionXLPipeline
from PIL.Image import Image

from bolid_pipeline.errors import ConfigurationError, WeightsMissing
from bolid_pipeline.models import adapters
from bolid_pipeline.models.base import load_base_model
from bolid_pipeline.models.body_bank import BANK_FILE, BodyBank
from bolid_pipeline.models.body_encoder import BodyEncoder
from bolid_pipeline.models.body_prior import sample_bodies, text_vector
from bolid_pipeline.models.invisible_mark import add_mark
from bolid_pipeline.models.reference_encoder import ReferenceEncoder
from bolid_pipeline.models.scales import Scale, ScheduledScales, is_schedule, scale_at
from bolid_pipeline.models.text import EncodedText, count_windows, empty_text, encode_text, is_sdxl

REF_ADAPTER_FILE = "ref_adapter.safetensors"
BODY_ADAPTER_FILE = "body_adapter.safetensors"
BODY_ENCODER_FOLDER = "body_encoder"
REF_ENCODER_FOLDER = "ref_encoder"
BODY_PRIOR_FOLDER = "body_prior"

_PARTS: dict[str, Any] = {
    BODY_ENCODER_FOLDER: BodyEncoder,
    REF_ENCODER_FOLDER: ReferenceEncoder,
    BODY_PRIOR_FOLDER: PriorTransformer,
}
"""BoLID's own networks, by folder of the checkpoint and component of the pipeline alike."""


class _BodyConditioning:
    """What both pipelines add to diffusers' own: loading, saving, conditions and their scales.

    A branch without an input is off: with neither a body nor a picture the result is the base model's, bit for bit
    (prompts of more than 75 tokens are kept whole here, where the base model cuts them). Pictures leave as PIL images
    with an invisible mark; as arrays, tensors or latents they are what the model made.
    """

    body_bank: BodyBank | None = None
    unet: Any
    device: torch.device
    register_modules: Callable[..., None]

    @classmethod
    def from_checkpoint(
        cls,
        checkpoint: str | Path,
        base_model: str | Path,
        *,
        dtype: torch.dtype = torch.float32,
        image_encoder: str | Path | None = None,
        feature_extractor: str | Path | None = None,
    ) -> Any:
        """The base model of a folder with the branches, encoder, bank and prior of a checkpoint folder.

        Args:
            checkpoint: folder that training wrote.
            base_model: diffusers folder of the base model it was trained on.
            dtype: of all networks.
            image_encoder: folder of the CLIP image encoder, where the base model holds none; for pictures only.
            feature_extractor: folder of its image processor, likewise.

        Returns:
            A `BoLIDPipeline`, or a `BoLIDXLPipeline` on SDXL.

        Raises:
            WeightsMissing: a part of either folder is not there.
        """
        base = load_base_model(
            base_model, dtype=dtype, image_encoder=image_encoder, feature_extractor=feature_extractor
        )
        if is_sdxl(base):
            pipe: Any = BoLIDXLPipeline(
                **base.components, force_zeros_for_empty_prompt=base.config.force_zeros_for_empty_prompt
            )
        else:
            pipe = BoLIDPipeline(**base.components, requires_safety_checker=False)
        pipe.load_bolid(checkpoint)
        return pipe

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | Path, **kwargs: Any) -> Any:
        """Diffusers' own, and the branches and the bank too where the folder holds them."""
        pipe: Any = super().from_pretrained(pretrained_model_name_or_path, **kwargs)  # pyright: ignore[reportAttributeAccessIssue]
        folder = Path(pretrained_model_name_or_path)
        if (folder / REF_ADAPTER_FILE).is_file():
            pipe.load_branches(folder)
        return pipe

    def save_pretrained(self, save_directory: str | Path, **kwargs: Any) -> None:
        """Diffusers' own folder, with the branches and the bank beside the base model's parts (stock drops them)."""
        save: Callable[..., None] = super().save_pretrained  # pyright: ignore[reportAttributeAccessIssue]
        if not adapters.is_attached(self.unet):
            save(save_directory, **kwargs)
            return
        with adapters.detached(self.unet):
            save(save_directory, **kwargs)
        save_branches(Path(save_directory), self.unet, self.body_bank)

    def load_bolid(self, checkpoint: str | Path) -> None:
        """Attach what a checkpoint folder holds: branches, body encoder, bank; reference encoder and prior if there.

        Raises:
            WeightsMissing: a part of the checkpoint is not there.
        """
        folder = Path(checkpoint)
        if not (folder / BODY_ENCODER_FOLDER).is_dir():
            raise WeightsMissing(f"{folder} is no BoLID checkpoint: it holds no {BODY_ENCODER_FOLDER}/")
        for name, model_class in _PARTS.items():
            part = None
            if (folder / name).is_dir():
                part = model_class.from_pretrained(
                    folder / name, dtype=self.unet.dtype, low_cpu_mem_usage=False
                )
                part.to(self.device).requires_grad_(False).eval()
            self.register_modules(**{name: part})
        self.load_branches(folder)

    def load_branches(self, folder: Path) -> None:
        """Attach the branches and the body bank of a folder, but no encoder. Raises WeightsMissing."""
        adapters.attach(
            self.unet,
            adapters.read_adapter(folder / REF_ADAPTER_FILE),
            adapters.read_adapter(folder / BODY_ADAPTER_FILE),
        )
        self.body_bank = BodyBank.load(folder) if (folder / BANK_FILE).is_file() else None

    def set_ip_adapter_scale(self, scale: Any) -> None:
        """Diffusers' own, but one scale sets both branches (stock callbacks pass one and would fail)."""
        set_scale: Callable[..., None] = super().set_ip_adapter_scale  # pyright: ignore[reportAttributeAccessIssue]
        set_scale(scale if isinstance(scale, list) else [scale, scale])

    @torch.no_grad()
    def __call__(
        self,
        prompt: str | list[str] | None = None,
        *,
        identity: str | Sequence[str] | None = None,
        c_body: torch.Tensor | None = None,
        sample_body: bool = False,
        ref_image: Image | Sequence[Image] | None = None,
        image_prompt: Image | Sequence[Image] | None = None,
        ref_scale: Scale = 1.0,
        body_scale: Scale = 1.0,
        num_images_per_prompt: int = 1,
        callback_on_step_end: Callable[..., dict[str, Any]] | None = None,
        **kwargs: Any,
    ) -> Any:
        """Generate pictures.

        Args:
            prompt: one text or B of them.
            identity: a person of the body bank for all pictures, or one for each of the B prompts.
            c_body: in place of a name, a body (D,) or (B, D), such as `body_bank.between(...)`.
            sample_body: in place of a name, a body that the body prior draws to fit the text, another one each picture.
            ref_image: photo(s) of the person, for the reference branch, the same for all pictures.
            image_prompt: picture(s) of the wanted content, for the reference branch too.
            ref_scale: lambda_ref, 1 as trained (see `models.scales`); without a picture the branch is off.
            body_scale: lambda_body, 1 as trained; without a body the branch is off.
            num_images_per_prompt: pictures per prompt.
            callback_on_step_end: diffusers' own.
            kwargs: all else that the base model's pipeline takes: height, width, num_inference_steps, guidance_scale,
                negative_prompt, generator, latents, output_type ...

        Raises:
            ConfigurationError: a condition without loaded branches; two bodies at once; as many identities or bodies
                as do not fit the prompts; a scale that is none.
            UnknownIdentity: the body bank does not hold a person.
            WeightsMissing: a picture without an image encoder, a name without a bank, a drawn body without a prior.
            ValueError: c_body has another length than the body branch was made for.
        """
        generate: Callable[..., Any] = super().__call__  # pyright: ignore[reportAttributeAccessIssue]
        kwargs |= {"num_images_per_prompt": num_images_per_prompt}
        refs, contents = _as_list(ref_image), _as_list(image_prompt)
        num_bodies = (identity is not None) + (c_body is not None) + sample_body
        if num_bodies > 1:
            raise ConfigurationError("identity, c_body and sample_body each say whose body it is: give one")
        if not adapters.is_attached(self.unet):
            if refs or contents or num_bodies:
                raise ConfigurationError("no BoLID checkpoint is loaded: call load_bolid(folder) first")
            return _marked(generate(prompt, callback_on_step_end=callback_on_step_end, **kwargs))
        num_prompts = len(kwargs["prompt_embeds"] if prompt is None else _as_list(prompt))
        if identity is not None:
            c_body = self._named_bodies(identity)
        if sample_body:
            body_BD = self._drawn_bodies(prompt, num_images_per_prompt, kwargs)
        else:
            body_BD = self._body_of_each(c_body, num_prompts).repeat_interleave(num_images_per_prompt, dim=0)
        embeds = [
            self._ref_embeds(refs, contents).expand(len(body_BD), -1, -1),
            adapters.body_embeds(self.unet, body_BD),
        ]
        ref_scale = ref_scale if refs or contents else 0.0
        body_scale = body_scale if num_bodies else 0.0
        if is_schedule(ref_scale) or is_schedule(body_scale):
            if hasattr(callback_on_step_end, "tensor_inputs"):
                kwargs["callback_on_step_end_tensor_inputs"] = callback_on_step_end.tensor_inputs  # pyright: ignore[reportFunctionMemberAccess, reportOptionalMemberAccess]
            callback_on_step_end = ScheduledScales(ref_scale, body_scale, callback_on_step_end)
        self.set_ip_adapter_scale([scale_at(ref_scale, 0.0), scale_at(body_scale, 0.0)])
        return _marked(
            generate(
                prompt, ip_adapter_image_embeds=embeds, callback_on_step_end=callback_on_step_end, **kwargs
            )
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

    def _ref_embeds(self, refs: list[Image], contents: list[Image]) -> torch.Tensor:
        """CLIP embeddings (1, number of pictures, D); one for all refs with a reference encoder; zeros for none."""
        projection = self.unet.encoder_hid_proj.image_projection_layers[0]
        if not refs and not contents:
            dim = projection.image_embeds.in_features
            return torch.zeros(1, 1, dim, device=self.device, dtype=self.unet.dtype)
        pipe: Any = self
        if pipe.image_encoder is None or pipe.feature_extractor is None:
            raise WeightsMissing(
                "there is no CLIP image encoder, so no picture can be taken: the base model holds none, and "
                "from_checkpoint was given no image_encoder and feature_extractor"
            )
        pictures = [picture.convert("RGB") for picture in (*refs, *contents)]
        embeds_1MD = pipe.encode_image(pictures, self.device, 1)[0][None]
        if refs and pipe.ref_encoder is not None:
            refs_1ND = embeds_1MD[:, : len(refs)]
            one_11D = pipe.ref_encoder(refs_1ND, torch.ones_like(refs_1ND[..., 0]))[:, None]
            embeds_1MD = torch.cat([one_11D, embeds_1MD[:, len(refs) :]], dim=1)
        return embeds_1MD.to(self.unet.dtype)

    def _named_bodies(self, identity: str | Sequence[str]) -> torch.Tensor:
        """c_body of one person (D,) or of several (B, D)."""
        if self.body_bank is None:
            raise WeightsMissing("the checkpoint holds no body bank, so no person can be named")
        if isinstance(identity, str):
            return self.body_bank[identity]
        return torch.stack([self.body_bank[name] for name in identity])

    def _body_of_each(self, c_body: torch.Tensor | None, num_prompts: int) -> torch.Tensor:
        """c_body (B, D), one for each prompt; zeros for nobody."""
        if c_body is None:
            return torch.zeros(num_prompts, self._c_body_dim(), device=self.device, dtype=self.unet.dtype)
        body_BD = c_body.expand(num_prompts, -1) if c_body.ndim == 1 else c_body
        if len(body_BD) != num_prompts:
            raise ConfigurationError(f"{len(body_BD)} bodies or identities for {num_prompts} prompts")
        return body_BD.to(self.device, self.unet.dtype)

    def _c_body_dim(self) -> int:
        projection = self.unet.encoder_hid_proj.image_projection_layers[1]
        return projection.ff.net[0].proj.in_features

    def _drawn_bodies(self, prompt: Any, num_images_per_prompt: int, kwargs: dict[str, Any]) -> torch.Tensor:
        """c_body (B * num_images_per_prompt, D) from the body prior."""
        prior = getattr(self, BODY_PRIOR_FOLDER)
        if prior is None:
            raise WeightsMissing("the checkpoint holds no body_prior/, so no body can be drawn from the text")
        hidden_BLF = (
            kwargs["prompt_embeds"] if prompt is None else encode_text(self, _as_list(prompt)).hidden_BLD
        )
        text_BF = text_vector(hidden_BLF).repeat_interleave(num_images_per_prompt, dim=0)
        return sample_bodies(prior, text_BF, generator=kwargs.get("generator"))

    def _encode_long(
        self, prompt: str | list[str] | None, negative_prompt: str | list[str] | None
    ) -> tuple[EncodedText, EncodedText] | None:
        """Prompts and negative prompts by windows, as long as each other; None where one window is enough."""
        if prompt is None:
            return None
        pipe: Any = self
        prompts, negatives = _as_list(prompt), _as_list(negative_prompt)
        num_windows = count_windows([*prompts, *negatives], pipe.tokenizer)
        if num_windows == 1:
            return None
        if not negatives:
            empty = empty_text(self, num_windows=num_windows)
            return encode_text(self, prompts, num_windows=num_windows), empty.expand(len(prompts))
        negatives = negatives * (len(prompts) // len(negatives))
        positive, negative = (
            encode_text(self, texts, num_windows=num_windows) for texts in (prompts, negatives)
        )
        return positive, negative


class BoLIDPipeline(_BodyConditioning, StableDiffusionPipeline):  # pyright: ignore[reportIncompatibleMethodOverride, reportIncompatibleVariableOverride]
    """A Stable Diffusion pipeline with BoLID's two branches.

    pipe = BoLIDPipeline.from_checkpoint("data/checkpoints/demo", base_model="path/of/stable-diffusion")
    pipe("a woman running on a beach", identity="anna-smith").images[0]
    """

    _optional_components: ClassVar[list[str]] = [
        *StableDiffusionPipeline._optional_components,  # noqa: SLF001 - diffusers' own way to declare them
        *_PARTS,
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
        """Diffusers' own for prompts that fit one window; longer ones are encoded by windows (see `models.text`)."""
        long = self._encode_long(prompt, negative_prompt)
        if long is not None:
            positive, negative = long
            kwargs |= {"prompt_embeds": positive.hidden_BLD, "negative_prompt_embeds": negative.hidden_BLD}
            prompt = negative_prompt = None
        return super().encode_prompt(
            prompt, device, num_images_per_prompt, do_classifier_free_guidance, negative_prompt, **kwargs
        )


class BoLIDXLPipeline(_BodyConditioning, StableDiffusionXLPipeline):  # pyright: ignore[reportIncompatibleMethodOverride, reportIncompatibleVariableOverride]
    """An SDXL pipeline with BoLID's two branches: two text encoders, and the picture's size as a condition."""

    _optional_components: ClassVar[list[str]] = [
        *StableDiffusionXLPipeline._optional_components,  # noqa: SLF001 - diffusers' own way to declare them
        *_PARTS,
    ]

    def __init__(  # noqa: PLR0917 - diffusers reads the components from this signature
        self,
        vae: Any,
        text_encoder: Any,
        text_encoder_2: Any,
        tokenizer: Any,
        tokenizer_2: Any,
        unet: Any,
        scheduler: Any,
        image_encoder: Any = None,
        feature_extractor: Any = None,
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
            add_watermarker=False,  # BoLID's own mark is put on at the end
        )
        self.register_modules(body_encoder=body_encoder, ref_encoder=ref_encoder, body_prior=body_prior)

    def encode_prompt(
        self,
        prompt: Any,
        prompt_2: Any = None,
        *args: Any,
        negative_prompt: Any = None,
        negative_prompt_2: Any = None,
        **kwargs: Any,
    ) -> Any:
        """Diffusers' own for prompts that fit one window; longer ones are encoded by windows (see `models.text`).

        Raises:
            ConfigurationError: a long prompt with another text for the second encoder.
        """
        long = self._encode_long(prompt, negative_prompt)
        if long is not None:
            if prompt_2 is not None or negative_prompt_2 is not None:
                raise ConfigurationError(
                    "a prompt of more than 75 tokens goes to both text encoders: no prompt_2"
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


def save_branches(folder: Path, unet: Any, body_bank: BodyBank | None) -> None:
    """Write both adapter files, and the body bank if there is one, into a folder."""
    ref_state, body_state = adapters.adapter_states(unet)
    adapters.write_adapter(ref_state, folder / REF_ADAPTER_FILE)
    adapters.write_adapter(body_state, folder / BODY_ADAPTER_FILE)
    if body_bank is not None:
        body_bank.save(folder)


def _marked(output: Any) -> Any:
    """A pipeline's output with the invisible mark in its PIL images; arrays, tensors and latents as they are."""
    images = output[0]
    if not (isinstance(images, list) and all(isinstance(image, Image) for image in images)):
        return output
    marked = [add_mark(image) for image in images]
    if isinstance(output, tuple):
        return (marked, *output[1:])
    output.images = marked
    return output


def _as_list(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str) else [value]
