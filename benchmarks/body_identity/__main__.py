"""Does a name alone draw the right body? BoLID against the plain IP-Adapter branch, and what each term adds.

    uv run python benchmarks/body_identity

Renders people of bodyworld, trains a judge that no training sees, trains every variant for the same number of steps
(two at once, on one thread each) and draws everybody from prompts that training never saw. Stopped and started again,
it goes on. The result: table.md, results.json, samples.png in the output folder.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from dataset import open_data, prepare_data
from judge import Judge, reconstructed, render_for_judge, train_judge
from measure import (
    HEIGHT_PX,
    PROMPTS,
    WIDTH_PX,
    Drawn,
    World,
    body_error,
    measure,
    measure_words,
    proportions_seen,
    retrieval_top1,
)
from people import People, person_words, render_people
from training_job import TrainingJob, run
from variants import IP_ADAPTER, L_DIFF, L_ID, first_config, second_configs

from bodyworld.render.identity import BodyIdentity
from bodyworld.weights import weights_folder
from bodyworld.world.build import WorldConfig, draw_identities
from bolid_pipeline.images.drawing import contact_sheet, to_png
from bolid_pipeline.latents.config import LatentModels
from bolid_pipeline.models.provenance import provenance_text
from bolid_pipeline.storage.atomic import write_atomically
from bolid_pipeline.training.batch_plan import split_rows

PEOPLE_SEED = 40_000
_AGAINST = "its square against L_diff"

_logger = logging.getLogger("body_identity")


@click.command()
@click.option("--out", type=Path, default=Path("data/body_identity"), show_default=True)
@click.option("--num-people", default=16, show_default=True)
@click.option("--pictures-each", default=48, show_default=True)
@click.option("--seed", default=0, show_default=True, help="Of weights and batches.")
@click.option(
    "--num-noises", default=4, show_default=True, help="That everybody is drawn from in every prompt."
)
@click.option(
    "--first-steps", default=1500, show_default=True, help="With L_diff alone, once for all variants."
)
@click.option("--second-steps", default=200, show_default=True, help="With the terms of each variant.")
@click.option(
    "--judge-steps", default=2500, show_default=True, help="Of its reader; its recogniser gets half as many."
)
@click.option("--workers", default=2, show_default=True, help="Trainings at once.")
def main(
    *,
    out: Path,
    num_people: int,
    pictures_each: int,
    seed: int,
    num_noises: int,
    first_steps: int,
    second_steps: int,
    judge_steps: int,
    workers: int,
) -> None:
    """Run the experiment; results that are already in the output folder are not computed again."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(1)  # on a busy machine, two threads of a process wait for each other
    identities = {
        slug: identity
        for slug, _, identity in draw_identities(WorldConfig(seed=PEOPLE_SEED, num_identities=num_people))
    }
    people = render_people(
        out / "people.npz", identities, seed=PEOPLE_SEED, pictures_each=pictures_each, num_workers=workers
    )
    render_for_judge(out, identities, workers)
    runs, base_model, data = out / f"runs_seed{seed}", weights_folder("base_model"), out / "latents.parquet"
    prepare_data(data, people.pictures, LatentModels.of_base_model(base_model))
    firsts = [
        TrainingJob(
            name=name,
            config=first_config(name, steps=first_steps, seed=seed),
            data=data,
            run_dir=runs / f"first, {name}",
        )
        for name in (IP_ADAPTER, L_DIFF)
    ]
    seconds = [
        TrainingJob(
            name=name,
            config=config,
            data=data,
            run_dir=runs / name,
            start_from=runs / f"first, {name if name == IP_ADAPTER else L_DIFF}",
        )
        for name, config in second_configs(steps=second_steps, seed=seed).items()
    ]
    drawn_of: dict[str, Drawn] = {}
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        list(pool.map(run, firsts))
        judging = pool.submit(train_judge, out, identities, base_model, steps=judge_steps)
        list(pool.map(run, seconds))
        world = _world(people, identities, judging.result(), data)
        results = [
            _ceiling(world),
            _of_somebody_else(world),
            _ceiling_of_decoder(world, base_model),
            measure_words(world, base_model, num_noises)[1],
        ]
        of_job = partial(measure, world, base_model=base_model, num_noises=num_noises)
        for job, (drawn, result) in zip(seconds, pool.map(of_job, seconds), strict=True):
            drawn_of[job.name] = drawn
            results.append(result)
            _logger.info("%s", results[-1])
    _write(out, results, drawn_of, world)


