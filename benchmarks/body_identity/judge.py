"""A judge of who is in a picture, and with which body: two networks that take no part in any training.

The *reader* reads the parameters of a body off a picture. It learns from thousands of other people than those it
judges, whose true parameters the renderer knows (`BodyIdentity.vector`). The *recogniser* starts from the reader and
learns the names of the people to be judged, from pictures of its own of them, in other scenes than those that the
models were trained on. Both learn from photos and from their reconstructions by the base model's autoencoder, because
drawn pictures come out of its decoder. The recogniser also learns from photos that the base model, without branches,
has denoised in one step, so that it recognises people in the base model's style.

Shape suffixes: N pictures, S side of the judge's square, D outputs.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch
from diffusers import AutoencoderKL, DDPMScheduler
from numpy.typing import NDArray
from people import People, Picture, render_people
from torch import nn
from torch.nn import functional as F
from tqdm import tqdm, trange

from bodyworld.render.identity import BodyIdentity, sample_identity
from bolid_pipeline.models.base import load_base_model
from bolid_pipeline.models.text import encode_text
from bolid_pipeline.training.losses.diffusion import one_step_sample

SIZE_PX = 80
_STRANGERS_SEED, _GALLERY_SEED = 41_000, 42_000
_NUM_STRANGERS, _PICTURES_PER_STRANGER, _GALLERY_PICTURES_EACH = 6000, 4, 400
_MAX_NOISE_TIMESTEP = 250  # of 1000; a third of the variance is noise there


class PictureNetwork(nn.Module):
    """(N, 3, S, S) in [0, 1] -> (N, D)."""

    def __init__(self, num_outputs: int, width: int = 16) -> None:
        super().__init__()
        blocks: list[nn.Module] = []
        channels = 3
        for level in range(4):
            out = width * 2**level
            blocks += [
                nn.Conv2d(channels, out, 3, stride=2, padding=1),
                nn.BatchNorm2d(out),
                nn.ReLU(),
                nn.Conv2d(out, out, 3, padding=1),
                nn.BatchNorm2d(out),
                nn.ReLU(),
            ]
            channels = out
        self.features = nn.Sequential(*blocks, nn.Flatten(), nn.Dropout(0.3))
        self.head = nn.Linear(channels * (SIZE_PX // 16) ** 2, num_outputs)

    def forward(self, pixels_N3SS: torch.Tensor) -> torch.Tensor:
        """Outputs (N, D) for pictures (N, 3, S, S) in [0, 1]."""
        return self.head(self.features(pixels_N3SS))


@dataclass(frozen=True)
class Judge:
    """The two trained networks; the recogniser's outputs stand for `people`, in this order."""

    reader: PictureNetwork
    recogniser: PictureNetwork
    people: Sequence[str]

    def read(self, pictures: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """(N, D) body parameters, each in about [0, 1], of (H, W, 3) uint8 pictures."""
        return _outputs(self.reader, pictures)

    def who(self, pictures: Sequence[NDArray[np.uint8]]) -> list[str]:
        """The person that each picture shows most likely."""
        return [self.people[int(row)] for row in _outputs(self.recogniser, pictures).argmax(1)]


def render_for_judge(
    folder: Path, identities: Mapping[str, BodyIdentity], num_workers: int
) -> tuple[People, People]:
    """Strangers, and a gallery of the people to be judged; rendered once."""
    rng = np.random.default_rng(_STRANGERS_SEED)
    strangers = {f"{number:05d}": sample_identity(rng) for number in range(_NUM_STRANGERS)}
    return (
        render_people(
            folder / "strangers.npz",
            strangers,
            seed=_STRANGERS_SEED,
            pictures_each=_PICTURES_PER_STRANGER,
            num_workers=num_workers,
        ),
        render_people(
            folder / "gallery.npz",
            identities,
            seed=_GALLERY_SEED,
            pictures_each=_GALLERY_PICTURES_EACH,
            num_workers=num_workers,
        ),
    )


def train_judge(
    folder: Path, identities: Mapping[str, BodyIdentity], base_model: Path, *, steps: int, seed: int = 0
) -> Judge:
    """Train a judge; a network that is already in the folder is opened.

    Args:
        folder: holds the pictures of `render_for_judge`; gets `reader.pt` and `recogniser.pt`, files of tensors.
        identities: the people to be judged.
        base_model: its autoencoder reconstructs photos for both networks, its U-Net denoises some for the recogniser.
        steps: steps of 64 pictures for the reader; the recogniser gets half as many.
        seed: seed of weights and batches.
    """
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    strangers, gallery = render_for_judge(folder, identities, 1)
    reader = PictureNetwork(len(next(iter(strangers.bodies.values()))))
    recogniser = PictureNetwork(len(gallery.bodies))
    if not _opened(reader, folder / "reader.pt"):
        bodies = torch.from_numpy(np.stack([strangers.bodies[each.person] for each in strangers.pictures]))
        photos = [picture.pixels_HW3 for picture in strangers.pictures]
        again = reconstructed(photos[::3], base_model)
        _fit(reader, F.mse_loss, [*photos, *again], torch.cat([bodies, bodies[::3]]), steps=steps)
        torch.save(reader.state_dict(), folder / "reader.pt")
    people = list(gallery.bodies)
    if not _opened(recogniser, folder / "recogniser.pt"):
        recogniser.features.load_state_dict(reader.features.state_dict())
        names = torch.tensor([people.index(picture.person) for picture in gallery.pictures])
        photos = [picture.pixels_HW3 for picture in gallery.pictures]
        again = [*reconstructed(photos[::2], base_model), *_denoised(gallery.pictures[1::2], base_model)]
        naming_loss = partial(F.cross_entropy, label_smoothing=0.1)
        truth = torch.cat([names, names[::2], names[1::2]])
        _fit(recogniser, naming_loss, [*photos, *again], truth, steps=steps // 2)
        torch.save(recogniser.state_dict(), folder / "recogniser.pt")
    return Judge(reader.eval(), recogniser.eval(), people)


def _opened(network: PictureNetwork, path: Path) -> bool:
    if path.exists():
        network.load_state_dict(torch.load(path, weights_only=True))
    return path.exists()


@torch.no_grad()
def _outputs(network: PictureNetwork, pictures: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
    squares_N3SS = _squares(pictures)
    parts = [network(squares_N3SS[i : i + 128].float() / 255) for i in range(0, len(pictures), 128)]
    return torch.cat(parts).numpy()


def _fit(
    network: PictureNetwork,
    loss_of: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    pictures: Sequence[NDArray[np.uint8]],
    truth: torch.Tensor,
    *,
    steps: int,
) -> None:
    """Train; `truth` holds the wanted output for each picture."""
    inputs = _squares(pictures)
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps)
    generator = torch.Generator().manual_seed(0)
    for _ in trange(steps, desc="judge", unit="step", mininterval=5):
        rows = torch.randint(len(inputs), (64,), generator=generator)
        loss = loss_of(network(_jittered(inputs[rows].float() / 255, generator)), truth[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()


def _jittered(pixels_N3SS: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Shifted by up to four pixels, half of them mirrored, a little brighter or darker; every third batch blurred."""
    shift = torch.randint(-4, 5, (2,), generator=generator).tolist()
    moved = torch.roll(pixels_N3SS, shift, dims=(2, 3))
    is_mirrored = torch.rand(len(moved), 1, 1, 1, generator=generator) < 0.5
    brightness = 1 + 0.1 * torch.randn(len(moved), 1, 1, 1, generator=generator)
    jittered = (torch.where(is_mirrored, moved.flip(3), moved) * brightness).clamp(0, 1)
    if torch.rand((), generator=generator) < 1 / 3:
        jittered = F.interpolate(F.avg_pool2d(jittered, 2), scale_factor=2, mode="bilinear")
    return jittered


@torch.no_grad()
def reconstructed(photos: Sequence[NDArray[np.uint8]], base_model: Path) -> list[NDArray[np.uint8]]:
    """Photos as the base model's autoencoder gives them back."""
    folder = base_model / "vae"
    vae = AutoencoderKL.from_pretrained(folder, local_files_only=True, low_cpu_mem_usage=False).eval()

    def reconstruct(rows: list[int]) -> torch.Tensor:
        pixels = torch.from_numpy(np.stack([photos[row] for row in rows])).permute(0, 3, 1, 2)
        latents = vae.encode(pixels.float() / 127.5 - 1).latent_dist.mean
        return (vae.decode(latents).sample.permute(0, 2, 3, 1) + 1) / 2

    return _by_size(photos, reconstruct)


@torch.no_grad()
def _denoised(pictures: Sequence[Picture], base_model: Path) -> list[NDArray[np.uint8]]:
    """Noisy photos, denoised by the frozen base model in one step, and so in its own style."""
    base = load_base_model(base_model)
    scheduler = DDPMScheduler.from_config(base.scheduler.config)
    scaling_factor = base.vae.config.scaling_factor
    generator = torch.Generator().manual_seed(0)

    def denoise(rows: list[int]) -> torch.Tensor:
        pixels = torch.from_numpy(np.stack([pictures[row].pixels_HW3 for row in rows])).permute(0, 3, 1, 2)
        latents = base.vae.encode(pixels.float() / 127.5 - 1).latent_dist.mean * scaling_factor
        timesteps = torch.randint(_MAX_NOISE_TIMESTEP, (len(rows),), generator=generator)
        noise = torch.randn(latents.shape, generator=generator)
        noisy = scheduler.add_noise(latents, noise, timesteps)
        text = encode_text(base, [pictures[row].caption for row in rows]).hidden_BLD
        prediction = base.unet(noisy, timesteps, text).sample
        clean = one_step_sample(scheduler, prediction, noisy, timesteps)
        return (base.vae.decode(clean / scaling_factor).sample.permute(0, 2, 3, 1) + 1) / 2

    return _by_size([picture.pixels_HW3 for picture in pictures], denoise)


def _by_size(
    photos: Sequence[NDArray[np.uint8]], change: Callable[[list[int]], torch.Tensor]
) -> list[NDArray[np.uint8]]:
    """Photos after a change, in order; it gets rows of one size and gives (N, H, W, 3), about [0, 1]."""
    of_size: dict[tuple[int, ...], list[int]] = {}
    for row, photo in enumerate(photos):
        of_size.setdefault(photo.shape, []).append(row)
    parts = [rows[start : start + 32] for rows in of_size.values() for start in range(0, len(rows), 32)]
    changed: dict[int, NDArray[np.uint8]] = {}
    for rows in tqdm(parts, desc=change.__name__, unit="batch", mininterval=5):
        pixels = (change(rows).clamp(0, 1) * 255).round().byte()
        changed |= zip(rows, pixels.numpy(), strict=True)
    return [changed[row] for row in range(len(photos))]


def _squares(pictures: Sequence[NDArray[np.uint8]]) -> torch.Tensor:
    """(N, 3, S, S) uint8: letterboxed, so that proportions stay what they are."""
    squares = np.full((len(pictures), SIZE_PX, SIZE_PX, 3), 114, np.uint8)
    for square, picture in zip(squares, pictures, strict=True):
        scale = SIZE_PX / max(picture.shape[:2])
        height, width = round(picture.shape[0] * scale), round(picture.shape[1] * scale)
        top, left = (SIZE_PX - height) // 2, (SIZE_PX - width) // 2
        square[top : top + height, left : left + width] = cv2.resize(
            picture, (width, height), interpolation=cv2.INTER_AREA
        )
    return torch.from_numpy(squares).permute(0, 3, 1, 2)
