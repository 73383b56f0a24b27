"""A settings file changes the preset, variables change the file, and a wrong setting is refused by file and key."""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from bolid_pipeline.captioning.config import ClipCaptionConfig, VlmConfig
from bolid_pipeline.cli import main
from bolid_pipeline.errors import ConfigurationError
from bolid_pipeline.settings import to_json
from resources.deployments import DEPLOYMENTS, Deployment, RayConfig
from resources.environment import current_deployment, current_settings_file
from resources.settings_file import to_toml


@pytest.fixture
def write(tmp_path):
    """Writes a settings file and returns the environment that names it."""

    def write_file(text: str, name: str = "experiment.toml") -> dict[str, str]:
        (tmp_path / name).write_text(text, "utf-8")
        return {"BOLID_SETTINGS": str(tmp_path / name)}

    return write_file


TOML = """
deployment = "theplace_sd15"
data_dir = "/data/people"
source_url = "http://127.0.0.1:8600"

[crawl]
min_photos = 3
excluded_identities = ["anna", "boris"]
max_identities = "none"

[weight_repositories]
base_model = "me/mine"

[captioner]
kind = "clip"
num_contexts = 2

[ray]
gpus_per_actor = 0.5

[training]
steps = 7
"""

YAML = """
deployment: theplace_sd15
data_dir: /data/people
source_url: "http://127.0.0.1:8600"
crawl:
  min_photos: 3
  excluded_identities: [anna, boris]
  max_identities: null
weight_repositories: {base_model: me/mine}
captioner: {kind: clip, num_contexts: 2}
ray: {gpus_per_actor: 0.5}
training:
  steps: 7
"""


@pytest.mark.parametrize(("text", "name"), [(TOML, "a.toml"), (YAML, "a.yaml"), (YAML, "a.yml")])
def test_a_file_changes_what_it_names_and_leaves_the_rest_of_the_preset(write, text, name):
    preset = DEPLOYMENTS["theplace_sd15"](Path("/data/people"))
    deployment = current_deployment(write(text, name))
    assert deployment.name == "theplace_sd15"
    assert deployment.data_dir == Path("/data/people")
    assert deployment.crawl.base_url == "http://127.0.0.1:8600"
    assert deployment.crawl.min_photos == 3
    assert deployment.crawl.excluded_identities == {"anna", "boris"}
    assert deployment.crawl.max_identities is None
    assert deployment.crawl.requests_per_second == preset.crawl.requests_per_second
    assert deployment.weight_repositories == {**preset.weight_repositories, "base_model": "me/mine"}
    assert deployment.captioner == ClipCaptionConfig(num_contexts=2)
    assert deployment.ray == RayConfig(gpus_per_actor=0.5)
    assert to_json(deployment.training) == {**to_json(preset.training), "steps": 7}
    assert deployment.evaluation == preset.evaluation


def test_who_is_excluded_by_the_preset_stays_excluded_whatever_a_file_adds(write, monkeypatch):
    def preset(data_dir: Path) -> Deployment:
        demo = DEPLOYMENTS["demo"](data_dir)
        return replace(demo, crawl=replace(demo.crawl, excluded_identities=frozenset({"anna"})))

    monkeypatch.setitem(DEPLOYMENTS, "ours", preset)
    ours = {"BOLID_DEPLOYMENT": "ours"}
    added = current_deployment(ours | write('[crawl]\nexcluded_identities = ["boris", "zoe\u0308"]'))
    assert added.crawl.excluded_identities == {"anna", "boris", "zoë"}
    emptied = current_deployment(ours | write("[crawl]\nexcluded_identities = []"))
    assert emptied.crawl.excluded_identities == {"anna"}
    with pytest.raises(ConfigurationError, match=r"experiment.toml: crawl.excluded_identities"):
        current_deployment(ours | write("[crawl]\nexcluded_identities = 3"))


def test_a_captioner_of_the_presets_kind_keeps_its_other_settings(write):
    changed = current_deployment(write("[captioner]\nnum_contexts = 2"))
    assert changed.captioner == ClipCaptionConfig(num_contexts=2)
    assert current_deployment(write('[captioner]\nkind = "vlm"')).captioner == VlmConfig()


def test_yaml_numbers_and_words_are_those_of_yaml_1_2(write):
    environment = write("crawl: {requests_per_second: 1e-3, user_agent: no}", "a.yaml")
    crawl = current_deployment(environment).crawl
    assert (crawl.requests_per_second, crawl.user_agent) == (0.001, "no")


