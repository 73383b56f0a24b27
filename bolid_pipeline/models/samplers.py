"""Samplers by name: the base model's own noise schedule under another solver, for pictures in few steps.

`ddim`, `euler` and `dpm` serve any base model. `lcm` and `tcd` are for weights that were distilled for them; on others
they work, and blur.
"""

from collections.abc import Mapping
from typing import Any

from diffusers import (
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EulerDiscreteScheduler,
    LCMScheduler,
    TCDScheduler,
)

from bolid_pipeline.errors import ConfigurationError

SAMPLERS: dict[str, Any] = {
    "ddim": DDIMScheduler,
    "dpm": DPMSolverMultistepScheduler,
    "euler": EulerDiscreteScheduler,
    "lcm": LCMScheduler,
    "tcd": TCDScheduler,
}


def make_sampler(name: str, scheduler_config: Mapping[str, Any]) -> Any:
    """A diffusers scheduler with the base model's betas and prediction type.

    Its timesteps are trailing: they start at the last one, pure noise, without which few steps are grey
    (arXiv 2305.08891). `lcm` and `tcd` choose their own.

    Args:
        name: one of SAMPLERS.
        scheduler_config: of the base model's scheduler.

    Raises:
        ConfigurationError: no such sampler.
    """
    if name not in SAMPLERS:
        raise ConfigurationError(f"no sampler {name!r}; there are {', '.join(SAMPLERS)}")
    return SAMPLERS[name].from_config(dict(scheduler_config), timestep_spacing="trailing")
