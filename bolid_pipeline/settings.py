"""How settings are declared, read and merged: strictly typed, frozen, and refused by field and value.

    @settings
    class PoseConfig:
        \"\"\"How bodies are found.\"\"\"

        image_size_px: YoloSizePx = 640
        \"\"\"Side of the square that the network sees.\"\"\"

The docstring below a field is its description: `bolid settings --describe` and Dagster's launchpad show it. No value is
converted from another type (`True` is not a number, `"no"` is not a boolean), and an unknown field is refused with the
names that resemble it. A rule about several fields belongs into `__post_init__`, which raises ValueError. A choice
between two classes is a field `Annotated[A | B, Field(discriminator="kind")]`, where each class has a field `kind`.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from functools import partial, wraps
from reprlib import repr as shortened
from typing import (
    Annotated,
    Any,
    NamedTuple,
    TypeVar,
    dataclass_transform,
    get_args,
    get_origin,
    get_type_hints,
)

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from bolid_pipeline.errors import ConfigurationError
from bolid_pipeline.redaction import without_logins_inside

T = TypeVar("T")

Probability = Annotated[float, Field(ge=0, le=1)]
YoloSizePx = Annotated[int, Field(gt=0, multiple_of=32)]
"""Side of the square that a YOLO network sees: its coarsest feature map is 32 times smaller."""

_MOST_NAMES = 12
"""Most names that an error message lists."""

__all__ = [
    "Field",
    "Layer",
    "Mistake",
    "Probability",
    "YoloSizePx",
    "find_mistakes",
    "from_json",
    "from_layers",
    "merged",
    "origin",
    "override",
    "settings",
    "to_json",
]


class Layer(NamedTuple):
    """Some of the settings, nested like the settings themselves, and the place where they were written."""

    source: str
    values: Mapping[str, Any]


class Mistake(NamedTuple):
    """A wrong field, or a group whose fields disagree, and a sentence about it: `steps is '3': input should be ...`."""

    path: tuple[str, ...]
    sentence: str


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(Field,))
def settings(cls: type[T]) -> type[T]:
    """Make a class of fields a frozen, keyword-only dataclass that checks its values when it is made.

    A wrong value raises ConfigurationError, which names every wrong field and its value.
    """
    strict = ConfigDict(
        extra="forbid",
        strict=True,
        use_attribute_docstrings=True,
        allow_inf_nan=False,
        hide_input_in_errors=True,  # a traceback shows pydantic's own error too, and the input may hold a password
        json_schema_extra=partial(_describe_inherited, cls),
    )
    checked: Any = dataclass(frozen=True, kw_only=True, config=strict)(cls)
    pydantic_init = checked.__init__

    # Only objects made in Python come through here. Groups nested in JSON are checked together with their parent,
    # so that a mistake in them is named by its whole path.
    @wraps(pydantic_init)
    def init(self: Any, *args: Any, **values: Any) -> None:
        try:
            pydantic_init(self, *args, **values)
        except ValidationError as error:
            sentences = "; ".join(mistake.sentence for mistake in find_mistakes(checked, error))
            raise ConfigurationError(f"{cls.__name__}: {sentences}") from error

    checked.__init__ = init
    return checked


def to_json(values: Any) -> dict[str, Any]:
    """The fields of a settings object, nested ones too, as JSON can hold them."""
    return TypeAdapter(type(values)).dump_python(values, mode="json")


def from_json(cls: type[T], values: Mapping[str, Any], *, source: str) -> T:
    """Settings of a class from JSON, TOML or YAML values: lists become tuples, strings become paths and enums.

    Raises:
        ConfigurationError: names `source`, where the values were read, and each wrong field and its value.
    """
    return from_layers(cls, [Layer(source, values)])


def override(values: T, changes: Mapping[str, Any], *, source: str) -> T:
    """The settings with `changes`, which are nested like the settings themselves. Raises as `from_json`."""
    return from_layers(type(values), [Layer(type(values).__name__, to_json(values)), Layer(source, changes)])


def from_layers(cls: type[T], layers: Sequence[Layer]) -> T:
    """Settings of a class from several sources; if two of them set a field, the later one counts.

    Raises:
        ConfigurationError: names every wrong field, its value, and the layer that it comes from.
    """
    try:
        # `default`: TOML and YAML know dates. As text, a date is refused by the field that holds it.
        return TypeAdapter(cls).validate_json(json.dumps(merged(layers), default=str))
    except ValidationError as error:
        mistakes = find_mistakes(cls, error)
        sentences = (f"{_who_wrote(layers, mistake.path)}: {mistake.sentence}" for mistake in mistakes)
        raise ConfigurationError("; ".join(sentences)) from error


def merged(layers: Sequence[Layer]) -> dict[str, Any]:
    """The values of all layers, group by group, the later ones over the earlier ones."""
    values: dict[str, Any] = {}
    for layer in layers:
        values = _merged(values, layer.values)
    return values


def origin(layers: Sequence[Layer], path: Sequence[str]) -> str | None:
    """The source of the last layer that sets the field or group at `path`; None if none does."""
    return next((layer.source for layer in reversed(layers) if _holds(layer.values, path)), None)


def find_mistakes(cls: type, error: ValidationError) -> list[Mistake]:
    """The mistakes in values for a settings class; a field of several possible types is named once."""
    sentences: dict[tuple[str, ...], str] = {}
    for details in error.errors(include_url=False):
        path, sentence = _mistake(cls, details)
        known = sentences.get(path)
        # "z is 3: input should be a string" and "z is 3: input should be 'auto'" become one sentence.
        more = sentence.rpartition("input should be ")[2]
        sentences[path] = f"{known} or {more}" if known else sentence
    return [Mistake(path, sentence) for path, sentence in sentences.items()]


def _describe_inherited(cls: type, schema: dict[str, Any]) -> None:
    """Add what pydantic leaves out: it reads the docstrings of a class's own fields only."""
    for base in cls.__bases__:
        for name, field in getattr(base, "__pydantic_fields__", {}).items():
            schema["properties"][name].setdefault("description", field.description)


