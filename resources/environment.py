"""The environment, read here and nowhere else, and the deployment that it asks for.

From the weakest to the strongest: the preset of `resources/deployments.py` that BOLID_DEPLOYMENT names, the settings
file that BOLID_SETTINGS names, the other variables, and the launchpad of a run. `bolid settings` shows the outcome and
where each value comes from; `bolid settings --describe` lists the variables and all settings.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple
from urllib.parse import urlsplit

from pydantic import Json, PositiveInt, ValidationError
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from bolid_pipeline.errors import ConfigurationError
from bolid_pipeline.settings import Field, Layer, from_layers, merged, origin, to_json
from resources.deployments import DEPLOYMENTS, Deployment
from resources.settings_file import read_settings_file, to_toml
from resources.source_address import is_folder, source_address

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_ELSEWHERE = {("name",): "deployment", ("crawl", "base_url"): "source_url"}
"""Fields of a Deployment that follow from others, and what to set instead of them."""

VARIABLES_OF_THIS_PROCESS: Mapping[str, str] = os.environ


class Sets(NamedTuple):
    """Marks a variable with the path of the setting that it stands for."""

    path: tuple[str, ...]


class BolidSettings(BaseSettings):
    """The environment variables that BoLID knows; an empty or blank one counts as not set."""

    model_config = SettingsConfigDict(env_prefix="BOLID_", use_attribute_docstrings=True)

    deployment: str | None = None
    """Preset that everything else changes: demo (the default), theplace_sd15 or theplace_sdxl."""
    settings: Path | None = None
    """Settings file in TOML or YAML (README.md, "Settings")."""
    data_dir: Annotated[str | None, Sets(("data_dir",))] = None
    """Folder or address (`s3://bucket/prefix`) of tables and photos; ./data by default."""
    local_dir: Annotated[str | None, Sets(("local_dir",))] = None
    """Folder of this machine for checkpoints, reports and the embedded world; by default BOLID_DATA_DIR, or ./data."""
    source_url: Annotated[str | None, Sets(("source_url",))] = None
    """A mirror or stand-in of the site, another site, or the folder of your own photos; the deployment's by default."""
    site_parsers: Annotated[str | None, Sets(("parsers",))] = None
    """Module that reads the pages of another site, see docs/crawling.md; theplace's by default."""
    weight_pins: Annotated[str | None, Sets(("weight_pins",))] = None
    """JSON file with the revision and sha256 of each published model."""
    compute: Literal["local", "ray"] | None = None
    """Where stages run: `local` (the default) or `ray`."""
    ray_address: Annotated[str | None, Sets(("ray", "address")), Field(validation_alias="RAY_ADDRESS")] = None
    """Address of the Ray cluster, `host:6379`; without it, a cluster is started on this machine."""
    ray_gpus: Annotated[float | None, Sets(("ray", "gpus_per_actor")), Field(ge=0, allow_inf_nan=False)] = (
        None
    )
    """GPUs of each of Ray's actors; a fraction puts several of them on a GPU; 0 by default."""
    ray_actors: Annotated[PositiveInt | None, Sets(("ray", "max_actors"))] = None
    """Most actors of a stage; by default as many as there is room for."""
    training: Annotated[Json[dict[str, Any]] | None, Sets(("training",)), NoDecode] = None
    """JSON: settings of the training that differ from the deployment's, `{"optimizer": {"learning_rate": 1e-5}}`."""
    devices: Annotated[PositiveInt | None, Sets(("training", "hardware", "devices"))] = None
    """Devices of each machine that a training uses: short for a setting in BOLID_TRAINING; 1 by default."""
    https_proxy: Annotated[str | None, Field(validation_alias="HTTPS_PROXY")] = None
    """Proxy that the crawler goes through to a site that is not on this machine."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the signature is pydantic's
        init_settings: PydanticBaseSettingsSource,
        *_others: PydanticBaseSettingsSource,
        **_more: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Use only the environment that `read` hands over, because it need not be that of this process."""
        return (init_settings,)

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> "BolidSettings":
        """The variables in an environment. Raises ValidationError, ConfigurationError."""
        source = EnvSettingsSource(cls)
        source.env_vars = {
            name.lower(): _as_utf8(name, value) for name, value in environment.items() if value.strip()
        }
        return cls(**source())


def _as_utf8(name: str, value: str) -> str:
    """The value of a variable; the path of a folder whose name is other bytes than UTF-8 as a `file:///` address.

    Raises:
        ConfigurationError: it is one of BoLID's variables, and not UTF-8.
    """
    is_utf8 = not any("\udc80" <= letter <= "\udcff" for letter in value)
    if is_utf8 or not name.upper().startswith("BOLID_"):
        return value
    if name.upper() != "BOLID_SOURCE_URL":
        raise ConfigurationError(f"{name} is {value!r}: it is not UTF-8")
    try:
        return source_address(value)
    except ValueError as error:
        raise ConfigurationError(f"{name} is {value!r}: {error}") from error


def variable_name(field: str) -> str:
    """The variable that a field of BolidSettings is read from."""
    alias = (
        BolidSettings.model_fields[field].validation_alias if field in BolidSettings.model_fields else field
    )
    return str(alias or f"BOLID_{field.upper()}")


VARIABLES = {variable_name(name): field.description for name, field in BolidSettings.model_fields.items()}
"""Each variable and what it means."""


