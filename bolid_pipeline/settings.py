"""How settings are declared and read: strictly typed, frozen, and refused by field and value.

    @settings
    class PoseConfig:
        \"\"\"How bodies are found.\"\"\"

        image_size_px: Annotated[int, Field(gt=0, multiple_of=32)] = 640
        \"\"\"Side of the square that the network sees.\"\"\"

A docstring below a field documents it: `describe` and Dagster's launchpad show it. No field is converted from another
type (`True` is not a number, `"no"` is not a boolean), and an unknown field is refused. Loading this module is cheap.
"""

import json
from collections.abc import Mapping
from typing import Any, TypeVar, dataclass_transform

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from bolid_pipeline.errors import ConfigurationError

T = TypeVar("T")

__all__ = ["Field", "describe_mistakes", "from_json", "override", "settings", "to_json"]


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(Field,))
def settings(cls: type[T]) -> type[T]:
    """Make a class of fields a frozen, keyword-only dataclass that checks its values when it is made.

    A wrong value raises pydantic's ValidationError, which is a ValueError; `from_json` turns it into one line.
    """
    strict = ConfigDict(extra="forbid", strict=True, use_attribute_docstrings=True, allow_inf_nan=False)
    checked: Any = dataclass(frozen=True, kw_only=True, config=strict)(cls)
    return checked


def to_json(values: Any) -> dict[str, Any]:
    """The fields of a settings object, nested ones too, as JSON can hold them."""
    return TypeAdapter(type(values)).dump_python(values, mode="json")


def from_json(cls: type[T], values: Mapping[str, Any], *, source: str) -> T:
    """Settings of a class from what JSON, TOML or YAML hold: lists become tuples, strings become paths and enums.

    Raises:
        ConfigurationError: one line that names each wrong field, its value, and `source`, where they were read.
    """
    try:
        return TypeAdapter(cls).validate_json(json.dumps(values))
    except ValidationError as error:
        raise ConfigurationError(f"{source}: {describe_mistakes(error)}") from error
    except TypeError as error:
        raise ConfigurationError(f"{source}: {error}") from error


def override(values: T, changes: Mapping[str, Any], *, source: str) -> T:
    """The same settings but for `changes`, nested like the settings themselves. Errors as `from_json`."""
    return from_json(type(values), _merged(to_json(values), changes), source=source)


def describe_mistakes(error: ValidationError) -> str:
    """All wrong fields in one line: `few_step.sampler is 'dmp': input should be 'euler' or 'ddim'; ...`."""
    return "; ".join(
        f"{'.'.join(map(str, each['loc']))} is {each['input']!r}: {each['msg'][0].lower()}{each['msg'][1:]}"
        for each in error.errors(include_url=False)
    )


def _merged(values: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """`values` with `changes` written over them, group by group."""
    return {
        **values,
        **{
            name: _merged(values[name], change)
            if isinstance(change, Mapping) and isinstance(values.get(name), Mapping)
            else change
            for name, change in changes.items()
        },
    }
