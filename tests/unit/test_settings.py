"""Settings come back from JSON as they were, and a wrong one is named by its field, its value and its source."""

import json
import pickle
from dataclasses import FrozenInstanceError, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import PositiveInt

from bolid_pipeline.errors import ConfigurationError
from bolid_pipeline.settings import (
    Field,
    Layer,
    Probability,
    from_json,
    from_layers,
    origin,
    override,
    settings,
    to_json,
)


@settings
class Ramp:
    """A kind of schedule."""

    kind: Literal["ramp"] = "ramp"
    steps: PositiveInt = 10
    """Steps until the end of the ramp."""


@settings
class Constant:
    """Another kind of schedule."""

    kind: Literal["constant"] = "constant"
    value: float = 1.0


@settings
class Loss:
    """A group of settings."""

    weight: Probability = 0.5
    first_step: int = 0
    last_step: int | None = None

    def __post_init__(self) -> None:
        if self.last_step is not None and self.last_step < self.first_step:
            raise ValueError(f"last_step {self.last_step} comes before first_step {self.first_step}")


@settings
class Experiment:
    """Settings of every shape."""

    rate: Annotated[float, Field(gt=0)]
    """Steps a second."""
    is_fast: bool = False
    order: Literal["up", "down"] = "up"
    patience: PositiveInt | Literal["auto"] = "auto"
    folder: Path = Path("out")
    names: tuple[str, ...] = ()
    excluded: frozenset[str] = frozenset()
    aliases: dict[str, str] = Field(default_factory=dict[str, str])
    loss: Loss = Loss()
    other_loss: Loss | None = None
    schedule: Annotated[Ramp | Constant, Field(discriminator="kind")] = Ramp()


def losses():
    bounds = st.tuples(st.integers(), st.none() | st.integers(min_value=0))
    return st.builds(
        lambda weight, first_and_length: Loss(
            weight=weight,
            first_step=first_and_length[0],
            last_step=None if first_and_length[1] is None else sum(first_and_length),
        ),
        st.floats(0, 1),
        bounds,
    )


def experiments():
    schedules = st.builds(Ramp, steps=st.integers(min_value=1)) | st.builds(
        Constant, value=st.floats(allow_nan=False, allow_infinity=False)
    )
    return st.builds(
        Experiment,
        rate=st.floats(min_value=0, exclude_min=True, allow_infinity=False),
        is_fast=st.booleans(),
        order=st.sampled_from(["up", "down"]),
        patience=st.just("auto") | st.integers(min_value=1),
        folder=st.sampled_from([Path("out"), Path("/a b/ё")]),
        names=st.lists(st.text()).map(tuple),
        excluded=st.frozensets(st.text()),
        aliases=st.dictionaries(st.text(), st.text()),
        loss=losses(),
        other_loss=st.none() | losses(),
        schedule=schedules,
    )


@given(experiments())
def test_settings_come_back_from_json_as_they_were(experiment):
    text = json.dumps(to_json(experiment))
    assert from_json(Experiment, json.loads(text), source="a test") == experiment


@given(experiments())
def test_settings_can_be_pickled_for_another_process(experiment):
    assert pickle.loads(pickle.dumps(experiment)) == experiment  # noqa: S301 - its own pickle


@given(experiments(), losses())
def test_a_change_leaves_the_other_settings(experiment, loss):
    changed = override(experiment, {"loss": {"weight": loss.weight}}, source="a test")
    assert changed == replace(experiment, loss=replace(experiment.loss, weight=loss.weight))


