"""Train the small CLIP on captions and pictures of bodyworld.

    python -m bodyworld.pretrain.clip --thumbnails data/pretrain/thumbnails

The text tower learns faster than the vision tower. `--frozen-text FOLDER` goes on with the CLIP of that folder, its
text tower frozen (a base model may be trained on it meanwhile).

Besides the contrastive loss of CLIP (https://arxiv.org/abs/2103.00020) there are small ones, through linear layers that
are thrown away afterwards: one layer, the same for both towers, reads the slots of the caption off an embedding; one
reads the identity parameters off an image embedding, which is what the reference branch sees of a person; one reads the
keypoints off the vision tower. A few minutes of training with the contrastive loss alone tell backgrounds apart and
little else.

Shape suffixes: B batch, C channel, H height, W width, T tokens, E embedding, P phrases, D identity parameters.
"""

import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPTokenizer

from bodyworld.pretrain.clip_quality import (
    embed_images,
    embed_phrases,
    embed_texts,
    retrieval_top1,
    slot_accuracy,
    slot_labels,
)
from bodyworld.pretrain.prompts import mirrored, spoken_caption
from bodyworld.pretrain.thumbnails import Thumbnails, open_thumbnails
from bodyworld.pretrain.timed_training import TimedTraining, half_precision
from bodyworld.pretrain.tokenizer import MAX_TOKENS, save_tokenizer, train_tokenizer
from bodyworld.world.captions import CAMERA_PHRASES, SLOTS, compose_caption
from bolid_pipeline.pose.skeleton import FLIP_INDEX

_logger = logging.getLogger(__name__)
IMAGE_SIZE_PX = 64
PROJECTION_DIM = 128
IMAGE_MEAN = IMAGE_STD = (0.5, 0.5, 0.5)
NUM_HELD_OUT = 200
WITH_LEGS = {"camera": [CAMERA_PHRASES["full"], CAMERA_PHRASES["knee"]]}
SLOT_WEIGHT = 1.5
SLOT_SCALE = 20.0
FACING = list(SLOTS).index("facing")
IDENTITY_WEIGHT = 1.0
KEYPOINT_WEIGHT = 3.0


