"""Checks of a pipeline's call against the loaded networks, before any of them runs."""

import inspect
import math
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from numbers import Integral, Real
from typing import Any, cast

import torch

from bolid_pipeline.errors import ConfigurationError
from bolid_pipeline.images.decoding import MAX_PIXELS
from bolid_pipeline.models import adapters
from bolid_pipeline.models.conditioning import Conditions, check_conditions
from bolid_pipeline.models.loaders import BoLIDLoaderMixin
from bolid_pipeline.models.scales import is_finite_number

_SIZE_STEP_PX = 8
"""diffusers takes pictures whose sides are multiples of this."""


def by_name(args: Sequence[Any], settings: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """The further positions of a call by the names that they have in the stock pipeline.

    Raises:
        ConfigurationError: there are too many, or one is given by name too.
    """
    if len(args) > len(names):
        raise ConfigurationError(f"{len(args) + 1} positions are given; there are {len(names) + 1}")
    positions = dict(zip(names, args, strict=False))
    # The two that `__call__` takes by name itself are always among the settings.
    twice = [name for name in positions if settings.get(name) is not None]
    if twice:
        raise ConfigurationError(f"{twice[0]} is given twice, by its position and by its name")
    return positions


def check_inputs(
    pipe: BoLIDLoaderMixin,
    prompt: str | list[str] | None,
    conditions: Conditions,
    settings: Mapping[str, Any],
    *,
    known: Sequence[str],
) -> None:
    """Refuse what cannot be drawn, before any network runs.

    Args:
        pipe: the pipeline that is asked.
        prompt: one text, several, or None with `prompt_embeds` among the settings.
        conditions: bodies, pictures and scales.
        settings: every other argument of the call by name.
        known: the arguments that the stock pipeline takes.

    Raises:
        BolidError, ValueError: see `ConditionedPipeline.__call__`.
    """
    _check_names(pipe, settings, known)
    text = settings.get("prompt_embeds") if prompt is None else _texts("prompt", prompt)
    if text is None or not len(text):
        raise ConfigurationError("there is nothing to draw: give a prompt, or prompt_embeds")
    if settings.get("negative_prompt") is not None:
        _texts("negative_prompt", settings["negative_prompt"])
    _check_numbers(settings)
    _check_steps(pipe, settings)
    _check_size(pipe, settings)
    _check_generators(settings, len(text) * settings["num_images_per_prompt"])
    check_conditions(pipe, conditions, len(text))


def _check_names(pipe: BoLIDLoaderMixin, settings: Mapping[str, Any], known: Sequence[str]) -> None:
    for name in settings:
        if name not in known:
            own = inspect.signature(pipe.__call__).parameters
            near = get_close_matches(name, [*own, *known], n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise ConfigurationError(f"{type(pipe).__name__} takes no argument {name!r}{hint}")
    if adapters.is_attached(pipe.unet) and {"ip_adapter_image", "ip_adapter_image_embeds"} & settings.keys():
        raise ConfigurationError("give ref_image or image_prompt in place of diffusers' ip_adapter_image")


def _texts(name: str, given: Any) -> list[str]:
    texts: Any = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in cast(list[Any], texts)):
        raise ConfigurationError(f"{name} must be a text or a list of texts, not {given!r}")
    check_utf8(name, *cast(list[str], texts))
    return cast(list[str], texts)


def check_utf8(name: str, *texts: str) -> None:
    """Refuse texts that no tokenizer takes: a terminal may pass on bytes that are not UTF-8."""
    for text in texts:
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise ConfigurationError(f"{name} {text!r} is not UTF-8") from error


def _check_numbers(settings: Mapping[str, Any]) -> None:
    _check_whole("num_images_per_prompt", settings["num_images_per_prompt"], least=1)
    guidance_scale = settings.get("guidance_scale")
    if guidance_scale is not None and not (is_finite_number(guidance_scale) and guidance_scale >= 0):
        raise ConfigurationError(
            f"guidance_scale must be finite and at least 0, not {guidance_scale!r}: 1 is without guidance"
        )
    for name, value in settings.items():  # those that only diffusers knows: eta, guidance_rescale ...
        if not isinstance(value, bool) and isinstance(value, Real) and not is_finite_number(value):
            raise ConfigurationError(f"{name} must be finite, not {value!r}")


def _check_steps(pipe: BoLIDLoaderMixin, settings: Mapping[str, Any]) -> None:
    config = pipe.scheduler.config
    most = min(config.get(name, math.inf) for name in ("num_train_timesteps", "original_inference_steps"))
    if settings.get("num_inference_steps") is not None:
        _check_whole("num_inference_steps", settings["num_inference_steps"], least=1, most=most)


def _check_size(pipe: BoLIDLoaderMixin, settings: Mapping[str, Any]) -> None:
    """Sides that the VAE can make of whole latents; the U-Net itself takes latents of any size."""
    step_px = math.lcm(_SIZE_STEP_PX, pipe.vae_scale_factor)
    sides: list[int] = []
    for name in ("height", "width"):
        side_px = settings.get(name)
        if side_px is None:
            continue
        _check_whole(name, side_px)
        if side_px < step_px or side_px % step_px:
            nearest = max(step_px, round(side_px / step_px) * step_px)
            raise ConfigurationError(
                f"{name} must be a multiple of {step_px} px, not {side_px}: take {nearest}"
            )
        sides.append(side_px)
    if math.prod(sides) > MAX_PIXELS:
        raise ConfigurationError(
            f"a picture has at most {MAX_PIXELS:,} px, not {' x '.join(map(str, sides))}: take smaller sides"
        )
    latents = settings.get("latents")
    if isinstance(latents, torch.Tensor):
        _check_latents(pipe, latents, settings)


def _check_latents(pipe: BoLIDLoaderMixin, latents: torch.Tensor, settings: Mapping[str, Any]) -> None:
    """Latents decide the size themselves, so they must not contradict a height or width."""
    shape = tuple(latents.shape)
    if len(shape) != 4 or shape[1] != pipe.unet.config.in_channels or not latents.isfinite().all():
        raise ConfigurationError(
            f"latents must be finite numbers (pictures, {pipe.unet.config.in_channels}, height, width), not {shape}"
        )
    for name, side in (("height", shape[2]), ("width", shape[3])):
        side_px = side * pipe.vae_scale_factor
        if settings.get(name) not in (None, side_px):
            raise ConfigurationError(f"{name} is {settings[name]}, but the latents make {side_px} px of it")


def _check_generators(settings: Mapping[str, Any], num_pictures: int) -> None:
    generator = settings.get("generator")
    generators: list[Any] = generator if isinstance(generator, list) else [generator]
    if generator is None:
        return
    if not all(isinstance(each, torch.Generator) for each in generators):
        raise ConfigurationError(
            f"generator must be a torch.Generator or a list of them, not {generator!r}: "
            "torch.Generator().manual_seed(0) makes one"
        )
    if isinstance(generator, list) and len(generators) != num_pictures:
        raise ConfigurationError(f"{len(generators)} generators for {num_pictures} pictures")


def _check_whole(name: str, value: Any, *, least: float = -math.inf, most: float = math.inf) -> None:
    is_whole = not isinstance(value, bool) and isinstance(value, Integral)
    if not (is_whole and least <= int(value) <= most):
        range_of = f"from {least} to {most}" if most < math.inf else f"at least {least}"
        allowed = range_of if least > -math.inf else "a whole number"
        raise ConfigurationError(f"{name} must be {allowed}, not {value!r}")
