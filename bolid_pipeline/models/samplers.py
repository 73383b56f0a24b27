"""Samplers by name: the base model's own noise schedule under another solver, for pictures in few steps.

`ddim`, `euler` and `dpm` work with any base model. `lcm` and `tcd` are for weights that were distilled for them; with
others they work too, but blur. This module imports diffusers only when a sampler is made, because settings name
samplers and must load quickly.
"""

from collections.abc import Mapping
from typing import Any, Literal, get_args

from bolid_pipeline.errors import ConfigurationError

SamplerName = Literal["ddim", "dpm", "euler", "lcm", "tcd"]
SAMPLERS: tuple[SamplerName, ...] = get_args(SamplerName)

_CLASS_NAMES: dict[str, str] = {
    "ddim": "DDIMScheduler",
    "dpm": "DPMSolverMultistepScheduler",
    "euler": "EulerDiscreteScheduler",
    "lcm": "LCMScheduler",
    "tcd": "TCDScheduler",
}


def make_sampler(name: str, scheduler_config: Mapping[str, Any]) -> Any:
    """A diffusers scheduler with the base model's betas and prediction type.

    Its timesteps are trailing: they start at the last one, pure noise, without which few steps are grey
    (arXiv 2305.08891). `lcm` and `tcd` choose their own.

    Args:
        name: one of SAMPLERS.
        scheduler_config: `config` of the base model's scheduler.

    Raises:
        ConfigurationError: no sampler has this name.
    """
    import diffusers

    if name not in _CLASS_NAMES:
        raise ConfigurationError(f"no sampler {name!r}; there are {', '.join(SAMPLERS)}")
    sampler_class = getattr(diffusers, _CLASS_NAMES[name])
    return sampler_class.from_config(dict(scheduler_config), timestep_spacing="trailing")
