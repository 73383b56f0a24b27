"""The call of both pipelines: check the inputs, make embeddings of them, let diffusers draw, mark the pictures."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from PIL.Image import Image

from bolid_pipeline.errors import ConfigurationError
from bolid_pipeline.images.upright import upright_picture
from bolid_pipeline.models import adapters
from bolid_pipeline.models.conditioning import Conditions, body_vectors, ref_embeds
from bolid_pipeline.models.invisible_mark import add_mark
from bolid_pipeline.models.loaders import BoLIDLoaderMixin
from bolid_pipeline.models.pipelines.input_checks import by_name, check_inputs
from bolid_pipeline.models.scales import Scale, ScheduledScales, is_schedule, scale_at
from bolid_pipeline.models.text import as_texts


class ConditionedPipeline(BoLIDLoaderMixin):
    """Mixin that adds conditions to a stock pipeline's call; a class lists it before the stock pipeline."""

    @torch.no_grad()
    def __call__(
        self,
        prompt: str | list[str] | None = None,
        *args: Any,
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

        A branch without an input is off: with neither a body nor a picture the result is the base model's, bit for
        bit. One thing differs from it: a prompt of more than 75 tokens is kept whole, where the base model cuts it.

        Args:
            prompt: one text or B of them.
            args: further positions, as the base model's pipeline takes them.
            identity: a person of the body bank for all pictures, or one person per prompt.
            c_body: a body (D,), or one per prompt (B, D), such as `pipe.body_bank.between(...)`.
            sample_body: let the body prior draw a body that fits the text, a new one for each picture.
            ref_image: photo(s) of the person, for the reference branch; the same for all pictures. Any mode of
                Pillow, turned as its EXIF orientation says.
            image_prompt: picture(s) of the wanted content, for the reference branch too.
            ref_scale: lambda_ref, 1 as trained; see `models.scales`.
            body_scale: lambda_body, 1 as trained; see `models.scales`.
            num_images_per_prompt: pictures per prompt.
            callback_on_step_end: as diffusers takes it.
            kwargs: what the base model's pipeline takes besides: height, width, num_inference_steps, guidance_scale,
                negative_prompt, generator, latents, prompt_embeds, output_type, return_dict ...

        Returns:
            The base pipeline's output: its `images` are a list of B * num_images_per_prompt PIL images with an
            invisible mark, or, by `output_type`, an array or a tensor without one. A tuple if `return_dict=False`.

        Raises:
            ConfigurationError: an unknown argument, a size, a number of steps, a guidance or a scale out of range, or
                conditions that do not fit each other or the prompts.
            UnknownIdentity: the body bank lacks a person.
            UnreadablePhoto: a given picture's file is damaged.
            WeightsMissing: a picture without an image encoder, a name without a bank, a drawn body without a prior.
            ValueError: c_body has another length than the body branch takes.

        Examples:
            >>> pipe = load_pipeline("data/checkpoints/demo", "folder/of/the/base/model")
            >>> pipe("a woman running on a beach", identity="rosa_orlow").images[0].save("rosa.png")
            >>> pipe(["a portrait", "at sea"], ref_image=photo, body_scale={0.0: 0.0, 0.3: 1.0}).images
        """
        generate = super().__call__
        conditions = Conditions(
            identity=identity,
            c_body=c_body,
            sample_body=sample_body,
            refs=_pictures("ref_image", ref_image),
            contents=_pictures("image_prompt", image_prompt),
            ref_scale=ref_scale,
            body_scale=body_scale,
        )
        settings = {
            **kwargs,
            "num_images_per_prompt": num_images_per_prompt,
            "callback_on_step_end": callback_on_step_end,
        }
        known = list(inspect.signature(generate).parameters)
        settings |= by_name(args, settings, known[1:])
        settings = {**self.call_defaults, **settings}
        check_inputs(self, prompt, conditions, settings, known=known)
        if adapters.is_attached(self.unet):
            settings |= self._conditioned(prompt, conditions, settings)
        return _marked(generate(prompt, **settings))

    def _conditioned(
        self, prompt: str | list[str] | None, conditions: Conditions, settings: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Set the branches' scales, and return the settings that carry the conditions to the stock call."""
        text = settings["prompt_embeds"] if prompt is None else as_texts(prompt)
        bodies_PD = body_vectors(
            self, conditions, text, settings["num_images_per_prompt"], settings.get("generator")
        )
        embeds = [
            ref_embeds(self, conditions).expand(len(bodies_PD), -1, -1),
            adapters.body_embeds(self.unet, bodies_PD),
        ]
        ref_scale, body_scale = conditions.scales
        self.set_ip_adapter_scale([scale_at(ref_scale, 0.0), scale_at(body_scale, 0.0)])
        if not (is_schedule(ref_scale) or is_schedule(body_scale)):
            return {"ip_adapter_image_embeds": embeds}
        callback = settings["callback_on_step_end"]
        # diffusers reads from its own callbacks which tensors they want; the schedule now hides the callback.
        wanted = getattr(callback, "tensor_inputs", None)
        return {
            "ip_adapter_image_embeds": embeds,
            "callback_on_step_end": ScheduledScales(ref_scale, body_scale, callback),
            **({} if wanted is None else {"callback_on_step_end_tensor_inputs": wanted}),
        }

    def prepare_ip_adapter_image_embeds(
        self,
        ip_adapter_image: None,
        ip_adapter_image_embeds: list[torch.Tensor],
        device: torch.device,
        num_images_per_prompt: int,
        do_classifier_free_guidance: bool,
    ) -> list[torch.Tensor]:
        """Put zeros, the unconditional half, before embeddings that already have a row per picture."""
        del ip_adapter_image, num_images_per_prompt
        if not do_classifier_free_guidance:
            return [embeds.to(device) for embeds in ip_adapter_image_embeds]
        return [
            torch.cat([torch.zeros_like(embeds), embeds]).to(device) for embeds in ip_adapter_image_embeds
        ]


def _pictures(name: str, given: Any) -> list[Image]:
    """One picture, several, or none as a list, each upright and in RGB.

    Raises ConfigurationError if it is anything else, and UnreadablePhoto for a damaged file.
    """
    if given is None:
        return []
    pictures: list[Any] = list(given) if isinstance(given, (list, tuple)) else [given]
    for picture in pictures:
        if not isinstance(picture, Image):
            raise ConfigurationError(
                f"{name} takes PIL images, not {type(picture).__name__}: "
                "bolid_pipeline.images.decoding.read_picture reads a file"
            )
    return [upright_picture(picture) for picture in pictures]


def _marked(output: Any) -> Any:
    """Put the invisible mark on an output's PIL images; leave arrays, tensors and latents as they are."""
    images = output[0]
    if not (isinstance(images, list) and all(isinstance(image, Image) for image in images)):
        return output
    marked = [add_mark(image) for image in images]
    if isinstance(output, tuple):
        return (marked, *output[1:])
    output.images = marked
    return output