def _world(people: People, identities: Mapping[str, BodyIdentity], judge: Judge, data: Path) -> World:
    latents, captions = open_data(data)
    told = {prompt.format(who=who) for prompt in PROMPTS for who in ("woman", "man")}
    assert not told & set(captions.values())  # noqa: S101 - the prompts are unseen, or the result means nothing
    train_rows, heldout_rows = split_rows(latents.photo_ids, latents.identities, 0.1)
    words = {slug: person_words(identity) for slug, identity in identities.items()}
    return World(people, words, judge, data, train_rows, heldout_rows)


def _ceiling(world: World) -> dict[str, Any]:
    """Scores of the judge and of the pose network on real photos that no training saw."""
    heldout = world.photos(world.heldout_rows)
    drawn = Drawn(list(heldout), heldout)
    groups = [([person] * len(photos), photos) for person, photos in _upright(heldout).items()]
    return {
        "variant": "real photos, held out",
        "top1": retrieval_top1(world.judge, drawn),
        "body_error": body_error(world.judge, drawn, world.people),
        **proportions_seen(groups, world),
    }


def _of_somebody_else(world: World) -> dict[str, Any]:
    """The same photos against everybody else's proportions: shows how much the error depends on the person."""
    upright = _upright(world.photos(world.heldout_rows))
    groups = [
        ([other] * len(photos), photos)
        for person, photos in upright.items()
        for other in world.people.bodies
        if other != person
    ]
    return {"variant": "real photos, others' proportions", **proportions_seen(groups, world)}


def _upright(photos_of: Mapping[str, Sequence[Any]]) -> dict[str, list[Any]]:
    """The pictures as tall and wide as the drawn ones, of the people who have some."""
    upright = {
        person: [photo for photo in photos if photo.shape[:2] == (HEIGHT_PX, WIDTH_PX)]
        for person, photos in photos_of.items()
    }
    return {person: photos for person, photos in upright.items() if photos}


def _ceiling_of_decoder(world: World, base_model: Path) -> dict[str, Any]:
    """The same photos through the autoencoder: an upper bound for drawn pictures."""
    photos = world.photos(world.heldout_rows)
    decoded = {person: reconstructed(of_person, base_model) for person, of_person in photos.items()}
    drawn = Drawn(list(decoded), decoded)
    return {
        "variant": "the same through the autoencoder",
        "top1": retrieval_top1(world.judge, drawn),
        "body_error": body_error(world.judge, drawn, world.people),
    }


def _write(out: Path, results: list[dict[str, Any]], drawn_of: dict[str, Drawn], world: World) -> None:
    columns = ("variant", "top1", "body_error", "proportion_error", _AGAINST, "person_seen", "clip_t")
    results = _against_l_diff(results)
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    lines += ["| " + " | ".join(_cell(result.get(name)) for name in columns) + " |" for result in results]
    chance = f"\nChance of top1: {1 / len(world.people.bodies):.3f}\n"
    write_atomically(out / "table.md", ("\n".join(lines) + "\n" + chance).encode())
    write_atomically(out / "results.json", json.dumps(results, indent=2).encode())
    sheet = to_png(_sheet(drawn_of, world), provenance_text(prompt=" | ".join(PROMPTS)))
    write_atomically(out / "samples.png", sheet)
    click.echo((out / "table.md").read_text())


def _sheet(drawn_of: Mapping[str, Drawn], world: World) -> np.ndarray:
    """A sheet of eight people: three photos each, and the same three prompts without and with L_id."""
    photos = world.photos(world.train_rows)
    images: list[np.ndarray] = []
    labels: list[str] = []
    for person in list(world.people.bodies)[:8]:
        shown = {person: photos[person], **{name: drawn_of[name].pictures[person] for name in (L_DIFF, L_ID)}}
        for name, pictures in shown.items():
            images += list(pictures[:3])
            labels += [name] * 3
    return contact_sheet(images, columns=9, cell_px=112, labels=labels)


def _against_l_diff(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The results with the change of the proportion term against L_diff's, and its standard error.

    Prompts and noises are the same for all variants, so the changes are of pairs.
    """
    of_l_diff = np.array(next(each["proportion_terms"] for each in results if each["variant"] == L_DIFF))
    compared: list[dict[str, Any]] = []
    for result in results:
        terms = np.array(result.get("proportion_terms", []))
        if terms.shape == of_l_diff.shape and result["variant"] != L_DIFF:
            changes = terms - of_l_diff
            error = changes.std(ddof=1) / np.sqrt(len(changes))
            result = result | {_AGAINST: f"{changes.mean():+.3f} ± {error:.3f}"}  # noqa: PLW2901 - the same, and one more
        compared.append(result)
    return compared


def _cell(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value if value is not None else "")


if __name__ == "__main__":
    main()
