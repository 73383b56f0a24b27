import pickle
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from bolid_pipeline.errors import WeightsMissing
from bolid_pipeline.pose.config import PoseConfig
from bolid_pipeline.pretrained.weights import WeightsFile
from bolid_pipeline.stages.recipe import Recipe, fingerprint


@dataclass(frozen=True, kw_only=True)
class Scores(Recipe):
    table = "watermark_scores"
    code_version = "1"

    weights: WeightsFile
    folder: Path
    config: PoseConfig
    word: str = "a"

    def open(self, photos, device):
        pytest.fail(f"recipes are compared here and never opened: {photos} on {device}")


class NewerScores(Scores):
    code_version = "2"


@pytest.fixture
def recipe(tmp_path):
    (tmp_path / "model").mkdir()
    for name in ("a.safetensors", "b.safetensors", "model/c.safetensors"):
        (tmp_path / name).write_text(name)
    weights = WeightsFile(path=tmp_path / "a.safetensors")
    return Scores(weights=weights, folder=tmp_path / "model", config=PoseConfig())


def test_code_version_weights_and_settings_are_in_the_fingerprint(recipe, tmp_path):
    fields = {"weights": recipe.weights, "folder": recipe.folder, "config": recipe.config}
    others = [
        replace(recipe, weights=WeightsFile(path=tmp_path / "b.safetensors")),
        replace(recipe, config=PoseConfig(iou=0.25)),
        replace(recipe, word="b"),
        NewerScores(**fields),
    ]
    prints = [recipe.fingerprint, *(other.fingerprint for other in others)]
    (recipe.folder / "c.safetensors").write_text("other weights")
    prints.append(recipe.fingerprint)
    assert len(set(prints)) == 6


def test_where_the_weights_lie_is_not_in_the_fingerprint(recipe, tmp_path):
    moved = (tmp_path / "a.safetensors").rename(tmp_path / "moved.safetensors")
    made_by = replace(recipe, weights=WeightsFile(path=moved)).fingerprint
    moved.rename(tmp_path / "a.safetensors")
    assert made_by == recipe.fingerprint


def test_missing_weights_are_named(recipe, tmp_path):
    with pytest.raises(WeightsMissing, match="gone"):
        _ = replace(recipe, weights=WeightsFile(path=tmp_path / "gone")).fingerprint


def test_a_stage_makes_all_columns_but_the_fingerprint(recipe):
    assert recipe.made_columns.names == ["photo_id", "watermark_prob"]


def test_fingerprints_depend_on_names_and_values_not_on_order():
    assert fingerprint(a=1, b=[2]) == fingerprint(b=[2], a=1)
    assert len({fingerprint(a=1), fingerprint(a=2), fingerprint(b=1), fingerprint(a="1")}) == 4
    assert len(fingerprint(a=1)) == 16


def test_a_recipe_of_every_stage_can_be_pickled(tmp_path):
    from bolid_pipeline.captioning.config import ClipCaptionConfig
    from bolid_pipeline.captioning.recipe import CaptionRecipe
    from bolid_pipeline.curation.config import PeopleConfig
    from bolid_pipeline.curation.recipes import PeopleRecipe, WatermarkRecipe
    from bolid_pipeline.pose.recipe import PoseRecipe

    weights = WeightsFile(path=tmp_path / "a")
    for recipe in (
        PoseRecipe(weights=weights, person_weights=weights, config=PoseConfig()),
        WatermarkRecipe(weights=weights),
        PeopleRecipe(face_weights=weights, person_weights=weights, config=PeopleConfig()),
        CaptionRecipe(model=tmp_path, config=ClipCaptionConfig()),
    ):
        assert pickle.loads(pickle.dumps(recipe)) == recipe  # noqa: S301 - our own bytes
