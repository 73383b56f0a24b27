"""Train the small CLIP on captions and pictures of bodyworld.

    python -m bodyworld.pretrain.clip --thumbnails data/pretrain/thumbnails

The text tower learns faster than the vision tower. `--frozen-text FOLDER` continues with the CLIP of that folder and
keeps its text tower, on which a base model may already be trained.

A few minutes of the contrastive loss of CLIP (https://arxiv.org/abs/2103.00020) alone teach backgrounds and little
else. So three linear layers, thrown away afterwards, add losses: one reads the slots of the caption off the embeddings
of both towers; one reads the identity parameters off an image embedding, which is what the reference branch sees of a
person; one reads the keypoints off the vision tower.

Shape suffixes: B batch, K keypoints, E embedding, S slots.
"""

from pathlib import Path

import click
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import CLIPModel, CLIPTokenizer

from bodyworld.pretrain.clip_model import new_clip, save_clip
from bodyworld.pretrain.clip_pictures import Pictures, augment, crop_keypoints, draw_crops, squash
from bodyworld.pretrain.clip_quality import embed_texts, evaluate_clip
from bodyworld.pretrain.command import PretrainRun, pretrain_command, thumbnails_option
from bodyworld.pretrain.prompts import mirrored, spoken_caption
from bodyworld.pretrain.thumbnails import open_thumbnails
from bodyworld.pretrain.timed_training import half_precision
from bodyworld.pretrain.tokenizer import train_tokenizer
from bodyworld.world.captions import SLOTS, compose_caption
from bolid_pipeline.pose.skeleton import NUM_KEYPOINTS

NUM_HELD_OUT = 200
SLOT_WEIGHT = 1.5
SLOT_SCALE = 20.0
IDENTITY_WEIGHT = 1.0
KEYPOINT_WEIGHT = 3.0
_FACING = list(SLOTS).index("facing")


class ClipTraining(nn.Module):
    """The CLIP and the linear layers that read off its embeddings what is known of the pictures."""

    def __init__(self, model: CLIPModel, tokenizer: CLIPTokenizer, num_identity_parameters: int) -> None:
        super().__init__()
        self.model = model
        self.identity_head = nn.Linear(model.config.projection_dim, num_identity_parameters)
        self.slot_head = nn.Linear(
            model.config.projection_dim, sum(len(phrases) for phrases in SLOTS.values())
        )
        self.keypoint_head = nn.Linear(model.config.vision_config.hidden_size, 3 * NUM_KEYPOINTS)
        self._tokenizer = tokenizer

    def losses(self, pictures: Pictures, batch_size: int, rng: np.random.Generator) -> dict[str, Tensor]:
        """The losses of a random batch, by name."""
        rows = rng.choice(len(pictures.slots), batch_size, replace=False)
        is_mirrored = rng.random(batch_size) < 0.5
        slots = [
            mirrored(pictures.slots[i]) if flip else pictures.slots[i]
            for i, flip in zip(rows, is_mirrored, strict=True)
        ]
        matrices = draw_crops(is_mirrored, rng)
        images = augment(pictures.pixels_NHW3[rows], matrices, rng)
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
        labels[:, _FACING] = [SLOTS["facing"].index(entry["facing"]) for entry in slots]
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


def _open_clip(frozen_text: Path) -> tuple[CLIPModel, CLIPTokenizer]:
    """A trained CLIP to go on with, its text tower frozen."""
    model = CLIPModel.from_pretrained(frozen_text, dtype=torch.float32, attn_implementation="eager").train()
    model.text_model.requires_grad_(False)
    model.text_projection.requires_grad_(False)
    return model, CLIPTokenizer.from_pretrained(frozen_text)


def _new_clip(run_dir: Path, pictures: Pictures) -> tuple[CLIPModel, CLIPTokenizer]:
    """An untrained CLIP, with the tokenizer that an interrupted training began with if there is one."""
    folder = run_dir / "tokenizer"
    if not folder.exists():
        train_tokenizer(compose_caption(slots) for slots in pictures.slots).save_pretrained(folder)
    tokenizer = CLIPTokenizer.from_pretrained(folder)
    return new_clip(tokenizer), tokenizer


@pretrain_command("clip", minutes=20.0, seed=20_400)
@thumbnails_option
@click.option("--frozen-text", type=Path, default=None, help="CLIP folder to start from, text tower frozen.")
@click.option("--batch-size", default=40, show_default=True)
@click.option("--learning-rate", default=1e-3, show_default=True)
def main(
    run: PretrainRun, *, thumbnails_dir: Path, frozen_text: Path | None, batch_size: int, learning_rate: float
) -> None:
    """Train the CLIP; its folder is `clip` in the run folder."""
    parts = [part.split(NUM_HELD_OUT) for part in open_thumbnails(thumbnails_dir).values()]
    pictures, held_out = (squash([part[number] for part in parts]) for number in (0, 1))
    held_out = held_out.shuffled(np.random.default_rng(run.seed))
    model, tokenizer = _open_clip(frozen_text) if frozen_text else _new_clip(run.run_dir, pictures)
    training = ClipTraining(model, tokenizer, pictures.identities_ND.shape[1])

    def on_checkpoint(step: int) -> None:
        measured = evaluate_clip(model, tokenizer, held_out, np.random.default_rng(run.seed))
        save_clip(model, tokenizer, run.run_dir / "clip")
        run.report(step, measured)

    run.train(
        training,
        lambda rng: training.losses(pictures, batch_size, rng),
        on_checkpoint,
        learning_rate=learning_rate,
        weight_decay=0.1,
        betas=(0.9, 0.98),
        log_every=20,
    )


if __name__ == "__main__":
    main()
