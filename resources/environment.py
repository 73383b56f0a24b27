"""The deployment that the environment asks for.

From the weakest to the strongest: the preset of `resources/deployments.py` that BOLID_DEPLOYMENT names, the settings
file that BOLID_SETTINGS names, the other variables, and the launchpad of a run. `bolid settings` shows the outcome and
where each value comes from; `bolid settings --describe` lists the variables and all settings.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from pydantic import ValidationError

from bolid_pipeline.errors import ConfigurationError
from bolid_pipeline.redaction import split_login
from bolid_pipeline.scraping.addresses import is_internal
from bolid_pipeline.scraping.config import BODYWORLD_URL
from bolid_pipeline.settings import Layer, from_layers, merged, origin, to_json
from bolid_pipeline.training.presets import PRESETS, presets_beside
from resources.deployments import DEPLOYMENTS, Deployment
from resources.settings_file import read_settings_file, to_toml
from resources.source_address import is_folder
from resources.variables import VARIABLES, BolidSettings, Sets, variable_name

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_ELSEWHERE = {("name",): "deployment", ("crawl", "base_url"): "source_url"}
"""Fields of a Deployment that follow from others, and what to set instead of them."""
VARIABLES_OF_THIS_PROCESS: Mapping[str, str] = os.environ
_SECRETS = {"login": "BOLID_SOURCE_URL, with both before the host", "proxy_url": "HTTPS_PROXY"}
"""Fields of the crawl that are never shown or written, and the variables that they come from."""
NOT_IN_FILES = frozenset([*(".".join(path) for path in _ELSEWHERE), *(f"crawl.{name}" for name in _SECRETS)])
"""Fields of a Deployment that no settings file holds."""


def current_deployment(environment: Mapping[str, str] = os.environ) -> Deployment:
    """The deployment that an environment asks for.

    Raises:
        ConfigurationError: names every wrong variable and setting, its value, and where it was written.
    """
    try:
        variables = BolidSettings.read(environment)
    except ValidationError as error:
        raise ConfigurationError("; ".join(_all_mistakes(error, environment))) from error
    written = _written_layers(variables)
    deployment = from_layers(Deployment, _shown(written))
    site = deployment.source_url
    if site is None or is_folder(site):
        return deployment
    # Login and proxy are in no layer that is shown, because they hold passwords.
    login = split_login(str(merged(written)["source_url"]))[1]
    secrets = {"login": login and unquote(login)}
    if urlsplit(site).hostname not in _LOOPBACK:
        secrets["proxy_url"] = _checked_proxy(variables.https_proxy)
    return replace(deployment, crawl=replace(deployment.crawl, base_url=site, **secrets))


def settings_layers(variables: BolidSettings) -> list[Layer]:
    """All settings of a deployment, layer by layer: preset, settings file, variables, and what follows from these."""
    return _shown(_written_layers(variables))


def _shown(layers: list[Layer]) -> list[Layer]:
    """The layers, the site's address without user and password."""
    return [
        Layer(layer.source, {**layer.values, "source_url": split_login(address)[0]})
        if isinstance(address := layer.values.get("source_url"), str)
        else layer
        for layer in layers
    ]


def _written_layers(variables: BolidSettings) -> list[Layer]:
    """The layers as they are written, the site's address with user and password."""
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
        *_training_layers(preset, variables.training_preset or written.get("training_preset")),
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
    for name in ("base_url", *_SECRETS):
        del values["crawl"][name]
    return {"deployment": values.pop("name"), **values}


def _preset(name: Any, chosen_in: str) -> Deployment:
    if name not in DEPLOYMENTS:
        place = chosen_in if chosen_in == "BOLID_DEPLOYMENT" else f"{chosen_in}: deployment"
        raise ConfigurationError(f"{place} is {name!r}; known deployments: {', '.join(DEPLOYMENTS)}")
    return DEPLOYMENTS[name](Path("data"))


def _training_layers(preset: Deployment, name: Any) -> list[Layer]:
    """The training preset that is chosen in place of the deployment's own.

    Raises:
        ConfigurationError: there is none of this name for the deployment's base model.
    """
    if name is None or name == preset.training_preset:
        return []
    known = presets_beside(preset.training_preset)
    if name not in known:
        raise ConfigurationError(
            f"training_preset is {name!r}; the deployment {preset.name} takes {', '.join(known)}"
        )
    return [Layer(f"training preset {name}", {"training": to_json(PRESETS[name]())})]


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


def _is_public(source_url: Any) -> bool:
    """True if an address leads out of this machine and its network, where the stand-in of drawn people is."""
    try:
        host = urlsplit(source_url or "").hostname or ""
    except ValueError:  # the check of the settings says what is wrong with it
        return False
    return "." in host and not is_internal(host)


def _derived_layers(layers: list[Layer]) -> list[Layer]:
    """The values that follow from the data's address and from the choice of a site, without being written anywhere."""
    values, derived = merged(layers), list[Layer]()
    if values["local_dir"] is None and "://" in str(values["data_dir"]):
        derived.append(Layer("data_dir is not on this machine", {"local_dir": "data"}))
    preset = layers[0].source
    parsers = origin(layers, ["parsers"])
    # Another site's pages are remembered by its own address, not by that of the preset's site.
    is_another = parsers not in (None, preset)
    is_real = values["crawl"]["canonical_url"] == BODYWORLD_URL and _is_public(values["source_url"])
    if (is_another or is_real) and origin(layers, ["crawl", "canonical_url"]) == preset:
        decided_by = parsers if is_another else origin(layers, ["source_url"])
        derived.append(Layer(str(decided_by), {"crawl": {"canonical_url": None}}))
    # Who is excluded in one place is not let in by a list in another.
    counts = _excluded_in(values)
    excluded = {name for layer in layers for name in _excluded_in(layer.values) or ()}
    if counts is not None and not excluded <= set(counts):
        derived.append(Layer("preset and file", {"crawl": {"excluded_identities": sorted(excluded)}}))
    return derived


def _excluded_in(values: Mapping[str, Any]) -> list[str] | None:
    """The people whom some settings exclude; None where they hold no list of names."""
    crawl = values.get("crawl")
    names = crawl.get("excluded_identities") if isinstance(crawl, Mapping) else None
    is_list = isinstance(names, list) and all(isinstance(name, str) for name in names)
    return names if is_list else None


def _checked_proxy(url: str | None) -> str | None:
    try:
        address = urlsplit(url if url is None or "://" in url else f"http://{url}")
        is_proxy = address.scheme in ("http", "https") and address.hostname and address.port != 0
    except ValueError:
        is_proxy = False
    if url is not None and not is_proxy:
        raise ConfigurationError(
            "HTTPS_PROXY is no address of a proxy, such as http://proxy.example:3128; it is not shown here, because "
            "it may hold a password"
        )
    return url


def _refuse_derived(written: Mapping[str, Any], file: str) -> None:
    for path, instead in _ELSEWHERE.items():
        value: Any = written
        for name in path:
            value = value.get(name) if isinstance(value, Mapping) else None
        if value is not None:
            raise ConfigurationError(
                f"{file}: {'.'.join(path)} = {value!r} has no effect; set {instead} instead"
            )
    for name, instead in _SECRETS.items():
        if isinstance(crawl := written.get("crawl"), Mapping) and crawl.get(name) is not None:
            raise ConfigurationError(
                f"{file}: crawl.{name} may hold a password, which is not written into files; set {instead}"
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
