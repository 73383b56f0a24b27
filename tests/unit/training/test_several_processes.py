"""Two processes that share the batches do what one does."""

import csv
import socket
from pathlib import Path

import fork_server
import pytest
from two_device_training import CONFIG, train, train_on_two

from bolid_pipeline.training import checkpoint


def _losses(run_dir: Path) -> dict[str, list[float]]:
    """Every term that is written down: its values."""
    with (run_dir / checkpoint.LOSSES_FILE).open(newline="") as file:
        rows = list(csv.DictReader(file))
    return {name: [float(row[name]) for row in rows if row[name]] for name in rows[0]}


@pytest.fixture(scope="module")
def losses_of_one(tiny_stable_diffusion, tmp_path_factory):
    run_dir = tmp_path_factory.mktemp("one") / "one"
    train(tiny_stable_diffusion, run_dir, devices=1)
    return _losses(run_dir)


@pytest.mark.timeout(900)  # the fork server imports torch; on a busy machine that takes minutes
@pytest.mark.parametrize("shard_frozen_weights", [False, True])
def test_two_processes_have_the_losses_of_one(
    tiny_stable_diffusion, tmp_path, losses_of_one, shard_frozen_weights
):
    with socket.create_server(("127.0.0.1", 0)) as free:
        meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}
    logs = [tmp_path / f"{rank}.log" for rank in range(2)]
    processes = [
        fork_server.start(
            train_on_two,
            tiny_stable_diffusion,
            tmp_path / "two",
            shard_frozen_weights,
            output=log,
            environment={**meeting, "LOCAL_RANK": str(rank)},
        )
        for rank, log in enumerate(logs)
    ]
    for process, log in zip(processes, logs, strict=True):
        process.join()
        assert process.exitcode == 0, log.read_text()
    losses = _losses(tmp_path / "two")
    assert losses.keys() == losses_of_one.keys()
    for name, of_one in losses_of_one.items():
        assert losses[name] == pytest.approx(of_one, abs=1e-4), name
    assert checkpoint.read_metrics(tmp_path / "two")["steps"] == CONFIG.steps