def _mistake(cls: type, details: Any) -> Mistake:
    kind, location = details["type"], details["loc"]
    if kind == "unexpected_keyword_argument":
        path, groups = _resolve(cls, location[:-1])
        path = (*path, str(location[-1]))
        written = f"{'.'.join(path)} = {_shown(details['input'])}"
        return Mistake(path, f"{written} is unknown; {_near_names(path[-1], groups)}")
    path, groups = _resolve(cls, location)
    name = ".".join(path)
    if kind.startswith("missing"):
        return Mistake(path, f"{name} is missing")
    if kind == "union_tag_invalid":
        context = details["ctx"]
        choice = f"{name}.{context['discriminator'].strip(chr(39))}"
        return Mistake(
            path, f"{choice} is {context['tag']!r}: input should be one of {context['expected_tags']}"
        )
    is_rule = kind == "value_error"
    message = str(details["ctx"]["error"]) if is_rule else f"{details['msg'][0].lower()}{details['msg'][1:]}"
    if is_rule and groups:  # from a __post_init__: it is about several fields, and names them
        return Mistake(path, f"{name}: {message}" if name else message)
    return Mistake(path, f"{name} is {_shown(details['input'])}: {message}")


def _shown(value: Any) -> str:
    """A value for a message: in a few words, and without passwords."""
    return shortened(without_logins_inside(value))


def _resolve(cls: type, location: Sequence[str | int]) -> tuple[tuple[str, ...], list[Any]]:
    """The names of the fields on the way to a location, and the settings classes that can stand there.

    Pydantic's locations also hold what nobody has written: the chosen member of a union, and `[key]`.
    """
    path: list[str] = []
    types: list[Any] = [cls]
    for step in location:
        groups = [each for each in types if is_dataclass(each)]
        annotations = [hints[step] for each in groups if step in (hints := get_type_hints(each))]
        if annotations:
            path.append(str(step))
            types = [member for annotation in annotations for member in _members(annotation)]
        elif chosen := [each for each in groups if getattr(each, "kind", None) == step]:
            types = chosen
        elif step != "[key]" and any(get_origin(each) in (tuple, list, dict, Mapping) for each in types):
            path.append(str(step))
            types = []
    return tuple(path), [each for each in types if is_dataclass(each)]


def _members(annotation: Any) -> Iterator[Any]:
    """The types that a field may have."""
    yield annotation
    for member in get_args(annotation):
        yield from _members(member)


def _near_names(name: str, groups: Sequence[Any]) -> str:
    known = sorted({field.name for group in groups for field in fields(group)})
    near = get_close_matches(name, known)
    if near:
        return f"did you mean {' or '.join(near)}?"
    return (
        f"known are {', '.join(known)}"
        if len(known) <= _MOST_NAMES
        else "`bolid settings --describe` lists the known ones"
    )


def _merged(values: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(values)
    for name, change in changes.items():
        known = values.get(name)
        if isinstance(change, Mapping) and isinstance(known, Mapping) and _are_of_one_kind(known, change):
            result[name] = _merged(known, change)
        else:
            result[name] = change
    return result


def _are_of_one_kind(known: Mapping[str, Any], change: Mapping[str, Any]) -> bool:
    """True if a change is of the same `kind` as the existing group; a group of another kind replaces it."""
    return "kind" not in change or change["kind"] == known.get("kind")


def _who_wrote(layers: Sequence[Layer], path: Sequence[str]) -> str:
    """The source of a field; for a missing field, the source of the group that lacks it."""
    parents = (path[:depth] for depth in range(len(path), 0, -1))
    return next((source for each in parents if (source := origin(layers, each))), layers[-1].source)


def _holds(values: Any, path: Sequence[str]) -> bool:
    for name in path:
        if not isinstance(values, Mapping) or name not in values:
            return False
        values = values[name]
    return True
