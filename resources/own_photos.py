"""The settings for a folder of your own photos, where people have tens of photos and not hundreds.

They are written into a file beside the data, so that every later command works on the same data by BOLID_SETTINGS, and
so that you can change them.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bolid_pipeline.storage.atomic import write_atomically
from bolid_pipeline.storage.location import locate
from resources.deployments import Deployment
from resources.environment import VARIABLES_OF_THIS_PROCESS, current_deployment
from resources.settings_file import read_settings_file, to_toml
from resources.variables import BolidSettings

DATA_DIR = "own_data"
"""Folder of the data unless BOLID_DATA_DIR names another: the demo's people must not be among them."""

MIN_GOOD_PHOTOS = 5
_MIN_SIDE_PX = 512
_NUM_STEPS = 4000
_NUM_WARMUP_STEPS = 200
"""For published weights: the presets' steps are those of hundreds of people."""


def environment_for(
    folder: Path, num_steps: int | None, environment: Mapping[str, str] = VARIABLES_OF_THIS_PROCESS
) -> dict[str, str]:
    """The environment in which commands work on a folder of photos.

    Without BOLID_SETTINGS, the settings file `<data folder>/<deployment>.toml` is written, or read if it exists. A
    settings file of your own stays as it is.

    Args:
        folder: the photos, a folder per person.
        num_steps: training steps, if not those of the settings.
        environment: the variables that are set.

    Raises:
        ConfigurationError: a variable or setting is wrong.
    """
    current = current_deployment(environment)
    address = folder.absolute().as_uri()
    variables = BolidSettings.read(environment)
    if variables.settings is not None:
        training = json.loads(environment.get("BOLID_TRAINING") or "{}")
        if num_steps:
            training["steps"] = num_steps
        return {**environment, "BOLID_SOURCE_URL": address, "BOLID_TRAINING": json.dumps(training)}
    data_dir = locate(variables.data_dir or DATA_DIR)
    home = data_dir if isinstance(data_dir, Path) else current.local_root
    path = home.absolute() / f"{current.name}.toml"
    written = read_settings_file(path) if path.is_file() else {}
    values = dict(written) or _for_few_photos(current)
    values |= {**_places(variables, data_dir), "source_url": address}
    if num_steps:
        values["training"] = {**values.get("training", {}), "steps": num_steps}
    if values != written:
        write_atomically(path, to_toml(values).encode())
    return {**environment, "BOLID_SETTINGS": str(path), "BOLID_SOURCE_URL": "", "BOLID_DATA_DIR": ""}


def _for_few_photos(preset: Deployment) -> dict[str, Any]:
    values: dict[str, Any] = {
        "deployment": preset.name,
        "crawl": {"min_photos": 1},
        "curation": {
            "min_photos_per_identity": MIN_GOOD_PHOTOS,
            # Not smaller than what the model draws, and not larger than the thesis asks for.
            "min_side_px": min(preset.curation.min_side_px, max(_MIN_SIDE_PX, preset.latents.resolution_px)),
        },
        "training": {},
    }
    if preset.weight_repositories:
        values["training"] = {"steps": _NUM_STEPS, "optimizer": {"warmup_steps": _NUM_WARMUP_STEPS}}
    return values


def _places(variables: BolidSettings, data_dir: Any) -> dict[str, str]:
    """Where data and weights are, so that later commands need no other variable."""
    places = {"data_dir": str(data_dir.absolute() if isinstance(data_dir, Path) else data_dir)}
    for name in ("local_dir", "weight_pins", "weights_dir"):
        if (place := getattr(variables, name)) is not None:
            places[name] = str(Path(place).absolute())
    return places