def test_variables_count_more_than_the_file(write):
    environment = write(
        'deployment = "theplace_sd15"\n[training]\nsteps = 7\nseed = 3\n[ray]\naddress = "a:1"'
    )
    environment |= {"BOLID_TRAINING": '{"steps": 9}', "RAY_ADDRESS": "b:2", "BOLID_DATA_DIR": "/elsewhere"}
    deployment = current_deployment(environment)
    assert (deployment.training.steps, deployment.training.seed) == (9, 3)
    assert deployment.ray == RayConfig(address="b:2")
    assert deployment.data_dir == Path("/elsewhere")
    assert current_deployment(environment | {"BOLID_DEPLOYMENT": "demo"}).name == "demo"
    assert current_deployment(environment | {"BOLID_COMPUTE": "local"}).ray is None


WRONG_TRAINING: dict[str, tuple[dict[str, Any], str]] = {
    "id_mode": ({"few_step": {"id_mode": "absolut"}}, "training.few_step.id_mode is 'absolut'"),
    "gradient_from": ({"few_step": {"gradient_from": "lst"}}, "training.few_step.gradient_from is 'lst'"),
    "sampler": ({"few_step": {"sampler": "dmp"}}, "training.few_step.sampler is 'dmp'"),
    "every_n_steps": ({"few_step": {"every_n_steps": 0}}, "training.few_step.every_n_steps is 0"),
    "precision": ({"hardware": {"precision": "fp8"}}, "training.hardware.precision is 'fp8'"),
    "kl": ({"diffusion": {"kl": 0.1}}, "training.diffusion.kl is 0.1"),
    "steps": ({"steps": 10.5}, "training.steps is 10.5"),
    "learning_rate": ({"optimizer": {"learning_rate": True}}, "training.optimizer.learning_rate is True"),
    "is_body_dense": ({"body": {"is_dense": "no"}}, "training.body.is_dense is 'no'"),
    "drop_text": ({"dropout": {"text": "0.1"}}, "training.dropout.text is '0.1'"),
    "misspelt": (
        {"optimizer": {"wieght_decay": 0.1}},
        "training.optimizer.wieght_decay = 0.1 is unknown; did you mean weight_decay",
    ),
}


@pytest.mark.parametrize("case", list(WRONG_TRAINING))
def test_a_wrong_setting_of_the_training_is_named_by_variable_field_and_value(case):
    values, complaint = WRONG_TRAINING[case]
    with pytest.raises(ConfigurationError) as refused:
        current_deployment({"BOLID_DEPLOYMENT": "theplace_sd15", "BOLID_TRAINING": json.dumps(values)})
    assert str(refused.value).startswith(f"BOLID_TRAINING: {complaint}")


