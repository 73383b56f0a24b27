"""Plans: what fits which GPU, measured figures before estimates, and room on the disk."""

from dataclasses import replace

import pytest

from bolid_pipeline.latents.config import LatentConfig
from bolid_pipeline.planning.costs import cost_fingerprint, read_counted
from bolid_pipeline.planning.disk import disk_use
from bolid_pipeline.planning.machine import Machine
from bolid_pipeline.planning.plan import as_table, plan
from bolid_pipeline.training.config import OptimizerConfig
from bolid_pipeline.training.measurements import Machine as MeasuredMachine
from bolid_pipeline.training.measurements import Measurements, StepMeasurement
from bolid_pipeline.training.presets import PRESETS

COSTS = read_counted()
H200 = Machine(gpu="NVIDIA H200", gpu_gib=139.8, matmul_tflops=798.0, ram_gib=128, disk_gib=500)
USABLE_GIB = {"12gb": 11.6, "24gb": 23.6, "80gb": 79.1}
"""What the drivers of common GPUs of these sizes leave."""


def measured(**changes) -> Measurements:
    step = StepMeasurement(preset="sd15_24gb", part="l_diff", batch_size=32, step_ms=200.0, peak_gib=9.0)
    return Measurements(
        machine=MeasuredMachine(
            gpu=changes.pop("gpu", "NVIDIA H200"),
            memory_gib=139.8,
            torch="2",
            commit="a",
            date="2026-11-26",
            command="x",
        ),
        steps=(
            replace(step, **changes),
            replace(step, part="few_step", step_ms=600.0, peak_gib=10.0, **changes),
        ),
    )


@pytest.mark.parametrize("name", [name for name in PRESETS if name != "demo"])
def test_the_counts_belong_to_todays_presets(name):
    assert COSTS[name].counted_for == cost_fingerprint(PRESETS[name]()), (
        f"{name} has changed: run `uv run python benchmarks/count_steps.py {name}`"
    )


@pytest.mark.parametrize("name", COSTS)
def test_a_preset_fits_the_gpu_that_its_name_promises(name):
    gpu_gib = USABLE_GIB[name.partition("_")[2]]
    machine = replace(H200, gpu_gib=gpu_gib)
    assert plan(name, PRESETS[name](), COSTS[name], machine).fits


@pytest.mark.parametrize("name", [name for name, cost in COSTS.items() if cost.few_step is not None])
def test_the_few_step_half_at_most_doubles_the_operations_of_a_step(name):
    assert COSTS[name].few_step.operations <= 2 * COSTS[name].l_diff.operations


def test_what_a_step_takes_depends_on_no_schedule_but_on_the_batch():
    config = PRESETS["sd15_24gb"]()
    same = replace(config, steps=10, seed=5, optimizer=OptimizerConfig(), start_from=None)
    assert cost_fingerprint(same) == cost_fingerprint(config)
    assert cost_fingerprint(replace(config, batch_size=4)) != cost_fingerprint(config)
    assert cost_fingerprint(replace(config, few_step=None)) != cost_fingerprint(config)


def test_a_measured_step_counts_instead_of_an_estimate():
    config, cost = PRESETS["sd15_24gb"](), COSTS["sd15_24gb"]
    found = plan("sd15_24gb", config, cost, H200, [measured()])
    assert (found.peak_gib, found.is_memory_measured, found.is_time_measured) == (10.0, True, True)
    assert found.images_per_second == pytest.approx(32 / 0.2)
    num_few = sum(bool(config.few_step.weights_at(step)) for step in range(config.steps))
    assert found.hours is not None
    assert found.hours * 3600 == pytest.approx(config.steps * 0.2 + num_few * 0.4)
    assert "~" not in as_table([found])


def test_another_gpus_measurement_tells_memory_but_not_time():
    found = plan("sd15_24gb", PRESETS["sd15_24gb"](), COSTS["sd15_24gb"], H200, [measured(gpu="NVIDIA L4")])
    assert (found.is_memory_measured, found.is_time_measured) == (True, False)


def test_measurements_of_another_batch_size_or_of_one_half_alone_do_not_count():
    config, cost = PRESETS["sd15_24gb"](), COSTS["sd15_24gb"]
    half = replace(measured(), steps=measured().steps[:1])
    for other in (measured(batch_size=8), half):
        found = plan("sd15_24gb", config, cost, H200, [other])
        assert (found.is_memory_measured, found.is_time_measured) == (False, False)


def test_an_estimate_is_marked_and_an_unknown_speed_is_a_question_mark():
    config, cost = PRESETS["sd15_24gb"](), COSTS["sd15_24gb"]
    assert as_table([plan("sd15_24gb", config, cost, H200)]).count("~") == 3
    unknown = plan("sd15_24gb", config, cost, replace(H200, matmul_tflops=None))
    assert (unknown.images_per_second, unknown.hours) == (None, None)
    assert as_table([unknown]).count(" ? ") == 2


def test_a_step_of_the_issues_measurement_is_estimated_as_it_was_measured():
    """375 ms for 32 photos, recomputed, and 24.6 % of the rate of matrix products instead of 25 %."""
    found = plan("sd15_24gb", PRESETS["sd15_24gb"](), COSTS["sd15_24gb"], H200)
    assert found.images_per_second == pytest.approx(85, rel=0.1)


def test_latents_of_sdxl_take_four_times_the_room():
    sd15 = disk_use(1000, 1e5, LatentConfig(resolution_px=512, bucket_multiple_px=64), COSTS["sd15_24gb"])
    sdxl = disk_use(1000, 1e5, LatentConfig(resolution_px=1024, bucket_multiple_px=64), COSTS["sd15_24gb"])
    assert sd15.photos == 100_000_000
    assert sd15.latents >= 1000 * (2 * 4 * 64 * 64 * 2 + 2 * 1024)
    assert 3.8 < sdxl.latents / sd15.latents < 4.2
