"""The jobs as a person starts them: what is wrong is said clearly, and a failed job has a non-zero exit code."""

import shutil
import socket
from pathlib import Path

import dagster as dg
import pytest
from commands import start_command

from assets.curation import watermark_scores
from bolid_pipeline.errors import WeightsMissing
from resources.compute_engine import ComputeEngine
from resources.model_hub import EmbeddedModels
from resources.table_store import DataStore

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def execute(tmp_path):
    """Runs a job as README says, with its history and data under tmp_path; returns the finished command."""
    shutil.copy(REPOSITORY / "dagster.yaml", tmp_path)

    def run(job, **environment):
        command = ["job", "execute", "-m", "bolid_pipeline.definitions", "-j", job]
        environment["BOLID_DATA_DIR"] = str(tmp_path / "data")
        with start_command(tmp_path, "dagster", *command, **environment) as running:
            running.wait()
        return running

    return run


@pytest.fixture
def closed_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def test_an_unknown_deployment_is_refused(execute):
    done = execute("full_refresh", BOLID_DEPLOYMENT="demno")
    assert done.wait() != 0
    assert "BOLID_DEPLOYMENT is 'demno'; known deployments: demo, theplace_sd15, theplace_sdxl" in done.output


def test_an_unreachable_site_fails_the_job_and_writes_nothing(execute, closed_port, tmp_path):
    done = execute("dataset_refresh", BOLID_SOURCE_URL=f"http://127.0.0.1:{closed_port}")
    assert done.wait() != 0
    assert "SourceUnreachable" in done.output
    assert "BOLID_SOURCE_URL" in done.output
    assert "RUN_FAILURE" in done.output
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
