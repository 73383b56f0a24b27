"""The share of the main job's time outside of its steps: process start, imports, Dagster's own work.

    uv run python benchmarks/orchestration_overhead.py

Runs `full_refresh` twice on a new data folder, as README's first command does, and prints for each run the wall time,
the sum over its steps, and the share of the rest. The second run has nothing new to do.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import dagster as dg

REPOSITORY = Path(__file__).parents[1]


def main() -> None:
    """Print one line per step and run."""
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder)
        shutil.copy(REPOSITORY / "dagster.yaml", project)
        for name in ("first", "second"):
            wall_seconds = execute_full_refresh(project)
            report(name, wall_seconds, step_seconds(project))


def execute_full_refresh(project: Path) -> float:
    """Run the job with history and data inside `project`; seconds from start to exit."""
    dagster = Path(sys.executable).with_name("dagster")
    started = time.monotonic()
    subprocess.run(
        [dagster, "job", "execute", "-m", "bolid_pipeline.definitions", "-j", "full_refresh"],
        cwd=project,
        env={**os.environ, "BOLID_DATA_DIR": str(project / "data")},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    return time.monotonic() - started


def step_seconds(project: Path) -> dict[str, float]:
    """Seconds of each step of the latest run, from its history."""
    os.chdir(project)  # the folders in dagster.yaml are relative
    with dg.DagsterInstance.from_config(str(project)) as instance:
        (run,) = instance.get_runs(limit=1)
        stats = instance.get_run_step_stats(run.run_id)
        return {step.step_key: (step.end_time or 0.0) - (step.start_time or 0.0) for step in stats}


def report(name: str, wall_seconds: float, seconds_of: dict[str, float]) -> None:
    """One line per step, and the overhead."""
    print(f"{name} run")
    for step, seconds in seconds_of.items():
        print(f"  {step:45s} {seconds:8.2f} s")
    in_steps = sum(seconds_of.values())
    overhead = wall_seconds - in_steps
    print(
        f"  steps {in_steps:.1f} s of {wall_seconds:.1f} s; overhead {overhead:.1f} s, {overhead / wall_seconds:.1%}"
    )


if __name__ == "__main__":
    main()
