"""The jobs as a person starts them: what is wrong is said clearly, and a failed job has a non-zero exit code."""

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from assets.curation import watermark_scores
from bolid_pipeline.errors import WeightsMissing
from resources.compute_engine import ComputeEngine
from resources.model_hub import EmbeddedModels
from resources.table_store import DataStore

REPOSITORY = Path(__file__).parents[2]
DAGSTER = Path(sys.executable).with_name("dagster")


@pytest.fixture
def execute(tmp_path):
    """Runs a job as README says, with its history and data under tmp_path; returns the finished process."""
    shutil.copy(REPOSITORY / "dagster.yaml", tmp_path)

    def run(job, **environment):
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith(("BOLID_", "DAGSTER_"))
        }
        return subprocess.run(
            [DAGSTER, "job", "execute", "-m", "bolid_pipeline.definitions", "-j", job],
            cwd=tmp_path,
            env={**inherited, "BOLID_DATA_DIR": str(tmp_path / "data"), **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=280,
        )

    return run


@pytest.fixture
def closed_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def test_an_unknown_deployment_is_refused(execute):
    done = execute("full_refresh", BOLID_DEPLOYMENT="demno")
    assert done.returncode != 0
    assert "BOLID_DEPLOYMENT is 'demno'; known deployments: demo, theplace_sd15, theplace_sdxl" in done.stdout


def test_an_unreachable_site_fails_the_job_and_writes_nothing(execute, closed_port, tmp_path):
    done = execute("dataset_refresh", BOLID_SOURCE_URL=f"http://127.0.0.1:{closed_port}")
    assert done.returncode != 0
    assert "SourceUnreachable" in done.stdout
    assert "BOLID_SOURCE_URL" in done.stdout
    assert "RUN_FAILURE" in done.stdout
    assert list((tmp_path / "data").rglob("*.parquet")) == []


def test_weights_that_are_not_there_fail_the_step(tmp_path):
    resources = {
        "store": DataStore(data_dir=str(tmp_path)),
        "model_hub": EmbeddedModels(weights_dir=str(tmp_path / "weights")),
        "compute_engine": ComputeEngine(device="cpu"),
    }
    with pytest.raises(
        WeightsMissing, match=r"no weights at .*watermark_classifier; restore it with `git checkout"
    ):
        dg.materialize([watermark_scores], resources=resources)
