"""Settings files: TOML or YAML, nested like a `Deployment`. TOML has no null; there the text "none" stands for it."""

import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import tomlkit
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from bolid_pipeline.errors import ConfigurationError

_NONE = "none"


def read_settings_file(path: Path) -> dict[str, Any]:
    """The settings in a file, nested; a null becomes None.

    Raises:
        ConfigurationError: there is no such file, its name ends otherwise, or it cannot be parsed.
    """
    readers = {".toml": _read_toml, ".yaml": _read_yaml, ".yml": _read_yaml}
    if path.suffix not in readers:
        raise ConfigurationError(f"the settings file {path} must end in {', '.join(readers)}")
    try:
        values = readers[path.suffix](path)
    except OSError as error:
        raise ConfigurationError(f"the settings file {path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise ConfigurationError(f"the settings file {path} cannot be parsed: {reason}") from error
    if not isinstance(values, dict):
        raise ConfigurationError(
            f"the settings file {path} must hold names and values, such as `deployment: demo`"
        )
    return values


def to_toml(values: Mapping[str, Any], comment: Callable[[tuple[str, ...]], str] | None = None) -> str:
    """The values as a settings file; `comment` says what is written behind the value of a field, by its path."""
    return tomlkit.dumps(_table(tomlkit.document(), values, (), comment))


def _table(table: Any, values: Mapping[str, Any], path: tuple[str, ...], comment: Any) -> Any:
    # TOML: what follows the first sub-table belongs to it, so that plain values come first.
    for name, value in sorted(values.items(), key=lambda item: isinstance(item[1], Mapping)):
        if isinstance(value, Mapping):
            table[name] = _table(tomlkit.table(), value, (*path, name), comment)
            continue
        item: Any = tomlkit.item(_NONE if value is None else value)
        if comment is not None:
            item.comment(comment((*path, name)))
        table[name] = item
    return table


def _read_toml(path: Path) -> Any:
    return _with_none(tomllib.loads(path.read_text("utf-8")))


def _with_none(values: dict[str, Any]) -> dict[str, Any]:
    return {
        name: _with_none(value) if isinstance(value, dict) else None if value == _NONE else value
        for name, value in values.items()
    }


def _read_yaml(path: Path) -> Any:
    # YAML 1.2: 1e-4 is a number and `no` is text, and a name that is written twice is an error.
    return YAML(typ="safe", pure=True).load(path.read_text("utf-8"))
