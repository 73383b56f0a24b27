"""Pins: the commit of each repository, and the sha256 of its files, that a model must have."""

import json
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from bolid_pipeline.errors import ConfigurationError
from bolid_pipeline.pretrained.published import PublishedModel
from bolid_pipeline.storage.atomic import write_atomically


class Pin(BaseModel):
    """The version of a repository."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    revision: str | None = Field(default=None, pattern="^[0-9a-f]{40}$")
    """The commit on the hub; None for files that came from elsewhere."""
    sha256: dict[str, str] = Field(default_factory=dict)
    """Path in the repository -> 64 hex digits."""


Pins = dict[str, Pin]
"""Repository (`owner/name`, or a folder of this machine) -> pin."""
_PINS = TypeAdapter(Pins)


def read_pins(path: Path) -> Pins:
    """The pins of a JSON file; none if there is no file. Raises ConfigurationError."""
    try:
        return _PINS.validate_json(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValidationError) as error:
        raise ConfigurationError(
            f"{path} holds no pins: {_first_mistake(error)}; write it anew by `bolid models pin`"
        ) from error


def write_pins(path: Path, pins: Pins) -> None:
    """Write pins as JSON that `read_pins` reads. Raises StorageFull."""
    values = {repository: pins[repository].model_dump() for repository in sorted(pins)}
    write_atomically(path, (json.dumps(values, indent=2, sort_keys=True) + "\n").encode())


def pin_of(model: PublishedModel, pins: Mapping[str, Pin]) -> Pin:
    """What is known of a model's version: by the pins, else by the registry; hashes of other revisions do not count."""
    pinned = pins.get(model.repository, Pin())
    is_same = pinned.revision in (None, model.revision)
    return Pin(
        revision=pinned.revision or model.revision,
        sha256={**(model.sha256 if is_same else {}), **pinned.sha256},
    )


def with_pin(pins: Mapping[str, Pin], model: PublishedModel, pin: Pin) -> Pins:
    """The pins with that of a model; hashes of the repository's other files stay if they are of the same commit."""
    known = pins.get(model.repository, Pin())
    revision = pin.revision or known.revision
    others = known.sha256 if revision == known.revision else {}
    return {**pins, model.repository: Pin(revision=revision, sha256={**others, **pin.sha256})}


def _first_mistake(error: OSError | ValidationError) -> str:
    if isinstance(error, OSError):
        return str(error.strerror)
    first = error.errors(include_url=False)[0]
    return f"{'.'.join(map(str, first['loc'])) or 'the file'}: {first['msg'][0].lower()}{first['msg'][1:]}"