def new_clip(tokenizer: CLIPTokenizer) -> CLIPModel:
    """An untrained CLIP of 3 M parameters; plain attention: its backward pass is faster on CPUs than the fused one."""
    text = {
        "vocab_size": len(tokenizer),
        "hidden_size": 128,
        "intermediate_size": 512,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "max_position_embeddings": MAX_TOKENS,
        "hidden_act": "gelu",
        "projection_dim": PROJECTION_DIM,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    vision = {
        "image_size": IMAGE_SIZE_PX,
        "patch_size": 8,
        "hidden_size": 192,
        "intermediate_size": 768,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "hidden_act": "gelu",
        "projection_dim": PROJECTION_DIM,
    }
    config = CLIPConfig(text_config=text, vision_config=vision, projection_dim=PROJECTION_DIM)
    config._attn_implementation = "eager"  # noqa: SLF001 - the one switch that transformers has for this
    return CLIPModel(config)


def new_image_processor() -> CLIPImageProcessor:
    """Squashes a photo of any shape to the input square: people are tall, and feet and head must both be seen."""
    return CLIPImageProcessor(
        do_resize=True,
        size={"height": IMAGE_SIZE_PX, "width": IMAGE_SIZE_PX},
        do_center_crop=False,
        do_rescale=True,
        do_normalize=True,
        image_mean=list(IMAGE_MEAN),
        image_std=list(IMAGE_STD),
    )


@dataclass(frozen=True)
class Pictures:
    """Squashed pictures of all buckets with what is known of them.

    `pixels_BHW3` (N, 64, 64, 3) uint8; `keypoints_NK3` x and y as fractions of the picture, visibility;
    `identities_ND` float32; `slots` the phrases; `labels_NS` as
    `slot_labels` makes them.
    """

    pixels_BHW3: NDArray[np.uint8]
    keypoints_NK3: NDArray[np.float32]
    identities_ND: NDArray[np.float32]
    slots: list[dict[str, str]]
    labels_NS: NDArray[np.int64]

    def shuffled(self, rng: np.random.Generator) -> "Pictures":
        """The same pictures in another order, so that those of one person are not neighbours."""
        order = rng.permutation(len(self.slots))
        slots = [self.slots[row] for row in order]
        keypoints = self.keypoints_NK3[order]
        return Pictures(
            self.pixels_BHW3[order], keypoints, self.identities_ND[order], slots, self.labels_NS[order]
        )


def squash(parts: list[Thumbnails]) -> Pictures:
    """Bring pictures of every aspect to the input square of the vision tower."""
    size = (IMAGE_SIZE_PX, IMAGE_SIZE_PX)
    slots = [entry for part in parts for entry in part.slots]
    return Pictures(
        np.stack(
            [cv2.resize(p, size, interpolation=cv2.INTER_AREA) for part in parts for p in part.pixels_NHW3]
        ),
        np.concatenate([part.keypoints_NK3 for part in parts]),
        np.concatenate([part.identities_ND for part in parts]),
        slots,
        slot_labels(slots),
    )


class ClipTraining(nn.Module):
    """The CLIP and the two linear layers that hold its embeddings to what is known of the pictures."""

    def __init__(self, model: CLIPModel, tokenizer: CLIPTokenizer, num_identity_parameters: int) -> None:
        super().__init__()
        self.model = model
        self.identity_head = nn.Linear(model.config.projection_dim, num_identity_parameters)
        self.slot_head = nn.Linear(
            model.config.projection_dim, sum(len(phrases) for phrases in SLOTS.values())
        )
        self.keypoint_head = nn.Linear(model.config.vision_config.hidden_size, 3 * len(FLIP_INDEX))
        self._tokenizer = tokenizer

    def losses(self, pictures: Pictures, batch_size: int, rng: np.random.Generator) -> dict[str, Tensor]:
        """Named losses of a fresh batch."""
        rows = rng.choice(len(pictures.slots), batch_size, replace=False)
        is_mirrored = rng.random(batch_size) < 0.5
        slots = [
            mirrored(pictures.slots[i]) if flip else pictures.slots[i]
            for i, flip in zip(rows, is_mirrored, strict=True)
        ]
        matrices = draw_crops(is_mirrored, rng)
        images = augment(pictures.pixels_BHW3[rows], matrices, rng)
        captions = [spoken_caption(entry, rng, full_fraction=0.75) for entry in slots]
        with half_precision():
            pooled = self.model.vision_model(pixel_values=images).pooler_output
            embeds = self.model.visual_projection(pooled).float()
            texts = embed_texts(self.model, self._tokenizer, captions)
        units = F.normalize(embeds, dim=-1)
        scale = self.model.logit_scale.exp().clamp(max=100.0)
        logits = scale * units @ texts.T
        targets = torch.arange(batch_size)
        labels = pictures.labels_NS[rows].copy()
        labels[:, FACING] = [SLOTS["facing"].index(entry["facing"]) for entry in slots]
        says_all = [caption == compose_caption(entry) for caption, entry in zip(captions, slots, strict=True)]
        guesses = self.identity_head(embeds)
        return {
            "contrastive": (F.cross_entropy(logits, targets) + F.cross_entropy(logits.T, targets)) / 2,
            "image_slots": SLOT_WEIGHT * self._slot_loss(units, labels),
            "text_slots": SLOT_WEIGHT * self._slot_loss(texts[says_all], labels[says_all]),
            "keypoints": self._keypoint_loss(
                pooled.float(), crop_keypoints(pictures.keypoints_NK3[rows], matrices)
            ),
            "identity": IDENTITY_WEIGHT * F.mse_loss(guesses, torch.from_numpy(pictures.identities_ND[rows])),
        }

    def _keypoint_loss(self, pooled_BE: Tensor, keypoints_BK3: NDArray[np.float32]) -> Tensor:
        guesses = self.keypoint_head(pooled_BE).view(len(pooled_BE), -1, 3)
        truth = torch.from_numpy(keypoints_BK3)
        is_visible = truth[..., 2]
        distances = (guesses[..., :2] - truth[..., :2]).pow(2).sum(-1)
        seen = F.binary_cross_entropy_with_logits(guesses[..., 2], is_visible)
        return KEYPOINT_WEIGHT * (distances * is_visible).sum() / is_visible.sum().clamp(min=1.0) + 0.5 * seen

    def _slot_loss(self, units_BE: Tensor, labels_BS: NDArray[np.int64]) -> Tensor:
        logits = self.slot_head(SLOT_SCALE * units_BE).split(
            [len(phrases) for phrases in SLOTS.values()], dim=1
        )
        labels = torch.from_numpy(labels_BS)
        slot_losses = [
            F.cross_entropy(part, labels[:, number], ignore_index=-1) for number, part in enumerate(logits)
        ]
        return torch.stack(slot_losses).mean()


def draw_crops(is_mirrored_B: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.float32]:
    """(B, 2, 3) maps from a crop of 82 to 100 % of each side back to the whole; both run from -1 to 1."""
    scales = rng.uniform(0.82, 1.0, (len(is_mirrored_B), 2))
    matrices = np.zeros((len(is_mirrored_B), 2, 3), np.float32)
    matrices[:, 0, 0] = scales[:, 0] * np.where(is_mirrored_B, -1.0, 1.0)
    matrices[:, 1, 1] = scales[:, 1]
    matrices[:, :, 2] = (1.0 - scales) * rng.uniform(-1.0, 1.0, scales.shape)
    return matrices


def augment(
    pixels_BHW3: NDArray[np.uint8], matrices_B23: NDArray[np.float32], rng: np.random.Generator
) -> Tensor:
    """(B, 3, H, W), normalised: the crops, stretched to full size, in a little other light."""
    images = normalised(pixels_BHW3)
    grid = F.affine_grid(torch.from_numpy(matrices_B23), list(images.shape), align_corners=False)
    images = F.grid_sample(images, grid, padding_mode="border", align_corners=False)
    gains = 1.0 + 0.06 * torch.from_numpy(rng.standard_normal((len(images), 3, 1, 1)).astype(np.float32))
    return ((images + 1.0) * gains - 1.0).clamp_(-1.0, 1.0)


def crop_keypoints(
    keypoints_BK3: NDArray[np.float32], matrices_B23: NDArray[np.float32]
) -> NDArray[np.float32]:
    """(B, K, 3) keypoints of the crops: x and y from -1 to 1, visibility; a mirror swaps left and right."""
    scales = np.stack([matrices_B23[:, 0, 0], matrices_B23[:, 1, 1]], -1)
    points = (keypoints_BK3[..., :2] * 2.0 - 1.0 - matrices_B23[:, None, :, 2]) / scales[:, None]
    is_visible = (keypoints_BK3[..., 2] > 0.5) & (np.abs(points) <= 1.0).all(-1)
    cropped = np.concatenate([points, is_visible[..., None]], -1).astype(np.float32)
    is_mirrored = scales[:, 0] < 0
    cropped[is_mirrored] = cropped[is_mirrored][:, list(FLIP_INDEX)]
    return cropped


def normalised(pixels_BHW3: NDArray[np.uint8]) -> Tensor:
    """(B, 3, H, W) float32 as the image processor makes them of pictures of the right size."""
    images = torch.from_numpy(np.ascontiguousarray(pixels_BHW3)).permute(0, 3, 1, 2).float() / 255.0
    return (images - torch.tensor(IMAGE_MEAN).view(3, 1, 1)) / torch.tensor(IMAGE_STD).view(3, 1, 1)


@torch.no_grad()
def evaluate(
    model: CLIPModel, tokenizer: CLIPTokenizer, pictures: Pictures, rng: np.random.Generator, pool: int = 256
) -> dict[str, Any]:
    """Retrieval among `pool` pictures and captions, and zero-shot accuracy of every slot."""
    parts = np.array_split(pictures.pixels_BHW3, 8)
    units = F.normalize(torch.cat([embed_images(model, normalised(part)) for part in parts]), dim=-1)
    texts = embed_texts(model, tokenizer, [compose_caption(slots) for slots in pictures.slots])
    phrases = embed_phrases(model, tokenizer, pictures.slots, rng)
    accuracy = slot_accuracy(units, phrases, pictures.labels_NS)
    return {"retrieval_pool": pool, **retrieval_top1(units, texts, pool), "slot_accuracy": accuracy}


def caption_form() -> dict[str, Any]:
    """Slots and sentence of bodyworld's captions, in the words of `bolid_pipeline.captioning.slots`."""
    return {
        "slots": SLOTS,
        "unsaid": ["medium-height", "average", "plain"],
        "caption": [
            {"text": "{camera} of a(n) {height} {build} {sex} with {hair}, {facing}, {pose}"},
            {"text": ", wearing a(n) {top_colour} {top_pattern} {top}"},
            {
                "text": " and {bottom_colour} {bottom}",
                "when": WITH_LEGS,
                "unless": {"top": ["dress"], "bottom": ["skirt"]},
            },
            {
                "text": " and a(n) {bottom_colour} skirt",
                "when": WITH_LEGS | {"bottom": ["skirt"]},
                "unless": {"top": ["dress"]},
            },
            {"text": ", {background}"},
        ],
    }


def save_clip(model: CLIPModel, tokenizer: CLIPTokenizer, folder: Path) -> None:
    """Write model (float16), tokenizer, image processor and the slots that the captioner scores."""
    folder.mkdir(parents=True, exist_ok=True)
    half = CLIPModel(model.config)
    half.load_state_dict(model.state_dict())
    half.half().save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"dtype": "float32"}, indent=2) + "\n")
    save_tokenizer(tokenizer, folder)
    new_image_processor().save_pretrained(folder)
    (folder / "slots.json").write_text(json.dumps(caption_form(), indent=1) + "\n")


