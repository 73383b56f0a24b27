"""`bolid plan`: presets against a machine, and what the data set takes."""

import pytest
from click.testing import CliRunner

from bolid_pipeline.cli import main
from bolid_pipeline.planning.machine import Machine


@pytest.fixture
def bolid_plan(tmp_path, monkeypatch):
    """Runs `bolid plan` on a machine without a GPU."""
    machine = Machine(gpu=None, gpu_gib=0.0, matmul_tflops=None, ram_gib=64.0, disk_gib=100.0)
    monkeypatch.setattr("bolid_pipeline.cli.plan.this_machine", lambda _folder: machine)

    def run(*arguments, **environment):
        base = {"BOLID_DATA_DIR": str(tmp_path / "data"), "BOLID_DEPLOYMENT": "theplace_sd15"}
        return CliRunner().invoke(main, ["plan", *arguments], env=base | environment)

    return run


def rows_of(output: str) -> dict[str, list[str]]:
    """Preset -> the cells of its line."""
    lines = [line.strip("| ").split("|") for line in output.splitlines() if line.startswith("| sd")]
    return {line[0].strip(): [cell.strip() for cell in line[1:]] for line in lines}


def test_without_a_gpu_nothing_fits_and_no_speed_is_made_up(bolid_plan):
    shown = bolid_plan()
    assert shown.exit_code == 0, shown.output
    rows = rows_of(shown.output)
    assert set(rows) == {"sd15_12gb", "sd15_24gb", "sd15_80gb", "sdxl_24gb", "sdxl_80gb"}
    assert all(row[3] == "no" and row[4:] == ["?", "?"] for row in rows.values())


def test_another_gpu_is_planned_for_and_what_the_disk_lacks_is_said(bolid_plan):
    shown = bolid_plan("--gpu-memory", "23.6", "--tflops", "130")
    rows = rows_of(shown.output)
    assert [name for name, row in rows.items() if row[3] == "yes"] == ["sd15_12gb", "sd15_24gb", "sdxl_24gb"]
    assert all(row[5].startswith("~") for row in rows.values())
    assert "300000 photos of 400 kB each, the most that would be fetched, of an assumed size" in shown.output
    assert "The disk lacks" in shown.output


def test_settings_that_differ_from_the_preset_have_a_line_of_their_own(bolid_plan):
    shown = bolid_plan("--gpu-memory", "23.6", "--tflops", "130", BOLID_TRAINING='{"steps": 100}')
    assert rows_of(shown.output)["sd15_24gb, your settings"][1] == "100"
    assert "counting" not in shown.output


def test_a_rate_without_a_gpu_is_refused_in_one_line(bolid_plan):
    failed = bolid_plan("--tflops", "130")
    assert failed.exit_code == 1
    assert failed.output == (
        "Error: --tflops is the rate of another GPU than this machine's: add --gpu-memory\n"
    )


def test_the_demo_says_that_it_needs_no_gpu(bolid_plan):
    shown = bolid_plan(BOLID_DEPLOYMENT="demo")
    assert "trains a small model on the CPU" in shown.output