@pytest.mark.parametrize("name", ["a.toml", "a.yaml"])
@pytest.mark.parametrize("case", list(WRONG_TRAINING))
def test_a_wrong_setting_of_the_training_is_named_by_file_field_and_value(write, case, name):
    values, complaint = WRONG_TRAINING[case]
    settings = {"deployment": "theplace_sd15", "training": values}
    environment = write(to_toml(settings) if name == "a.toml" else json.dumps(settings), name)
    with pytest.raises(ConfigurationError) as refused:
        current_deployment(environment)
    assert str(refused.value).startswith(f"{environment['BOLID_SETTINGS']}: {complaint}")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("data_dri = 'x'", "data_dri = 'x' is unknown; did you mean data_dir?"),
        ("[crwal]\nmin_photos = 3", "crwal = {'min_photos': 3} is unknown; did you mean crawl?"),
        ("[crawl]\nmin_photo = 3", "crawl.min_photo = 3 is unknown; did you mean min_photos"),
        ("[crawl]\nmin_photos = '3'", "crawl.min_photos is '3': input should be a valid integer"),
        (
            "[crawl]\nrequests_per_second = 0",
            "crawl.requests_per_second is 0: input should be greater than or equal to 0.00001",
        ),
        ("[crawl]\nmax_minutes = -1", "crawl.max_minutes is -1: input should be greater than or equal to 0"),
        (
            "[crawl]\nmin_photos = 2024-01-01",
            "crawl.min_photos is '2024-01-01': input should be a valid integer",
        ),
        (
            "[people]\nface_image_size_px = 100",
            "people.face_image_size_px is 100: input should be a multiple of 32",
        ),
        ("[curation]\nmax_watermark_prob = 1.5", "curation.max_watermark_prob is 1.5"),
        (
            "[latents]\nresolution_px = 50",
            "latents: resolution_px 50 is not a multiple of bucket_multiple_px 16",
        ),
        ("[latents]\nalpha = nan", "latents.alpha is nan: input should be a finite number"),
        ("[captioner]\nkind = 'blip'", "captioner.kind is 'blip': input should be one of 'clip', 'vlm'"),
        (
            "[captioner]\nprompt = 'x'",
            "captioner.prompt = 'x' is unknown; known are kind, num_contexts, seed",
        ),
        ("[ray]\ngpus_per_actor = -0.5", "ray.gpus_per_actor is -0.5"),
        ("[weight_repositories]\nbase = 'a/b'", "weight_repositories.base is 'base': input should be"),
        ("training = 3", "training is 3"),
        ("deployment = 'demno'", "deployment is 'demno'; known deployments: demo, theplace_sd15"),
        ("name = 'mine'", "name = 'mine' has no effect; set deployment instead"),
        (
            "[crawl]\nbase_url = 'http://a'",
            "crawl.base_url = 'http://a' has no effect; set source_url instead",
        ),
    ],
)
def test_a_wrong_setting_of_a_file_is_named_by_file_key_and_value(write, text, complaint):
    environment = write(text)
    with pytest.raises(ConfigurationError) as refused:
        current_deployment(environment)
    assert str(refused.value).startswith(f"{environment['BOLID_SETTINGS']}: {complaint}")


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("a.json", "{}", "must end in .toml, .yaml, .yml"),
        ("a.toml", "steps: 3", "cannot be parsed: "),
        ("a.toml", "[crawl]\n[crawl]", "cannot be parsed: "),
        ("a.yaml", "a: [", "cannot be parsed: "),
        ("a.yaml", "data_dir: a\ndata_dir: b", "cannot be parsed: "),
        ("a.yaml", "- a", "must hold names and values"),
        ("a.yaml", "", "must hold names and values"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_in_one_line(write, name, text, complaint):
    environment = write(text, name)
    with pytest.raises(ConfigurationError) as refused:
        current_deployment(environment)
    assert f"the settings file {environment['BOLID_SETTINGS']} {complaint}" in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("path", ["missing.toml", "."])
def test_a_file_that_is_not_there_is_named(tmp_path, path):
    with pytest.raises(ConfigurationError, match=f"the settings file .*{path}"):
        current_deployment({"BOLID_SETTINGS": str(tmp_path / path)})


CHANGES = {
    "BOLID_TRAINING": '{"steps": 9, "few_step": null, "hardware": {"precision": "32-true"}}',
    "BOLID_SITE_PARSERS": "my_site",
    "BOLID_SOURCE_URL": "https://gallery.example",
    "BOLID_COMPUTE": "ray",
    "BOLID_RAY_GPUS": "0.5",
}


@pytest.mark.parametrize("name", list(DEPLOYMENTS))
@pytest.mark.parametrize("changes", [{}, CHANGES, {"BOLID_DATA_DIR": "s3://bucket/data"}])
def test_the_printed_settings_are_a_file_that_asks_for_the_same_deployment(write, name, changes):
    environment = {"BOLID_DEPLOYMENT": name, **changes}
    printed = write(current_settings_file(environment))
    assert to_json(current_deployment(printed)) == to_json(current_deployment(environment))


def test_the_printed_settings_say_where_each_comes_from(write):
    environment = write('deployment = "theplace_sd15"\n[crawl]\nmin_photos = 3')
    shown = CliRunner().invoke(main, ["settings"], env={**environment, "BOLID_TRAINING": '{"steps": 9}'})
    lines = shown.output.splitlines()
    file = environment["BOLID_SETTINGS"]
    assert f'deployment = "theplace_sd15" # {file}' in lines
    assert f"min_photos = 3 # {file}" in lines
    assert "steps = 9 # BOLID_TRAINING" in lines
    assert "requests_per_second = 2.0 # preset theplace_sd15" in lines


def test_a_proxy_is_not_printed():
    environment = {"BOLID_DEPLOYMENT": "theplace_sd15", "HTTPS_PROXY": "http://me:secret@proxy.example:3128"}
    assert "secret" not in current_settings_file(environment)


def test_every_variable_and_setting_is_described(monkeypatch):
    for name in [name for name in os.environ if name.startswith("BOLID_")]:
        monkeypatch.delenv(name)
    described = CliRunner().invoke(main, ["settings", "--describe"]).output
    assert "BOLID_SETTINGS\n    Settings file" in described
    assert (
        "crawl.requests_per_second = 200.0  (number, at least 1e-05)\n    Most requests per second"
        in described
    )
    assert "captioner.prompt" in described
