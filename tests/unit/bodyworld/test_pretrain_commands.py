"""The commands that train the small networks."""

import json
import re
import shlex
from importlib import import_module
from pathlib import Path

import click
import numpy as np
import pytest
import torch
from click.testing import CliRunner
from torch import nn

from bodyworld import pretrain
from bodyworld.pretrain.__main__ import STAGES, describe
from bodyworld.pretrain.__main__ import main as list_stages
from bodyworld.pretrain.command import PretrainRun, pretrain_command
from bodyworld.pretrain.detector_scores import Counts, correct_keypoints, match_boxes
from bodyworld.pretrain.shuffled_order import ShuffledOrder
from bodyworld.weights import WEIGHTS_ROLES, weights_folder


def command_of(stage: str) -> click.Command:
    return import_module(f"bodyworld.pretrain.{stage}").main


def test_every_module_with_a_command_is_listed(capsys):
    (folder,) = pretrain.__path__
    modules = [path for path in Path(folder).glob("*.py") if '"__main__"' in path.read_text("utf-8")]
    assert {path.stem for path in modules} - {"__main__"} == set(STAGES)
    list_stages()
    listed = capsys.readouterr().out
    assert all(f"{stage} " in listed and describe(stage) in listed for stage in STAGES)


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_says_what_it_does(stage):
    shown = CliRunner().invoke(command_of(stage), ["--help"])
    assert shown.exit_code == 0
    assert "--seed" in shown.output


@pytest.mark.parametrize("role", WEIGHTS_ROLES)
def test_the_commands_in_the_readmes_of_the_weights_can_be_given(role):
    text = (weights_folder(role) / "README.md").read_text("utf-8").replace("\\\n", " ")
    calls = re.findall(r"python -m bodyworld\.pretrain\.(\w+)([^\n`]*)", text)
    assert calls
    for stage, arguments in calls:
        known = {name for option in command_of(stage).params for name in option.opts}
        assert {word for word in shlex.split(arguments) if word.startswith("--")} <= known


def test_a_training_command_trains_and_reports(tmp_path):
    @pretrain_command("line", minutes=1.0, seed=3)
    @click.option("--width", default=1)
    def train(run: PretrainRun, *, width: int) -> None:
        """Fit a line."""
        model = nn.Linear(width, 1)

        def losses(rng: np.random.Generator) -> dict[str, torch.Tensor]:
            inputs = torch.from_numpy(rng.standard_normal((8, width)).astype(np.float32))
            return {"square": (model(inputs) - inputs.sum(1, keepdim=True)).pow(2).mean()}

        run.train(model, losses, lambda step: run.report(step, {"width": width}), learning_rate=0.05)

    run_dir = tmp_path / "new" / "folder"
    done = CliRunner().invoke(train, ["--run-dir", str(run_dir), "--minutes", "0.001", "--width", "3"])
    assert done.exception is None
    metrics = json.loads((run_dir / "metrics.json").read_text())
    assert metrics["width"] == 3
    assert metrics["num_steps"] > 0
    assert (run_dir / "training.pt").exists()


def test_a_part_of_a_run_takes_its_share_of_the_time(tmp_path):
    part = PretrainRun(run_dir=tmp_path, minutes=10.0, seed=1).part("128px", 0.25)
    assert (part.minutes, part.run_dir, part.seed) == (2.5, tmp_path / "128px", 1)


def test_a_pass_shows_every_example_once():
    order, rng = ShuffledOrder(5), np.random.default_rng(0)
    passes = [[order.next(rng) for _ in range(5)] for _ in range(2)]
    assert [sorted(numbers) for numbers in passes] == [[0, 1, 2, 3, 4]] * 2
    assert passes[0] != passes[1]


def test_scores_of_a_decision():
    said, true = np.array([True, True, False, False]), np.array([True, False, True, False])
    assert Counts.compare(said, true) == Counts(
        true_positives=1, false_positives=1, false_negatives=1, true_negatives=1
    )
    assert Counts.compare(true, true).f1 == Counts.compare(true, true).f1_of_no == 1.0


def test_a_true_box_is_found_once():
    true = np.array([[0, 0, 10, 10], [20, 20, 30, 30]])
    assert match_boxes(np.array([[0, 0, 10, 9], [1, 0, 10, 10]]), true) == 1
    assert match_boxes(np.array([[21, 20, 30, 30], [0, 0, 10, 9]]), true) == 2


def test_a_hidden_keypoint_does_not_count():
    true_K3 = np.array([[5, 5, 1], [50, 50, 0], [90, 90, 1]])
    found_K3 = np.array([[6, 5, 1], [0, 0, 1], [60, 90, 1]])
    box = np.array([0, 0, 100, 100])
    assert correct_keypoints(found_K3, true_K3, box, 0.1).tolist() == [True, False]
    assert correct_keypoints(None, true_K3, box, 0.1).tolist() == [False, False]