def current_deployment(environment: Mapping[str, str] = os.environ) -> Deployment:
    """The deployment that an environment asks for.

    Raises:
        ConfigurationError: names every wrong variable and setting, its value, and where it was written.
    """
    try:
        variables = BolidSettings.read(environment)
    except ValidationError as error:
        raise ConfigurationError("; ".join(_all_mistakes(error, environment))) from error
    layers = settings_layers(variables)
    deployment = from_layers(Deployment, layers)
    site = deployment.source_url
    if site is None or is_folder(site):
        return deployment
    # The proxy is in no layer, because `bolid settings` prints them and its address may hold a password.
    proxy = {} if urlsplit(site).hostname in _LOOPBACK else {"proxy_url": variables.https_proxy}
    return replace(deployment, crawl=replace(deployment.crawl, base_url=site, **proxy))


def settings_layers(variables: BolidSettings) -> list[Layer]:
    """All settings of a deployment, layer by layer: preset, settings file, variables, and what follows from these."""
    file, written = str(variables.settings), dict[str, Any]()
    if variables.settings is not None:
        written = read_settings_file(variables.settings)
        _refuse_derived(written, file)
    name = variables.deployment or written.pop("deployment", None)
    chosen_in = "BOLID_DEPLOYMENT" if variables.deployment else file if name else "default"
    preset = _preset("demo" if name is None else name, chosen_in)
    written.pop("deployment", None)
    layers = [
        Layer(f"preset {preset.name}", to_json(preset)),
        Layer(chosen_in, {"name": preset.name}),
        Layer(file, written),
    ]
    layers += _variable_layers(variables, has_ray=merged(layers)["ray"] is not None)
    return [*layers, *_derived_layers(layers)]


def current_settings_file(environment: Mapping[str, str] = os.environ) -> str:
    """The deployment as a settings file that asks for the same one, with the origin of each value as a comment.

    Raises:
        ConfigurationError: as `current_deployment`.
    """
    current_deployment(environment)
    layers = settings_layers(BolidSettings.read(environment))

    def comment(path: tuple[str, ...]) -> str:
        return origin(layers, ("name",) if path == ("deployment",) else path) or "default"

    return to_toml(file_values(from_layers(Deployment, layers)), comment)


def environment_of(deployment: Deployment, folder: Path) -> dict[str, str]:
    """Variables for a process that is to have this very deployment; it inherits all but BoLID's own variables.

    The settings are written into `folder`, so that later changes to a settings file make no difference.
    """
    path = folder / "settings.toml"
    path.write_text(to_toml(file_values(deployment)), "utf-8")
    own = {name: "" for name in VARIABLES if name.startswith("BOLID_")}
    return {**own, "BOLID_SETTINGS": str(path)}


def file_values(deployment: Deployment) -> dict[str, Any]:
    """The values that a settings file holds for this deployment."""
    values = to_json(deployment)
    del values["crawl"]["base_url"]
    return {"deployment": values.pop("name"), **values}


def _preset(name: Any, chosen_in: str) -> Deployment:
    if name not in DEPLOYMENTS:
        place = chosen_in if chosen_in == "BOLID_DEPLOYMENT" else f"{chosen_in}: deployment"
        raise ConfigurationError(f"{place} is {name!r}; known deployments: {', '.join(DEPLOYMENTS)}")
    return DEPLOYMENTS[name](Path("data"))


def _variable_layers(variables: BolidSettings, *, has_ray: bool) -> list[Layer]:
    layers: list[Layer] = []
    if variables.compute is not None:
        has_ray = variables.compute == "ray"
        layers.append(Layer("BOLID_COMPUTE", {"ray": {} if has_ray else None}))
    for name, path in _paths_of_variables():
        value = getattr(variables, name)
        if value is not None and (has_ray or path[0] != "ray"):
            layers.append(Layer(variable_name(name), _nested(path, value)))
    return layers


def _paths_of_variables() -> Iterator[tuple[str, tuple[str, ...]]]:
    """The variables that stand for one setting, and its path."""
    for name, field in BolidSettings.model_fields.items():
        yield from ((name, marker.path) for marker in field.metadata if isinstance(marker, Sets))


def _derived_layers(layers: list[Layer]) -> list[Layer]:
    """The values that follow from the data's address and from the choice of a site, without being written anywhere."""
    values, derived = merged(layers), list[Layer]()
    if values["local_dir"] is None and "://" in str(values["data_dir"]):
        derived.append(Layer("data_dir is not on this machine", {"local_dir": "data"}))
    preset = layers[0].source
    parsers = origin(layers, ["parsers"])
    # Another site's pages are remembered by its own address, not by that of the preset's site.
    if parsers not in (None, preset) and origin(layers, ["crawl", "canonical_url"]) == preset:
        derived.append(Layer(str(parsers), {"crawl": {"canonical_url": None}}))
    return derived


def _refuse_derived(written: Mapping[str, Any], file: str) -> None:
    for path, instead in _ELSEWHERE.items():
        value: Any = written
        for name in path:
            value = value.get(name) if isinstance(value, Mapping) else None
        if value is not None:
            raise ConfigurationError(
                f"{file}: {'.'.join(path)} = {value!r} has no effect; set {instead} instead"
            )


def _all_mistakes(error: ValidationError, environment: Mapping[str, str]) -> list[str]:
    """A sentence for each wrong variable, and for each mistake in the settings that the other variables ask for."""
    wrong: dict[str, str] = {}
    for details in error.errors(include_url=False):
        variable, message = variable_name(str(details["loc"][0])), details["msg"]
        wrong[variable] = f"{variable} is {details['input']!r}: {message[0].lower()}{message[1:]}"
    others = {name: value for name, value in environment.items() if name.upper() not in wrong}
    try:
        current_deployment(others)
    except ConfigurationError as more:
        return [*wrong.values(), str(more)]
    return list(wrong.values())


def _nested(path: tuple[str, ...], value: Any) -> dict[str, Any]:
    for name in reversed(path):
        value = {name: value}
    return value
