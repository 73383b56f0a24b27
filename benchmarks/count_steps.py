"""Counts what a step of each training preset takes, into the file that `bolid plan` reads.

    uv run python benchmarks/count_steps.py             # all presets of published base models: minutes on one core
    uv run python benchmarks/count_steps.py sdxl_80gb

Run it when a step or a preset has changed; a test says when a preset has. It needs neither weights nor a GPU.
"""

import sys
from collections.abc import Sequence

from bolid_pipeline.planning.costs import read_counted, write_counted
from bolid_pipeline.planning.step_cost import architecture_of, count_training
from bolid_pipeline.training.presets import PRESETS


def main(names: Sequence[str]) -> None:
    """Count the named presets, or all of published base models."""
    for name, preset in PRESETS.items():
        if name != "demo" and (not names or name in names):
            cost = count_training(preset(), architecture_of(name))
            write_counted({**read_counted(), name: cost})
            print(
                f"{name}: {cost.peak_bytes / 2**30:.1f} GiB, {cost.l_diff.operations / 1e12:.0f} TFLOP a step"
            )


if __name__ == "__main__":
    main(sys.argv[1:])