def _tokenizer(folder: Path, pictures: Pictures) -> CLIPTokenizer:
    """The tokenizer that an interrupted training began with, else a new one."""
    if not folder.exists():
        train_tokenizer(compose_caption(slots) for slots in pictures.slots).save_pretrained(folder)
    return CLIPTokenizer.from_pretrained(folder)


@click.command()
@click.option(
    "--thumbnails", "folder", type=Path, default=Path("data/pretrain/thumbnails"), show_default=True
)
@click.option("--run-dir", type=Path, default=Path("data/pretrain/clip"), show_default=True)
@click.option("--frozen-text", type=Path, default=None, help="CLIP folder to start from, text tower frozen.")
@click.option("--minutes", default=20.0, show_default=True)
@click.option("--batch-size", default=40, show_default=True)
@click.option("--learning-rate", default=1e-3, show_default=True)
@click.option("--seed", default=20_400, show_default=True)
@click.option("--threads", default=2, show_default=True)
def main(
    folder: Path,
    run_dir: Path,
    frozen_text: Path | None,
    minutes: float,
    batch_size: int,
    learning_rate: float,
    seed: int,
    threads: int,
) -> None:
    """Train the CLIP; going on where an interrupted training stopped."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    parts = [part.split(NUM_HELD_OUT) for part in open_thumbnails(folder).values()]
    pictures, held_out = (squash([part[number] for part in parts]) for number in (0, 1))
    held_out = held_out.shuffled(np.random.default_rng(seed))
    if frozen_text is None:
        tokenizer = _tokenizer(run_dir / "tokenizer", pictures)
        model = new_clip(tokenizer)
    else:
        tokenizer = CLIPTokenizer.from_pretrained(frozen_text)
        model = CLIPModel.from_pretrained(
            frozen_text, dtype=torch.float32, attn_implementation="eager"
        ).train()
        model.text_model.requires_grad_(False)
        model.text_projection.requires_grad_(False)
    training = ClipTraining(model, tokenizer, pictures.identities_ND.shape[1])

    def on_checkpoint(step: int) -> None:
        measured = evaluate(training.model, tokenizer, held_out, np.random.default_rng(seed))
        save_clip(training.model, tokenizer, run_dir / "clip")
        (run_dir / "metrics.json").write_text(
            json.dumps(measured | {"num_steps": step, "minutes": minutes}, indent=1)
        )
        _logger.info("step %d: %s", step, measured)

    schedule = TimedTraining(
        run_dir=run_dir,
        minutes=minutes,
        learning_rate=learning_rate,
        weight_decay=0.1,
        betas=(0.9, 0.98),
        log_every=20,
    )
    schedule.run(training, lambda rng: training.losses(pictures, batch_size, rng), on_checkpoint, seed)


if __name__ == "__main__":
    main()
