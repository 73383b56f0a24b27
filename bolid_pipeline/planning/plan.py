"""What fits a machine, and how long it takes: memory and time of each preset, measured or else estimated."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bolid_pipeline.planning.costs import TrainingCost
from bolid_pipeline.planning.machine import GIB, Machine
from bolid_pipeline.training.config import TrainingConfig
from bolid_pipeline.training.measurements import Measurements, StepMeasurement

CONTEXT_GIB = 0.6
"""Memory that CUDA takes before the first tensor."""
FRAGMENTATION = 1.08
"""Memory that the allocator holds for each byte of tensors."""
UTILISATION = 0.25
"""Share of the rate of matrix products that L_diff reaches: 117 images/s of 1.72 TFLOP where products reach 798 TFLOP/s
(an H200, Stable Diffusion 1.5, batch 32, not compiled)."""
FEW_STEP_UTILISATION = 0.08
"""The same for what the few-step half adds, whose batches are small: 57 TFLOP in 919 ms there."""
_HOURS_PER_DAY = 24


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A training on a machine.

    Attributes:
        preset: name of its settings.
        batch_size: photos of a step.
        steps: steps.
        peak_gib: the most memory that tensors take at once.
        is_memory_measured: it was measured on a GPU, not counted.
        fits: the GPU has enough memory.
        images_per_second: photos of L_diff alone; None where the speed of the GPU is not known.
        hours: of the whole training, evaluation not included; None likewise.
        is_time_measured: both follow from steps that were timed on such a GPU, not from operations.
    """

    preset: str
    batch_size: int
    steps: int
    peak_gib: float
    is_memory_measured: bool
    fits: bool
    images_per_second: float | None
    hours: float | None
    is_time_measured: bool


def plan(
    preset: str,
    config: TrainingConfig,
    cost: TrainingCost,
    machine: Machine,
    measured: Iterable[Measurements] = (),
) -> Plan:
    """Plan a training.

    Args:
        preset: name of its settings.
        config: its settings.
        cost: what its steps take, counted.
        machine: where it is to run.
        measured: what was measured counts instead: memory on any GPU, time on a GPU of the machine's kind.
    """
    of_machines = list(measured)
    anywhere = [step for each in of_machines for step in _steps_of(each, preset, config)]
    here = [
        step
        for each in of_machines
        if each.machine.gpu == machine.gpu
        for step in _steps_of(each, preset, config)
    ]
    parts = {"l_diff"} if config.few_step is None else {"l_diff", "few_step"}
    is_memory_measured = {step.part for step in anywhere} == parts
    peak_gib = max(step.peak_gib for step in anywhere) if is_memory_measured else cost.peak_bytes / GIB
    is_time_measured = {step.part for step in here} == parts
    seconds = _measured_seconds(here) if is_time_measured else _estimated_seconds(cost, machine.matmul_tflops)
    return Plan(
        preset=preset,
        batch_size=config.batch_size,
        steps=config.steps,
        peak_gib=peak_gib,
        is_memory_measured=is_memory_measured,
        fits=peak_gib * FRAGMENTATION + CONTEXT_GIB <= machine.gpu_gib,
        images_per_second=seconds and config.batch_size / seconds[0],
        hours=seconds and _training_seconds(config, *seconds) / 3600,
        is_time_measured=is_time_measured,
    )


def as_table(plans: Sequence[Plan]) -> str:
    """The plans as a Markdown table; a `~` marks what is estimated."""
    rows = [
        (
            each.preset,
            str(each.batch_size),
            str(each.steps),
            _marked(f"{each.peak_gib:.1f} GiB", is_measured=each.is_memory_measured),
            "yes" if each.fits else "no",
            _figure(each.images_per_second, "{:.0f}", is_measured=each.is_time_measured),
            "?" if each.hours is None else _marked(_duration(each.hours), is_measured=each.is_time_measured),
        )
        for each in plans
    ]
    head = ("preset", "batch", "steps", "memory", "fits", "images/s", "training")
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    lines = [head, tuple("-" * width for width in widths), *rows]
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |"
        for line in lines
    )


def _steps_of(of_machine: Measurements, preset: str, config: TrainingConfig) -> list[StepMeasurement]:
    return [
        step for step in of_machine.steps if step.preset == preset and step.batch_size == config.batch_size
    ]


def _measured_seconds(steps: Sequence[StepMeasurement]) -> tuple[float, float]:
    """Seconds of a step of L_diff, and of one with the few-step half; the same where there is none."""
    by_part = {step.part: step.step_ms / 1000 for step in steps}
    return by_part["l_diff"], by_part.get("few_step", by_part["l_diff"])


def _estimated_seconds(cost: TrainingCost, matmul_tflops: float | None) -> tuple[float, float] | None:
    if matmul_tflops is None:
        return None
    l_diff = cost.l_diff.operations / (UTILISATION * matmul_tflops * 1e12)
    if cost.few_step is None:
        return l_diff, l_diff
    added = cost.few_step.operations - cost.l_diff.operations
    return l_diff, l_diff + added / (FEW_STEP_UTILISATION * matmul_tflops * 1e12)


def _training_seconds(config: TrainingConfig, l_diff: float, few_step: float) -> float:
    few = config.few_step
    num_few = 0 if few is None else sum(bool(few.weights_at(step)) for step in range(config.steps))
    return (config.steps - num_few) * l_diff + num_few * few_step


def _figure(value: float | None, form: str, *, is_measured: bool) -> str:
    return "?" if value is None else _marked(form.format(value), is_measured=is_measured)


def _marked(text: str, *, is_measured: bool) -> str:
    return text if is_measured else f"~{text}"


def _duration(hours: float) -> str:
    return f"{hours:.0f} h" if hours < 2 * _HOURS_PER_DAY else f"{hours / _HOURS_PER_DAY:.1f} days"
