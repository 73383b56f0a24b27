"""The strength of a branch: a number, a number per block of the U-Net, or either of them per part of the sampling.

1.0                                                   everywhere, always
{"up": {"block_0": 0.8}, "mid": 0.5}                  these blocks, and 0 in the others (diffusers' own form)
{0.0: 0.0, 0.3: 1.0}                                  off until 30 % of the steps are done, then on
{0.0: 1.0, 0.6: {"up": 1.0}}                          everywhere at first, then in the up blocks only
"""

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from numbers import Real
from reprlib import repr as shortened
from typing import Any, Protocol, cast

import torch
from diffusers import UNet2DConditionModel

from bolid_pipeline.errors import ConfigurationError

LayerScale = float | list[float]
"""A number for a whole block, or one for each of its layers."""
BlockScale = float | dict[str, LayerScale | dict[str, LayerScale]]
"""A number, or numbers by block, as diffusers' `set_ip_adapter_scale` takes them."""
Scale = float | Mapping[str, LayerScale | Mapping[str, LayerScale]] | Mapping[float, BlockScale]


def scale_at(scale: Scale, progress: float) -> BlockScale:
    """The scale that holds once a share `progress` of the steps, in [0, 1), is done; 0 before a schedule begins.

    Raises:
        ConfigurationError: a mapping mixes blocks and shares, or a share lies outside [0, 1).
    """
    if not isinstance(scale, Mapping):
        return scale
    if not is_schedule(scale):
        return dict(cast(Mapping[str, Any], scale))
    schedule = cast(Mapping[float, BlockScale], scale)
    begun = [share for share in schedule if share <= progress]
    return scale_at(schedule[max(begun)], progress) if begun else 0.0


def is_schedule(scale: Scale) -> bool:
    """True if a scale changes during sampling.

    Raises:
        ConfigurationError: a mapping mixes blocks and shares, or a share lies outside [0, 1).
    """
    if not isinstance(scale, Mapping) or all(isinstance(key, str) for key in scale):
        return False
    if not all(isinstance(key, (int, float)) and 0 <= key < 1 for key in scale):
        raise ConfigurationError(
            f"a scale's keys are either names of blocks or shares of the steps in [0, 1), not {list(scale)}"
        )
    return True


def check_scale(name: str, scale: Scale, unet: UNet2DConditionModel) -> None:
    """Refuse a scale that names unknown blocks or holds anything but finite numbers.

    diffusers would pass over a block without attention, and fail on other mistakes in the middle of the sampling.

    Args:
        name: the argument's name, for the message.
        scale: the scale.
        unet: the U-Net whose blocks may be named.

    Raises:
        ConfigurationError: the scale cannot be applied to this U-Net.
    """
    for part in cast(Mapping[float, Any], scale).values() if is_schedule(scale) else [scale]:
        if isinstance(part, Mapping):
            _check_block_scale(name, cast(Mapping[Any, Any], part), unet)
        else:
            _check_number(name, part)


def _check_block_scale(name: str, scale: Mapping[Any, Any], unet: UNet2DConditionModel) -> None:
    num_layers = _attention_layers(unet)
    for part, value in scale.items():
        if part not in num_layers:
            raise ConfigurationError(f"{name} names a block {part!r}; there are {', '.join(num_layers)}")
        blocks = num_layers[part]
        by_block = (
            cast(Mapping[Any, Any], value) if isinstance(value, Mapping) else dict.fromkeys(blocks, value)
        )
        for block, numbers in by_block.items():
            if block not in blocks:
                known = ", ".join(filter(None, blocks)) or "none"
                raise ConfigurationError(
                    f"{name} names a block {block!r} in {part!r}; those with attention there: {known}"
                )
            _check_layers(name, f"{part} {block}".strip(), numbers, blocks[block])
        if not by_block:
            raise ConfigurationError(f"{name} names no block in {part!r}: give a number, or leave it out")
    if not scale:
        raise ConfigurationError(
            f"{name} names no block: give a number, or one for each of {', '.join(num_layers)}"
        )


