"""deploy/kubernetes/ without a cluster: Kubernetes' own schemas, and nothing that the code does not know."""

import importlib.util
import json
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from resources.environment import current_deployment
from resources.variables import VARIABLES

REPOSITORY = Path(__file__).parents[2]
FOLDER = REPOSITORY / "deploy" / "kubernetes"
VERSION = "1.30"


def _documents(name: str) -> list[Any]:
    return list(yaml.safe_load_all((FOLDER / name).read_text()))


def _code_server(name: str) -> dict[str, Any]:
    (server,) = _documents(name)[0]["dagster-user-deployments"]["deployments"]
    return server


def _run_pod(*names: str) -> dict[str, Any]:
    """The pod of a run, as the chart and Dagster's launcher make it of the code server and of `runK8sConfig`."""
    server = _code_server(names[-1])
    wanted: dict[str, Any] = {}
    for name in names:
        wanted |= _documents(name)[0]["runLauncher"]["config"]["k8sRunLauncher"]["runK8sConfig"]
    container = {
        "name": "dagster",
        "image": f"{server['image']['repository']}:{server['image']['tag']}",
        "env": server["env"],
        "volumeMounts": server["volumeMounts"],
        **wanted["containerConfig"],
    }
    spec = {"containers": [container], "volumes": server["volumes"], **wanted.get("podSpecConfig", {})}
    return _pod({"metadata": wanted["podTemplateSpecMetadata"], "spec": spec})


def _pod(template: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Pod", **template}


def _ray_pods() -> list[dict[str, Any]]:
    spec = _documents("ray-cluster.yaml")[0]["spec"]
    return [_pod(group["template"]) for group in (spec["headGroupSpec"], *spec["workerGroupSpecs"])]


RUN_PODS = [_run_pod("values.yaml"), _run_pod("values.yaml", "ray-values.yaml")]
TRAINER = _documents("trainers.yaml")[1]
PODS = [*RUN_PODS, *_ray_pods(), _pod(TRAINER["spec"]["template"])]


@pytest.mark.parametrize("manifest", [*PODS, *_documents("trainers.yaml"), *_documents("data.yaml")])
def test_a_manifest_is_one_by_the_schemas_of_kubernetes(manifest):
    kubernetes_validate.validate(manifest, VERSION, strict=True)


def test_a_wrong_manifest_would_be_noticed():
    wrong = _pod({"spec": {"containers": [{"name": "run", "image": "bolid", "volumeMount": []}]}})
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, VERSION, strict=True)


@pytest.mark.parametrize("pod", PODS)
def test_a_pod_has_one_image_and_the_volumes_that_it_mounts(pod):
    volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
    assert volumes["data"]["persistentVolumeClaim"]["claimName"] == "bolid-data"
    for container in (*pod["spec"]["containers"], *pod["spec"].get("initContainers", [])):
        assert container["image"] == "registry.example/bolid:0.1.0"
        assert {mount["name"] for mount in container["volumeMounts"]} <= set(volumes)


@pytest.mark.parametrize("pod", [*RUN_PODS, PODS[-1]])
def test_the_variables_are_those_of_the_deployments_and_make_sense(pod):
    (container,) = pod["spec"]["containers"]
    environment = {variable["name"]: variable["value"] for variable in container["env"]}
    assert set(environment) <= set(VARIABLES)
    training = current_deployment(environment).training
    assert str(training.hardware.devices) == container["resources"]["limits"]["nvidia.com/gpu"]


def test_the_second_machine_trains_what_the_first_does():
    (container,) = TRAINER["spec"]["template"]["spec"]["containers"]
    first = {variable["name"]: variable["value"] for variable in _code_server("values.yaml")["env"]}
    second = {variable["name"]: variable["value"] for variable in container["env"]}
    hardware = {**json.loads(first.pop("BOLID_TRAINING"))["hardware"], "num_nodes": 2}
    assert json.loads(second.pop("BOLID_TRAINING")) == {"hardware": hardware}
    assert second == first
    torchrun = container["command"]
    assert torchrun[torchrun.index("--nproc-per-node") + 1] == first["BOLID_DEVICES"]
    service = _documents("trainers.yaml")[0]
    assert torchrun[torchrun.index("--master-addr") + 1] == service["metadata"]["name"]
    assert service["spec"]["selector"].items() <= RUN_PODS[0]["metadata"]["labels"].items()


def test_the_modules_that_are_started_exist():
    (container,) = TRAINER["spec"]["template"]["spec"]["containers"]
    for module in (_code_server("values.yaml")["dagsterApiGrpcArgs"][1], container["args"][1]):
        assert importlib.util.find_spec(module)


def test_the_chart_is_told_what_dagster_yaml_says():
    (values,) = _documents("values.yaml")
    instance = yaml.safe_load((REPOSITORY / "dagster.yaml").read_text())
    pools, runs = values["concurrency"]["pools"], values["concurrency"]["runs"]
    assert pools["defaultLimit"] == instance["concurrency"]["pools"]["default_limit"]
    assert pools["granularity"] == instance["concurrency"]["pools"]["granularity"]
    assert runs["maxConcurrentRuns"] == instance["concurrency"]["runs"]["max_concurrent_runs"]
    monitoring, retries = values["dagsterDaemon"]["runMonitoring"], values["dagsterDaemon"]["runRetries"]
    assert (
        monitoring["freeSlotsAfterRunEndSeconds"]
        == instance["run_monitoring"]["free_slots_after_run_end_seconds"]
    )
    assert retries["maxRetries"] == instance["run_retries"]["max_retries"]
    assert values["pythonLogs"]["managedPythonLoggers"] == instance["python_logs"]["managed_python_loggers"]


def test_the_page_names_every_file():
    page = (REPOSITORY / "docs" / "kubernetes.md").read_text()
    for path in (*FOLDER.iterdir(), REPOSITORY / "deploy" / "Dockerfile"):
        assert path.relative_to(REPOSITORY).as_posix() in page
