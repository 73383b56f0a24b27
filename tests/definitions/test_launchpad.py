"""Settings that can be changed for one run, as Dagster shows and checks them."""

from pathlib import Path
from typing import Annotated, Literal

import dagster as dg
import pytest

from assets.training import TrainingOverrides
from bolid_pipeline.errors import ConfigurationError
from bolid_pipeline.orchestration.launchpad import overrides_of
from bolid_pipeline.settings import Field, settings, to_json
from bolid_pipeline.training import presets
from resources.compute_engine import ComputeEngine
from resources.ray_engine import RayComputeEngine


@settings
class Term:
    """A term."""

    weight: Annotated[float, Field(ge=0)] = 0.0
    """Factor of the term."""
    mode: Literal["last", "32-true"] = "last"
    """What it compares."""


@settings
class Steps:
    """The few steps."""

    num_steps: Annotated[int, Field(gt=0)] = 4
    """Steps of the sampler."""
    l_id: Term = Term()
    """The body."""
    l_clip: Term = Term()
    """The caption."""


@settings
class Training:
    """A training."""

    steps: Annotated[int, Field(gt=0)]
    """Optimiser steps."""
    prompts: tuple[str, ...] = ("a", "b")
    """What is drawn."""
    gamma: Annotated[float, Field(gt=0)] | None = 5.0
    """None weights all timesteps alike."""
    is_dense: bool = False
    """Pool by group."""
    folder: Path = Path("here")
    """Where it lies."""
    few: Steps | None = None
    """None trains without."""


class TrainingChanges(overrides_of(Training)):
    """Unset: as it is."""


PRESET = Training(steps=100)


@pytest.fixture
def train():
    """Runs an asset with launchpad config; returns the settings that its body saw."""

    def run(config):
        seen = []

        @dg.asset
        def trained(config: TrainingChanges) -> None:
            seen.append(config.applied_to(PRESET))

        dg.materialize([trained], run_config={"ops": {"trained": {"config": config}}})
        return seen[0]

    return run


def test_a_run_without_changes_has_the_settings_of_the_deployment(train):
    assert train({}) == PRESET


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"steps": 7}, Training(steps=7)),
        ({"gamma": 1}, Training(steps=100, gamma=1.0)),
        ({"prompts": ["c"]}, Training(steps=100, prompts=("c",))),
        ({"is_dense": True, "folder": "there"}, Training(steps=100, is_dense=True, folder=Path("there"))),
        (
            {"few": {"l_id": {"weight": 0.5}, "l_clip": {"mode": "32-true"}}},
            Training(steps=100, few=Steps(l_id=Term(weight=0.5), l_clip=Term(mode="32-true"))),
        ),
        ({"few": {"num_steps": 2}}, Training(steps=100, few=Steps(num_steps=2))),
        ({"few": {"l_id": {}}}, PRESET),
    ],
)
def test_a_change_of_any_kind_of_field_is_applied(train, config, expected):
    assert train(config) == expected


@pytest.mark.parametrize(
    ("config", "complaint"),
    [
        ({"stpes": 3}, 'unexpected config entry "stpes"'),
        (
            {"few": {"l_id": {"wieght": 3}}},
            'unexpected config entry "wieght" at path root:ops:trained:config:few:l_id',
        ),
        ({"steps": "3"}, "config:steps"),
        ({"is_dense": "no"}, "config:is_dense"),
        (
            {"few": {"l_id": {"mode": "lst"}}},
            "few:l_id:mode not in enum type Term_mode got lst",
        ),
    ],
)
def test_a_misspelt_field_or_a_wrong_type_is_refused_by_name_before_the_run_starts(train, config, complaint):
    with pytest.raises(dg.DagsterInvalidConfigError, match=complaint):
        train(config)


def test_a_number_out_of_range_is_refused_by_name(train):
    with pytest.raises(
        ConfigurationError, match=r"the launchpad: few\.num_steps is 0: input should be greater"
    ):
        train({"few": {"num_steps": 0}})


def test_every_field_has_the_description_of_the_settings_class():
    fields = TrainingChanges.to_fields_dict()
    assert fields["steps"].description == "Optimiser steps."
    assert {name: field.is_required for name, field in fields.items()} == dict.fromkeys(fields, False)
    few = overrides_of(Steps).to_fields_dict()
    assert few["num_steps"].description == "Steps of the sampler."
    assert overrides_of(Term).to_fields_dict()["weight"].description == "Factor of the term."


@pytest.mark.parametrize("engine", [ComputeEngine, RayComputeEngine])
def test_how_photos_are_fed_to_models_is_described_too(engine):
    fields = engine.to_fields_dict()
    assert {"photos_per_batch", "photos_per_commit", "device"} <= set(fields)
    assert all(field.description for field in fields.values())


@pytest.mark.parametrize("preset", [presets.sd15_80gb(), presets.sdxl_24gb()])
def test_every_setting_of_a_preset_can_be_made_in_the_launchpad(preset):
    assert TrainingOverrides(**to_json(preset)).applied_to(presets.tiny()) == preset


def test_a_type_that_the_launchpad_cannot_show_is_refused_when_the_class_is_made():
    @settings
    class Odd:
        """Odd."""

        pair: dict[str, int]
        """A mapping."""

    with pytest.raises(TypeError, match=r"Odd_pair has the type dict\[str, int\]"):
        overrides_of(Odd)