def _check_layers(name: str, block: str, numbers: Any, num_layers: int) -> None:
    if isinstance(numbers, list) and len(cast(list[Any], numbers)) not in (1, num_layers):
        raise ConfigurationError(
            f"{name} has {len(cast(list[Any], numbers))} numbers for {block}, which has {num_layers} layers"
        )
    for number in cast(list[Any], numbers) if isinstance(numbers, list) else [numbers]:
        _check_number(name, number)


def is_finite_number(value: Any) -> bool:
    """True for a number that is not infinite, not NaN and not too large for a float; a truth value is no number."""
    try:
        return not isinstance(value, bool) and isinstance(value, Real) and math.isfinite(value)
    except OverflowError:
        return False


def _check_number(name: str, value: object) -> None:
    if not is_finite_number(value):
        raise ConfigurationError(f"{name} takes finite numbers, not {shortened(value)}")


def _attention_layers(unet: UNet2DConditionModel) -> dict[str, dict[str, int]]:
    """Number of layers with cross-attention, by part of the U-Net and diffusers' name of the block in it."""
    down, up = (
        {
            f"block_{i}": len(block.attentions)
            for i, block in enumerate(blocks)
            if hasattr(block, "attentions")
        }
        for blocks in (unet.down_blocks, unet.up_blocks)
    )
    return {"down": down, "mid": {"": 1}, "up": up}


def parse_scale(text: str, name: str = "the scale") -> Scale:
    """Read a scale from text: a number, or JSON of one of the forms above; `name` is for the message.

    Raises:
        ConfigurationError: the text is something else, or holds something else than finite numbers.
    """
    try:
        scale = json.loads(text, object_pairs_hook=_with_numbers)
    except (ValueError, RecursionError):
        scale = None
    if not isinstance(scale, (int, float, dict)) or isinstance(scale, bool):
        raise ConfigurationError(
            f'{name} {shortened(text)} is no scale: give a number, {{"up": 1.0}} per block, or {{"0.3": 1.0}} from '
            "30 % of the steps on"
        )
    for number in _leaves(scale):
        _check_number(name, number)
    is_schedule(scale)
    return scale


def _leaves(value: Any) -> Iterator[Any]:
    """Everything in nested mappings and lists that is neither of them."""
    if not isinstance(value, dict | list):
        yield value
        return
    for each in value.values() if isinstance(value, dict) else value:
        yield from _leaves(each)


def _with_numbers(pairs: list[tuple[str, Any]]) -> dict[Any, Any]:
    """Turn the keys that are numbers into numbers, because JSON's keys are always text."""
    return {float(key) if _is_number(key) else key: value for key, value in pairs}


def _is_number(text: str) -> bool:
    return text.replace(".", "", 1).isdecimal()


class SamplingPipeline(Protocol):
    """The part of a pipeline that a schedule needs."""

    @property
    def num_timesteps(self) -> int:
        """Number of steps of the current sampling."""
        ...

    def set_ip_adapter_scale(self, scale: list[BlockScale]) -> None:
        """Set the scales [ref, body]."""
        ...


@dataclass(frozen=True)
class ScheduledScales:
    """A `callback_on_step_end` of diffusers that sets both branches' scales for the next step."""

    ref_scale: Scale
    body_scale: Scale
    then: Callable[..., dict[str, Any]] | None = None
    """The caller's own callback, called last."""

    def __call__(
        self,
        pipe: SamplingPipeline,
        step: int,
        timestep: torch.Tensor,
        callback_kwargs: dict[str, Any],
    ) -> dict[str, Any]:
        """Set the scales, then return what the caller's callback returns."""
        progress = (step + 1) / pipe.num_timesteps
        if progress < 1:
            pipe.set_ip_adapter_scale(
                [scale_at(scale, progress) for scale in (self.ref_scale, self.body_scale)]
            )
        return callback_kwargs if self.then is None else self.then(pipe, step, timestep, callback_kwargs)
