"""Settings that a person can change for one run, in Dagster's launchpad.

    class TrainingOverrides(overrides_of(TrainingConfig)):
        \"\"\"Settings of the training for this run. A field that is not set stays as the deployment says.\"\"\"

The fields, their descriptions and their choices are generated from the settings class, so that the launchpad always
offers what the settings class knows. It cannot set a field to None, which there means "not set". Dagster refuses an
unknown field, a wrong type and a wrong choice by name before the run starts; a number out of its range is refused when
the changes are applied.
"""

from collections.abc import Mapping
from dataclasses import is_dataclass
from enum import Enum
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import dagster as dg
from pydantic import Field, create_model

from bolid_pipeline.settings import override

T = TypeVar("T")
_PLAIN: dict[Any, type] = {int: int, float: float, bool: bool, str: str, Path: str}


class Overrides(dg.Config):
    """Settings of which each may be left unset."""

    def changes(self) -> dict[str, Any]:
        """Return the settings that are set, nested like the settings class, as JSON."""
        return _without_empty_groups(self.model_dump(mode="json", exclude_none=True))

    def applied_to(self, values: T) -> T:
        """Return the settings with the changes.

        Raises:
            ConfigurationError: a changed value is out of its range; names the field and its value.
        """
        return override(values, self.changes(), source="the launchpad")


@cache
def overrides_of(settings_class: type) -> type[Overrides]:
    """Return a config class with the fields of a settings class, all optional.

    Raises:
        TypeError: a field has a type that the launchpad cannot show.
    """
    described = settings_class.__pydantic_fields__  # type: ignore[attr-defined]
    fields: dict[str, Any] = {}
    for name, hint in get_type_hints(settings_class).items():
        shown = _shown(hint, f"{settings_class.__name__}_{name}")
        fields[name] = (shown | None, Field(default=None, description=described[name].description))
    made: Any = create_model(
        f"{settings_class.__name__}Overrides", __base__=Overrides, __doc__=settings_class.__doc__, **fields
    )
    return made


def _shown(hint: Any, name: str) -> Any:
    """Return the type by which Dagster shows a field of a settings class."""
    origin, members = get_origin(hint), [each for each in get_args(hint) if each is not NoneType]
    if origin in (Union, UnionType) and len(members) == 1:
        return _shown(members[0], name)
    if origin is tuple:
        return list[_shown(members[0], name)]
    if hint in _PLAIN:
        return _PLAIN[hint]
    if origin is Literal:
        # Dagster shows no optional literals, and of an enum the names.
        return Enum(name, {choice: choice for choice in members})
    if is_dataclass(hint):
        return overrides_of(hint)
    raise TypeError(f"{name} has the type {hint}, which the launchpad cannot show")


def _without_empty_groups(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the changes without groups in which nothing is set: `{"few_step": {}}` would switch a part on."""
    kept = {
        name: _without_empty_groups(change) if isinstance(change, Mapping) else change
        for name, change in changes.items()
    }
    return {name: change for name, change in kept.items() if change != {}}
