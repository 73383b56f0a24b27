"""People drawn from prompts that training never saw, and the judge's scores of them.

Shape suffixes: N pictures, D body parameters.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import torch
from dataset import open_data
from judge import Judge
from numpy.typing import NDArray
from people import People
from PIL import Image
from training_job import TrainingJob, networks, pose_weights
from variants import IP_ADAPTER, WORDS

from bodyworld.render.identity import RANGES
from bolid_pipeline.evaluation.clip_scores import clip_t
from bolid_pipeline.evaluation.drawn_people import DrawnPicture
from bolid_pipeline.models.base import load_base_model
from bolid_pipeline.models.pipeline import AnyBoLIDPipeline, load_pipeline, pipeline_around
from bolid_pipeline.training.body_proportions import BodyProportions
from bolid_pipeline.training.losses.proportions import limb_lengths, proportion_loss
from bolid_pipeline.training.pose_network import open_pose_network

_FULL, _KNEE = "a full-length photo of a {who}", "a knee-length photo of a {who}"
_HALF = "a half-length photo of a {who}"
PROMPTS = (
    f"{_FULL}, facing the camera, standing, wearing a white t-shirt and blue trousers, in a studio",
    f"{_FULL}, facing the camera, arms raised, wearing a green tank top and grey trousers, in the snow",
    f"{_FULL}, facing left, walking, wearing a blue jacket and brown trousers, in a city street",
    f"{_KNEE}, facing the camera, hands on hips, wearing a red shirt and black shorts, on a beach",
    f"{_KNEE}, facing the camera, waving, wearing a yellow t-shirt and white shorts, in a forest",
    f"{_KNEE}, facing right, standing, wearing a purple shirt and black trousers, in a living room",
    f"{_HALF}, facing the camera, standing, wearing a grey t-shirt, in front of a brick wall",
    f"{_HALF}, facing the camera, hands on hips, wearing a green shirt, in a studio",
)
"""Scenes without a word about the body; no training caption is like them, because those always speak of hair."""

HEIGHT_PX, WIDTH_PX = 80, 48
_NUM_STEPS, _GUIDANCE = 20, 4.0
_GEOMETRY = [
    index for index, name in enumerate(RANGES) if name.endswith("_fraction") or name in ("height_m", "build")
]


@dataclass(frozen=True)
class Drawn:
    """Pictures of each person, (H, W, 3) uint8: one per prompt and noise, all prompts of one noise after the other."""

    people: Sequence[str]
    pictures: Mapping[str, Sequence[NDArray[np.uint8]]]

    def by_prompt(self) -> Iterator[tuple[Sequence[str], Sequence[NDArray[np.uint8]]]]:
        """Everybody, and their pictures of one prompt and noise."""
        for pictures in zip(*(self.pictures[person] for person in self.people), strict=True):
            yield self.people, pictures


@dataclass(frozen=True)
class World:
    """The people who are drawn, their judge, and their photos.

    `words` describe each person as a caption can: "tall slim woman with long black hair".
    """

    people: People
    words: Mapping[str, str]
    judge: Judge
    data: Path
    train_rows: list[int]
    heldout_rows: list[int]

    def sexes(self) -> dict[str, str]:
        """Woman or man: all that the prompts say of a person."""
        return {person: "woman" if "woman" in words else "man" for person, words in self.words.items()}

    def photos(self, rows: list[int]) -> dict[str, list[Any]]:
        """The pictures of each person among these rows."""
        photos: dict[str, list[Any]] = {person: [] for person in self.people.bodies}
        for row in rows:
            photos[self.people.pictures[row].person].append(self.people.pictures[row].pixels_HW3)
        return photos


def draw(
    pipe: AnyBoLIDPipeline,
    who_of: Mapping[str, str],
    condition_of: Callable[[str], dict[str, Any]] = lambda _: {},
    *,
    num_noises: int,
) -> Drawn:
    """Everybody in every prompt from every noise, the same noises for everybody.

    Args:
        pipe: the base model, with a checkpoint loaded where there are conditions.
        who_of: name of each person in the prompts.
        condition_of: further arguments of the pipeline for a person: a name of its body bank, or a photo.
        num_noises: number of noises that each prompt is drawn from.
    """
    pipe.set_progress_bar_config(disable=True)
    shape = (len(PROMPTS), pipe.unet.config.in_channels, HEIGHT_PX // 4, WIDTH_PX // 4)
    pictures: dict[str, list[NDArray[np.uint8]]] = {person: [] for person in who_of}
    for seed in range(num_noises):
        noise = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
        for person, who in who_of.items():
            drawn = pipe(
                [prompt.format(who=who) for prompt in PROMPTS],
                **condition_of(person),
                height=HEIGHT_PX,
                width=WIDTH_PX,
                num_inference_steps=_NUM_STEPS,
                guidance_scale=_GUIDANCE,
                latents=noise.clone(),
                output_type="np",
            ).images
            pictures[person] += list(np.rint(255 * drawn).astype(np.uint8))
    return Drawn(list(who_of), pictures)


def retrieval_top1(judge: Judge, drawn: Drawn) -> float:
    """Share of pictures in which the judge recognises the person that was asked for, among all people."""
    found = [np.array(judge.who(drawn.pictures[person])) == person for person in drawn.people]
    return float(np.concatenate(found).mean())


def body_error(judge: Judge, drawn: Drawn, people: People) -> float:
    """Mean distance of the read proportions, height and build from the true ones, as a share of their whole range."""
    errors = [
        np.abs(judge.read(drawn.pictures[person]) - people.bodies[person])[:, _GEOMETRY]
        for person in drawn.people
    ]
    return float(np.concatenate(errors).mean())


@torch.no_grad()
def proportions_seen(
    groups: Iterable[tuple[Sequence[str], Sequence[NDArray[np.uint8]]]], world: World
) -> dict[str, Any]:
    """Scores of the pose network of L_id on upright pictures.

    Args:
        groups: people, and a picture of each.
        world: its training photos give everybody's proportions.

    Returns:
        `proportion_terms`, L_id's proportion term of each group; `proportion_error`, the root of their mean: about the
        relative error of a limb's length, sizes aside; `person_seen`, how sure the network is that there is a person.
    """
    network = open_pose_network(pose_weights(), 192)
    proportions = BodyProportions(open_data(world.data)[0], world.train_rows)
    terms: list[float] = []
    confidences: list[float] = []
    for people, pictures in groups:
        found = network(torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2) / 255)
        lengths, sure = limb_lengths(found.keypoints_BK2, found.confidence_BK, WIDTH_PX / HEIGHT_PX)
        wanted, weights = proportions.gather(people)
        terms.append(proportion_loss(lengths, wanted, sure * weights * found.person_B[:, None]).item())
        confidences.append(found.person_B.mean().item())
    return {
        "proportion_error": float(np.sqrt(np.mean(terms))),
        "person_seen": float(np.mean(confidences)),
        "proportion_terms": terms,
    }


def measure(
    world: World, job: TrainingJob, base_model: Path, num_noises: int
) -> tuple[Drawn, dict[str, Any]]:
    """Draw everybody with a job's checkpoint, and its line of the table."""
    torch.set_num_threads(1)
    pipe = load_pipeline(job.run_dir, base_model)
    first_photos = {
        world.people.pictures[row].person: Image.fromarray(world.people.pictures[row].pixels_HW3)
        for row in world.train_rows[::-1]
    }

    def condition_of(person: str) -> dict[str, Any]:
        return {"ref_image": first_photos[person]} if job.name == IP_ADAPTER else {"identity": person}

    drawn = draw(pipe, world.sexes(), condition_of, num_noises=num_noises)
    return drawn, {"variant": job.name} | _numbers(world, drawn)


def measure_words(world: World, base_model: Path, num_noises: int) -> tuple[Drawn, dict[str, Any]]:
    """Draw everybody by the frozen base model, with hair, height and build in the prompt: the most that text can do."""
    pipe = pipeline_around(load_base_model(base_model))
    drawn = draw(pipe, world.words, num_noises=num_noises)
    return drawn, {"variant": WORDS} | _numbers(world, drawn)


def _numbers(world: World, drawn: Drawn) -> dict[str, Any]:
    samples = [
        DrawnPicture(prompt.format(who="person"), person, picture)
        for person in drawn.people
        for prompt, picture in zip(cycle(PROMPTS), drawn.pictures[person], strict=False)
    ]
    return {
        "top1": retrieval_top1(world.judge, drawn),
        "body_error": body_error(world.judge, drawn, world.people),
        "clip_t": clip_t(samples, networks().clip or Path()),
        **proportions_seen(drawn.by_prompt(), world),
    }