def test_settings_are_frozen():
    with pytest.raises(FrozenInstanceError):
        Experiment(rate=1.0).rate = 2.0  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"rate": 0}, "rate is 0: input should be greater than 0"),
        ({"rate": "0.1"}, "rate is '0.1': input should be a valid number"),
        ({"rate": True}, "rate is True: input should be a valid number"),
        ({"rate": float("nan")}, "rate is nan: input should be a finite number"),
        ({"is_fast": "no"}, "is_fast is 'no': input should be a valid boolean"),
        ({"order": "dwon"}, "order is 'dwon': input should be 'up' or 'down'"),
        ({"patience": "long"}, "patience is 'long': input should be a valid integer or 'auto'"),
        ({"folder": 3}, "folder is 3: input should be a valid string"),
        ({"names": ["a", 3]}, "names.1 is 3: input should be a valid string"),
        ({"aliases": {"a": 1}}, "aliases.a is 1: input should be a valid string"),
        ({"loss": 0.1}, "loss is 0.1: input should be an object"),
        ({"loss": {"weight": 2}}, "loss.weight is 2: input should be less than or equal to 1"),
        (
            {"other_loss": {"first_step": 1.5}},
            "other_loss.first_step is 1.5: input should be a valid integer",
        ),
        ({"loss": {"first_step": 3, "last_step": 2}}, "loss: last_step 2 comes before first_step 3"),
        (
            {"schedule": {"kind": "rmap"}},
            "schedule.kind is 'rmap': input should be one of 'ramp', 'constant'",
        ),
        ({"schedule": {"steps": 0}}, "schedule.steps is 0: input should be greater than 0"),
        ({"is_fsat": True}, "is_fsat = True is unknown; did you mean is_fast?"),
        ({"loss": {"wieght": 1}}, "loss.wieght = 1 is unknown; did you mean weight?"),
        ({"schedule": {"value": 1}}, "schedule.value = 1 is unknown; known are kind, steps"),
    ],
)
def test_a_wrong_setting_is_named_with_its_value_and_its_source(values: dict[str, Any], complaint):
    with pytest.raises(ConfigurationError) as refused:
        override(Experiment(rate=1.0), values, source="a.toml")
    assert str(refused.value) == f"a.toml: {complaint}"


def test_all_wrong_settings_are_named_at_once():
    with pytest.raises(ConfigurationError) as refused:
        from_json(Experiment, {"is_fast": 1, "loss": {"weight": -1}}, source="a.toml")
    assert str(refused.value) == (
        "a.toml: rate is missing; a.toml: is_fast is 1: input should be a valid boolean; "
        "a.toml: loss.weight is -1: input should be greater than or equal to 0"
    )


@pytest.mark.parametrize("make", [Experiment, lambda **values: replace(Experiment(rate=1.0), **values)])
def test_settings_made_in_python_are_checked_alike(make):
    with pytest.raises(
        ConfigurationError, match="Experiment: rate is 'fast': input should be a valid number"
    ):
        make(rate="fast")


def test_the_later_layer_counts_and_is_the_one_to_blame():
    layers = [
        Layer("preset", {"rate": 1.0, "loss": {"weight": 0.1, "first_step": 5}}),
        Layer("file", {"loss": {"weight": 0.2}}),
        Layer("variable", {"order": "down"}),
    ]
    assert from_layers(Experiment, layers) == Experiment(
        rate=1.0, loss=Loss(weight=0.2, first_step=5), order="down"
    )
    assert [origin(layers, path) for path in (["rate"], ["loss", "weight"], ["order"], ["names"])] == [
        "preset",
        "file",
        "variable",
        None,
    ]
    with pytest.raises(ConfigurationError, match=r"^variable: loss: last_step 1 comes before first_step 5$"):
        from_layers(Experiment, [*layers, Layer("variable", {"loss": {"last_step": 1}})])


def test_a_group_of_another_kind_takes_the_place_of_the_first():
    ramp = Experiment(rate=1.0, schedule=Ramp(steps=3))
    changed = override(ramp, {"schedule": {"kind": "constant"}}, source="a test")
    assert changed.schedule == Constant()


def test_a_group_that_was_left_out_can_be_added_and_left_out_again():
    with_loss = override(Experiment(rate=1.0), {"other_loss": {"weight": 0.25}}, source="a test")
    assert with_loss.other_loss == Loss(weight=0.25)
    assert override(with_loss, {"other_loss": None}, source="a test").other_loss is None
