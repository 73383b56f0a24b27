"""The script for a GPU runs on a CPU, with the demo's small models."""

import json
import runpy
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from bolid_pipeline.settings import from_json
from bolid_pipeline.training.measurements import Measurements

SCRIPT = Path(__file__).parents[3] / "benchmarks" / "gpu"


@pytest.fixture
def run(monkeypatch):
    """The script's `main`, whose modules are found as they are for `python benchmarks/gpu`; it starts no processes."""
    monkeypatch.syspath_prepend(str(SCRIPT))
    monkeypatch.setattr("subprocess.run", lambda *_, **__: SimpleNamespace(returncode=0, stdout="abc"))
    yield runpy.run_path(str(SCRIPT / "__main__.py"))["main"]
    for name in ("machine", "sizes", "stages", "table", "training_steps"):
        sys.modules.pop(name, None)


@pytest.mark.long
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")  # of Lightning
def test_one_command_measures_steps_and_stages_and_writes_them_twice(run, tmp_path):
    run(["--tiny", "--out", str(tmp_path)])
    written = json.loads((tmp_path / "measurements.json").read_text())
    measured = from_json(Measurements, written, source="the script")
    assert measured.failures == ()
    assert [(step.preset, step.part) for step in measured.steps] == [("demo", "l_diff")]
    assert [stage.stage for stage in measured.stages] == ["watermark_scores", "latents"]
    table = (tmp_path / "table.md").read_text()
    assert f"| demo | l_diff | 16 | {measured.steps[0].step_ms:.0f} |" in table
    assert f"| latents | {measured.stages[1].photos_per_second:.1f} |" in table


def test_what_finds_no_time_is_named(run, tmp_path):
    run(["--tiny", "--out", str(tmp_path), "--seconds", "-1"])
    written = json.loads((tmp_path / "measurements.json").read_text())
    assert written["steps"] == []
    assert "demo l_diff: no time left" in written["failures"]
    assert "- stage latents: no time left" in (tmp_path / "table.md").read_text()


def test_without_a_gpu_it_says_how_to_try_it(run, tmp_path, capsys):
    with pytest.raises(SystemExit):
        run(["--out", str(tmp_path)])
    assert "there is no GPU here; --tiny tries the script on a CPU" in capsys.readouterr().err
