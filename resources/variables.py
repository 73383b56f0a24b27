"""The environment variables that BoLID knows, read here and nowhere else."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Json, PositiveInt
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from bolid_pipeline.errors import ConfigurationError
from bolid_pipeline.settings import Field
from resources.source_address import source_address


class Sets(NamedTuple):
    """Marks a variable with the path of the setting that it stands for."""

    path: tuple[str, ...]


class BolidSettings(BaseSettings):
    """The environment variables that BoLID knows; an empty or blank one counts as not set."""

    model_config = SettingsConfigDict(
        env_prefix="BOLID_", use_attribute_docstrings=True, hide_input_in_errors=True
    )

    deployment: str | None = None
    """Preset that everything else changes: demo (the default), theplace_sd15, theplace_sdxl, or one of these two with
    `_permissive` behind it."""
    settings: Path | None = None
    """Settings file in TOML or YAML (README.md, "Settings")."""
    data_dir: Annotated[str | None, Sets(("data_dir",))] = None
    """Folder or address (`s3://bucket/prefix`) of tables and photos; ./data by default."""
    local_dir: Annotated[str | None, Sets(("local_dir",))] = None
    """Folder of this machine for checkpoints, reports and the embedded world; by default BOLID_DATA_DIR, or ./data."""
    source_url: Annotated[str | None, Sets(("source_url",))] = None
    """A mirror or stand-in of the site, another site, or the folder of your own photos; the deployment's by default.
    User and password of a site (`https://user:password@host`) are shown nowhere."""
    contact: Annotated[str | None, Sets(("crawl", "contact"))] = None
    """Mail address or page by which whoever runs the site can reach you; the crawler sends it with its name."""
    requests_per_second: Annotated[
        float | None, Sets(("crawl", "requests_per_second")), Field(gt=0, allow_inf_nan=False)
    ] = None
    """Most requests per second to the site; the deployment's by default."""
    site_parsers: Annotated[str | None, Sets(("parsers",))] = None
    """Module that reads the pages of another site, see docs/crawling.md; theplace's by default."""
    weight_pins: Annotated[str | None, Sets(("weight_pins",))] = None
    """JSON file with the revision and hashes of published models (`bolid models pin`); by default weight_pins.json
    in BOLID_LOCAL_DIR."""
    weights_dir: Annotated[str | None, Sets(("weights_dir",))] = None
    """Folder that holds published models as `owner/name/...`, where to look before the Hugging Face cache."""
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
    training_preset: Annotated[str | None, Sets(("training_preset",))] = None
    """Settings of the training by the memory of the GPU: sd15_12gb, sd15_24gb, sd15_80gb, sdxl_24gb or sdxl_80gb;
    `bolid plan` says which fit."""
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
