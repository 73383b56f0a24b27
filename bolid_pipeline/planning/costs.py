"""What the steps of the presets take, counted once: `counted.json` comes with the package. Loads without torch.

`benchmarks/count_steps.py` counts again; do so when a step or a preset changes.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from pydantic import PositiveInt

from bolid_pipeline.settings import from_json, settings, to_json
from bolid_pipeline.stages.recipe import fingerprint
from bolid_pipeline.training.config import (
    DropoutConfig,
    HardwareConfig,
    IntervalsConfig,
    OptimizerConfig,
    Term,
    TrainingConfig,
)

COUNTED_FILE = Path(__file__).with_name("counted.json")


@settings
class StepCost:
    """What one kind of training step takes in mixed precision."""

    weights_bytes: PositiveInt
    """All networks on the device, trained and frozen."""
    state_bytes: PositiveInt
    """What stays between steps beside them: the optimiser's two moments and the running mean."""
    peak_bytes: PositiveInt
    """The most that is held at once, weights and state included."""
    operations: PositiveInt
    """Floating-point operations of a step."""


@settings
class TrainingCost:
    """What a training takes."""

    counted_for: str
    """Fingerprint of the settings that decide it, see `cost_fingerprint`."""
    loading_bytes: PositiveInt
    """Main memory for all networks in float32, as they are loaded."""
    l_diff: StepCost
    """A step without the few-step half."""
    few_step: StepCost | None = None
    """A step with it, all its terms on; None where the settings have none."""

    @property
    def peak_bytes(self) -> int:
        """The most that any step holds."""
        return max(step.peak_bytes for step in (self.l_diff, self.few_step) if step is not None)


def cost_fingerprint(config: TrainingConfig) -> str:
    """A hash of the settings that memory or operations of a step on one device depend on, as they are counted.

    Whether the U-Net is compiled is left out: a compiled step is not counted.
    """
    few_step = config.few_step
    if few_step is not None:
        terms = ("l_id", "l_clip", "l_semantic", "l_layout")
        few_step = replace(
            few_step, every_n_steps=1, **{name: _is_on(getattr(few_step, name)) for name in terms}
        )
    neutral = replace(
        config,
        steps=1,
        seed=0,
        heldout_fraction=0.0,
        start_from=None,
        num_caption_variants=1,
        optimizer=OptimizerConfig(),
        dropout=DropoutConfig(),
        diffusion=replace(
            config.diffusion,
            l_id=_is_on(config.diffusion.l_id),
            kl=Term(),
            min_snr_gamma=None,
            noise_offset=0.0,
        ),
        few_step=few_step,
        prior=None,
        hardware=HardwareConfig(gradient_checkpointing=config.hardware.gradient_checkpointing),
        intervals=IntervalsConfig(),
    )
    return fingerprint(**to_json(neutral))


def read_counted(file: Path = COUNTED_FILE) -> dict[str, TrainingCost]:
    """The costs that come with the package, by preset. Raises ConfigurationError for a file of another form."""
    stored = json.loads(file.read_text("utf-8"))
    return {name: from_json(TrainingCost, values, source=file.name) for name, values in stored.items()}


def write_counted(costs: Mapping[str, TrainingCost], file: Path = COUNTED_FILE) -> None:
    """Write costs as `read_counted` reads them."""
    values = {name: to_json(cost) for name, cost in costs.items()}
    file.write_text(json.dumps(values, indent=2) + "\n", "utf-8")


def _is_on(term: Term) -> Term:
    return Term(weight=1.0 if term.weight else 0.0)
