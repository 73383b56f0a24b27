"""Figures that were measured on a GPU: `benchmarks/gpu.py` writes them, `bolid plan` and the docs show them.

One file per machine lies in `measured/`, each as `benchmarks/gpu.py` wrote it. Loads without torch.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt

from bolid_pipeline.settings import from_json, settings

MEASURED = Path(__file__).with_name("measured")
"""Folder of the files that come with the package."""


@settings
class Machine:
    """The machine and the code that the figures are of."""

    gpu: str
    """Name of the GPU as its driver says it, such as `NVIDIA H200`."""
    memory_gib: PositiveFloat
    """Memory of the GPU."""
    torch: str
    """Version of PyTorch, with that of CUDA."""
    commit: str
    """Of this repository; with `+` where files were changed."""
    date: str
    """Day of the run, `2026-11-26`."""
    command: str
    """The command that measured it."""
    matmul_tflops: NonNegativeFloat = 0.0
    """TFLOP/s of a product of two 8192 x 8192 matrices in bfloat16; 0 where it was not measured."""


@settings
class StepMeasurement:
    """Training steps of one preset."""

    preset: str
    """Name in `training/presets.py`."""
    part: Literal["l_diff", "few_step"]
    """A step of L_diff alone, or one with the few-step half in it, all terms on."""
    batch_size: PositiveInt
    """Samples of L_diff in a step."""
    step_ms: PositiveFloat
    """Median time of a step, from batch to optimiser, after compiling."""
    peak_gib: PositiveFloat
    """Most memory that tensors took at once (`torch.cuda.max_memory_allocated`)."""
    compile_seconds: NonNegativeFloat = 0.0
    """Time of the first steps, one for each bucket, over that of as many later ones."""

    @property
    def images_per_second(self) -> float:
        """Samples of L_diff per second."""
        return 1000 * self.batch_size / self.step_ms


@settings
class StageMeasurement:
    """A stage over photos, networks of the published sizes."""

    stage: str
    """Name of the table that it fills, such as `latents`."""
    photos_per_second: PositiveFloat
    """From JPEG files to rows."""
    network_photos_per_second: PositiveFloat
    """The networks alone, over photos read beforehand; where this is much more, the stage waits for its readers."""
    peak_gib: PositiveFloat
    """As in `StepMeasurement`."""


@settings
class Measurements:
    """Everything that one run of `benchmarks/gpu.py` has measured."""

    machine: Machine
    steps: tuple[StepMeasurement, ...] = ()
    stages: tuple[StageMeasurement, ...] = ()
    failures: tuple[str, ...] = ()
    """What could not be measured, a line each with the reason, such as memory that did not suffice."""


def read_measurements(folder: Path = MEASURED) -> Iterator[Measurements]:
    """The measurements of each machine, by file name. Raises ConfigurationError for a file of another form."""
    for path in sorted(folder.glob("*.json")):
        yield from_json(Measurements, json.loads(path.read_text("utf-8")), source=path.name)
