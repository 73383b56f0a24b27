"""`bolid settings`: the settings in force, where each comes from, and what each means."""

from collections.abc import Iterator, Mapping
from typing import Any

import click
from pydantic import TypeAdapter

from bolid_pipeline.cli.errors import one_line_errors
from resources.deployments import Deployment
from resources.environment import (
    NOT_IN_FILES,
    VARIABLES,
    current_deployment,
    current_settings_file,
    file_values,
)

_TYPES: Mapping[str, str] = {"null": "none", "array": "list", "object": "table"}
"""JSON Schema's names in TOML's words."""
_RANGES = {
    "exclusiveMinimum": "greater than",
    "minimum": "at least",
    "exclusiveMaximum": "less than",
    "maximum": "at most",
    "multipleOf": "a multiple of",
}


@click.command()
@click.option(
    "--describe", is_flag=True, help="List every variable and setting: type, range, value, meaning."
)
@one_line_errors
def settings(*, describe: bool) -> None:
    """Print the settings in force as TOML, each with its origin: preset, settings file or variable.

    Saved in a file that BOLID_SETTINGS names, the output gives the same settings.
    """
    click.echo("\n".join(_description()) if describe else current_settings_file(), nl=describe)


def _description() -> Iterator[str]:
    yield "# Environment variables\n"
    for name, meaning in VARIABLES.items():
        yield f"{name}\n    {meaning}"
    yield "\n# Settings, as they are now\n"
    schema = TypeAdapter(Deployment).json_schema()
    yield from _describe_fields(schema, schema, file_values(current_deployment()), "")


def _describe_fields(
    root: Mapping[str, Any], group: Mapping[str, Any], values: Any, prefix: str
) -> Iterator[str]:
    for name, field in group["properties"].items():
        if f"{prefix}{name}" not in NOT_IN_FILES:
            value = values.get(name) if isinstance(values, Mapping) else field.get("default")
            yield from _describe_field(root, field, value, f"{prefix}{name}")


def _describe_field(
    root: Mapping[str, Any], field: Mapping[str, Any], value: Any, name: str
) -> Iterator[str]:
    groups = [root["$defs"][ref.rpartition("/")[2]] for ref in _references(field)]
    if not groups:
        yield f"{name} = {'none' if value is None else repr(value)}  ({_type(field)})\n    {field.get('description')}"
    for group in groups:
        kind = group["properties"].get("kind", {}).get("const")
        yield f"\n[{name}]  {field.get('description', '')}{f' With kind = {kind!r}:' if kind else ''}"
        is_here = isinstance(value, Mapping) and value.get("kind") == kind
        yield from _describe_fields(root, group, value if is_here else None, f"{name}.")


def _references(field: Mapping[str, Any]) -> list[str]:
    """The groups that a field can hold."""
    members = [field, *field.get("anyOf", ()), *field.get("oneOf", ())]
    return [member["$ref"] for member in members if "$ref" in member]


def _type(field: Mapping[str, Any]) -> str:
    if "anyOf" in field:
        return " or ".join(map(_type, field["anyOf"]))
    if "const" in field or "enum" in field:
        return " or ".join(map(repr, field.get("enum", [field.get("const")])))
    kind = _TYPES.get(field["type"], field["type"])
    return ", ".join([kind, *(f"{words} {field[key]}" for key, words in _RANGES.items() if key in field)])
