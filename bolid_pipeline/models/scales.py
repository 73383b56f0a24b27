"""How strongly a branch speaks: a number, a number per block of the U-Net, or either per part of the sampling.

1.0                                                   everywhere, always
{"up": {"block_0": 0.8}, "mid": 0.5}                  these blocks; 0 in the others (diffusers' own form)
{0.0: 0.0, 0.3: 1.0}                                  off until 30 % of the steps are done, then on
{0.0: 1.0, 0.6: {"up": 1.0}}                          everywhere at first, then in the way up only
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import torch

from bolid_pipeline.errors import ConfigurationError

BlockScale = float | dict[str, Any]
Scale = float | Mapping[str, Any] | Mapping[float, Any]


def scale_at(scale: Scale, progress: float) -> BlockScale:
    """What a scale is once a share `progress` of the steps, in [0, 1), is done; 0 before its first entry.

    Raises:
        ConfigurationError: blocks and shares in one mapping, or a share outside [0, 1).
    """
    if not isinstance(scale, Mapping):
        return scale
    if not is_schedule(scale):
        return dict(cast(Mapping[str, Any], scale))
    of_share = cast(Mapping[float, BlockScale], scale)
    begun = [share for share in of_share if share <= progress]
    return scale_at(of_share[max(begun)], progress) if begun else 0.0


def parse_scale(text: str) -> Scale:
    """A scale from text: a number, or JSON of one of the forms above.

    Raises:
        ConfigurationError: it is neither.
    """
    try:
        scale = json.loads(text, object_pairs_hook=_with_numbers)
        if isinstance(scale, (int, float, dict)) and not isinstance(scale, bool):
            is_schedule(scale)
            return scale
    except ValueError:
        pass
    raise ConfigurationError(
        f'{text!r} is no scale: give a number, {{"up": 1.0}} per block, or {{"0.3": 1.0}} from 30 % of the steps on'
    )


def _with_numbers(pairs: list[tuple[str, Any]]) -> dict[Any, Any]:
    """JSON's keys are texts: those that are numbers become numbers."""
    return {float(key) if _is_number(key) else key: value for key, value in pairs}


def _is_number(text: str) -> bool:
    return text.replace(".", "", 1).isdecimal()


def is_schedule(scale: Scale) -> bool:
    """Whether a scale changes during sampling. Raises ConfigurationError, see `scale_at`."""
    if not isinstance(scale, Mapping) or all(isinstance(key, str) for key in scale):
        return False
    if not all(isinstance(key, (int, float)) and 0 <= key < 1 for key in scale):
        raise ConfigurationError(
            f"a scale's keys are either names of blocks or shares of the steps in [0, 1), not {list(scale)}"
        )
    return True


@dataclass(frozen=True)
class ScheduledScales:
    """A `callback_on_step_end` of diffusers: after every step it sets both branches' scales for the next one."""

    ref_scale: Scale
    body_scale: Scale
    then: Callable[..., dict[str, Any]] | None = None
    """The caller's own callback, called last."""

    def __call__(
        self, pipe: Any, step: int, timestep: torch.Tensor, callback_kwargs: dict[str, Any]
    ) -> dict[str, Any]:
        """See the class."""
        progress = (step + 1) / pipe.num_timesteps
        if progress < 1:
            pipe.set_ip_adapter_scale(
                [scale_at(scale, progress) for scale in (self.ref_scale, self.body_scale)]
            )
        return callback_kwargs if self.then is None else self.then(pipe, step, timestep, callback_kwargs)
