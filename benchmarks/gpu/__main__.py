"""On a GPU: the tests that need one, time and memory of training steps by preset, and the throughput of the stages.

    uv run python benchmarks/gpu --out gpu_run            # 5 minutes at most; one GPU, no network
    uv run python benchmarks/gpu --out gpu_run --tiny     # the demo's small models, to try the script on a CPU

The networks have the published sizes and random weights. What goes wrong or finds no time becomes a line of the
results, and the rest goes on. `gpu_run` then holds `measurements.json`, `table.md` and `tests.txt`. docs/gpu.md says
what to do with them, and how to run this on a bare machine.
"""

import argparse
import json
import logging
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))  # a bare machine has not installed the project

from machine import describe_machine  # noqa: E402
from sizes import Published, Sizes, Tiny  # noqa: E402
from stages import measure_stage  # noqa: E402
from table import to_markdown  # noqa: E402
from training_steps import measure_step  # noqa: E402

from bolid_pipeline.pretrained.loading import first_words  # noqa: E402
from bolid_pipeline.pretrained.memory import free_memory  # noqa: E402
from bolid_pipeline.settings import to_json  # noqa: E402
from bolid_pipeline.training.measurements import Measurements, StageMeasurement, StepMeasurement  # noqa: E402

_TEST_SECONDS = 90
"""The tests are stopped after this time."""


def main(arguments: list[str] | None = None) -> None:
    """Measure everything, and write the results after each measurement, so that a killed run leaves them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the results")
    parser.add_argument("--tiny", action="store_true", help="small models, on whatever device there is")
    parser.add_argument("--seconds", type=float, default=285, help="start nothing new after this time")
    parser.add_argument("--work", type=Path, default=Path("/dev/shm"), help="folder of some 15 GB for models")  # noqa: S108 - memory, not a shared file
    options = parser.parse_args(arguments)
    if not options.tiny and not torch.cuda.is_available():
        parser.error("there is no GPU here; --tiny tries the script on a CPU")
    started = time.monotonic()
    logging.disable(logging.INFO)
    options.out.mkdir(parents=True, exist_ok=True)
    command = f"benchmarks/gpu --out {options.out.name}" + (" --tiny" if options.tiny else "")
    results = Measurements(machine=describe_machine(command, ROOT))
    with TemporaryDirectory(dir=None if options.tiny else options.work) as folder:
        sizes = (Tiny if options.tiny else Published)(Path(folder))
        for name, measure in _jobs(sizes, options.out):
            seconds = time.monotonic() - started
            if seconds > options.seconds:
                results = _with(results, f"{name}: no time left")
            else:
                results = _with(results, _guarded(name, measure))
            _write(results, options.out)
            print(f"[{time.monotonic() - started:5.1f} s] {name}", flush=True)
    print((options.out / "table.md").read_text())


def _jobs(sizes: Sizes, out: Path) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Name and work of each measurement, what matters most first."""
    yield "tests/gpu", lambda: _run_tests(out / "tests.txt")
    for preset, part in sizes.steps:
        yield f"{preset} {part}", lambda preset=preset, part=part: measure_step(sizes, preset, part)
    for stage in sizes.stages:
        yield f"stage {stage}", lambda stage=stage: measure_stage(sizes, stage)


def _guarded(name: str, measure: Callable[[], Any]) -> Any:
    """What was measured, or a line that says why it was not."""
    try:
        return measure()
    except Exception as error:  # noqa: BLE001 - the other measurements go on
        return f"{name}: {type(error).__name__}: {first_words(error)}"
    finally:
        free_memory()


def _with(results: Measurements, made: StepMeasurement | StageMeasurement | str | None) -> Measurements:
    """The results with one more."""
    parts = {
        "steps": results.steps,
        "stages": results.stages,
        "failures": results.failures,
    }
    match made:
        case StepMeasurement():
            parts["steps"] += (made,)
        case StageMeasurement():
            parts["stages"] += (made,)
        case str():
            parts["failures"] += (made,)
        case None:
            pass
    return Measurements(machine=results.machine, **parts)


def _write(results: Measurements, out: Path) -> None:
    (out / "measurements.json").write_text(json.dumps(to_json(results), indent=2) + "\n", "utf-8")
    (out / "table.md").write_text(to_markdown(results), "utf-8")


def _run_tests(log: Path) -> str | None:
    """Run tests/gpu in a process of its own; a line if they do not pass. Without a GPU they are skipped."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "tests/gpu",
        "-m",
        "gpu",
        "-q",
        "-rs",
        "-p",
        "no:cacheprovider",
    ]
    # The project's own options name plugins that a bare machine lacks.
    command += ["-o", "addopts=--import-mode=importlib", "-o", "timeout=0", "-W", "ignore"]
    with log.open("w") as file:
        try:
            done = subprocess.run(
                command, cwd=ROOT, stdout=file, stderr=subprocess.STDOUT, timeout=_TEST_SECONDS, check=False
            )
        except subprocess.TimeoutExpired:
            return f"tests/gpu: stopped after {_TEST_SECONDS} s, see {log.name}"
    return None if done.returncode == 0 else f"tests/gpu: {log.read_text().splitlines()[-1]}, see {log.name}"


if __name__ == "__main__":
    main()
