"""Where a training's start weights are found: by the role of published ones, or by a path."""

from dataclasses import replace
from pathlib import Path

import pytest

from bolid_pipeline.errors import ConfigurationError, WeightsMissing
from bolid_pipeline.orchestration.fitting import start_weights
from resources.deployments import DEPLOYMENTS, Deployment
from resources.model_hub import EmbeddedModels
from resources.table_store import DataStore


def found(folder: Path, named: str | None, deployment: str = "demo") -> Path | None:
    (folder / "weights" / "ip_adapter").mkdir(parents=True, exist_ok=True)
    (folder / "weights" / "ip_adapter" / "ip-adapter_sd15.safetensors").touch()
    of_preset = DEPLOYMENTS[deployment](folder)
    settings: Deployment = replace(of_preset, training=replace(of_preset.training, start_from=named))
    hub = EmbeddedModels(weights_dir=str(folder / "weights"))
    return start_weights(DataStore(data_dir=str(folder)), hub, settings)


def test_nothing_named_starts_with_new_branches(tmp_path: Path) -> None:
    assert found(tmp_path, None) is None


def test_a_role_names_the_deployments_own_weights(tmp_path: Path) -> None:
    assert (
        found(tmp_path, "ip_adapter") == tmp_path / "weights" / "ip_adapter" / "ip-adapter_sd15.safetensors"
    )


@pytest.mark.parametrize("name", ["theplace_sd15", "theplace_sdxl"])
def test_the_published_deployments_start_from_the_published_ip_adapter(name: str, tmp_path: Path) -> None:
    deployment = DEPLOYMENTS[name](tmp_path)
    assert deployment.training.start_from == "ip_adapter"
    assert "ip_adapter" in deployment.weight_repositories


def test_a_path_names_a_file_or_a_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "older").mkdir()
    monkeypatch.chdir(tmp_path)
    assert found(tmp_path, "older") == tmp_path / "older"
    with pytest.raises(WeightsMissing, match=r"training\.start_from is 'oder': no file or folder lies there"):
        found(tmp_path, "oder")


def test_a_training_does_not_start_from_what_it_replaces(tmp_path: Path) -> None:
    own = tmp_path / "checkpoints" / "demo"
    own.mkdir(parents=True)
    with pytest.raises(ConfigurationError, match="the checkpoint that this training replaces"):
        found(tmp_path, str(own))
