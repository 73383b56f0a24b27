"""A picture of each person of a checkpoint's body bank, in a folder of its own."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bolid_pipeline.cli.picture_folder import slug
from bolid_pipeline.evaluation.drawn_people import who_is
from bolid_pipeline.models.body_bank import BodyBank
from bolid_pipeline.storage.atomic import write_atomically
from bolid_pipeline.training.checkpoint import CONFIG_FILE
from resources.deployments import Deployment
from resources.model_hub import model_hub_of
from resources.table_store import DataStore


@dataclass(frozen=True, kw_only=True)
class Portraits:
    """People who have a picture in the folder."""

    prompts: dict[str, str]
    """Person -> the prompt of the picture."""
    num_new: int
    """Pictures drawn in this run."""


def draw_people(deployment: Deployment, store: DataStore, folder: Path, max_people: int) -> Portraits:
    """Draw the first prompt of the report for each person; pictures that are newer than the checkpoint stay.

    Raises:
        WeightsMissing: there is no checkpoint, or no base model.
    """
    checkpoint, config = store.checkpoints / deployment.name, deployment.evaluation
    people = BodyBank.load(checkpoint).identities[:max_people]
    prompts = {person: config.prompts[0].format(who=who) for person, who in _words_for(store, people).items()}
    paths = {person: folder / f"{n:02d}-{slug(person)}.png" for n, person in enumerate(people, start=1)}
    made_at = (checkpoint / CONFIG_FILE).stat().st_mtime
    if folder.is_dir() and any(path.stat().st_mtime < made_at for path in folder.iterdir()):
        shutil.rmtree(folder)  # of an older checkpoint, which may have had other people
    missing = [person for person in people if not paths[person].is_file()]
    if missing:
        _draw({person: (prompts[person], paths[person]) for person in missing}, deployment, checkpoint)
    return Portraits(prompts=prompts, num_new=len(missing))


def _draw(requests: Mapping[str, tuple[str, Path]], deployment: Deployment, checkpoint: Path) -> None:
    """Draw each person by a prompt into a file."""
    import torch

    from bolid_pipeline.models.pipeline import load_pipeline
    from bolid_pipeline.models.provenance import generated_png

    config = deployment.evaluation
    pipe = load_pipeline(checkpoint, model_hub_of(deployment).folder("base_model"), device="auto")
    pipe.set_progress_bar_config(disable=True)
    for person, (prompt, path) in requests.items():
        image = pipe(
            prompt,
            identity=person,
            height=config.height_px,
            width=config.width_px,
            num_inference_steps=config.num_inference_steps,
            guidance_scale=config.guidance_scale,
            generator=torch.Generator("cpu").manual_seed(config.seed),
        ).images[0]
        write_atomically(path, generated_png(image, prompt=prompt, identity=person))


def _words_for(store: DataStore, people: tuple[str, ...]) -> dict[str, str]:
    """Person -> woman, man or person, as the captions say."""
    captions = store.captions()
    of_person: dict[str, list[str]] = {person: [] for person in people}
    for row in store.kept_photos().select(["photo_id", "identity"]).to_pylist():
        if row["identity"] in of_person and row["photo_id"] in captions:
            of_person[row["identity"]].append(captions[row["photo_id"]])
    return {person: who_is(texts) for person, texts in of_person.items()}
