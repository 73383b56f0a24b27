"""Who is in a picture, by an encoder that no training ever saw: it reads the parameters of a body off a picture.

It learns from other people than those it judges, whose true parameters the renderer knows (`BodyIdentity.vector`), and
from both photos and what the base model's autoencoder makes of them, because drawn pictures come out of its decoder.
People are compared by the parameters that it reads, each divided by how uncertain it is about it.

Shape suffixes: N pictures, S side of the judge's square, D parameters, P people.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from diffusers import AutoencoderKL
from numpy.typing import NDArray
from people import People, Picture
from torch import nn
from torch.nn import functional as F
from tqdm import trange

SIZE_PX = 64
_VALIDATION_PEOPLE = 60


class BodyReader(nn.Module):
    """(N, 3, S, S) in [0, 1] -> (N, D) parameters, each in about [0, 1]."""

    def __init__(self, num_parameters: int, width: int = 16) -> None:
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
        self.head = nn.Linear(channels * (SIZE_PX // 16) ** 2, num_parameters)

    def forward(self, pixels_N3SS: torch.Tensor) -> torch.Tensor:
        """See the class."""
        return self.head(self.features(pixels_N3SS))


@dataclass(frozen=True)
class Judge:
    """A trained reader, and the standard deviation of its errors on people that it never saw."""

    reader: BodyReader
    uncertainty_D: NDArray[np.float32]

    @torch.no_grad()
    def read(self, pictures: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """(N, D) parameters of (H, W, 3) uint8 pictures."""
        squares_N3SS = _squares(pictures)
        parts = [self.reader(squares_N3SS[i : i + 128].float() / 255) for i in range(0, len(pictures), 128)]
        return torch.cat(parts).numpy()

    def who(self, read_ND: NDArray[np.float32], people_PD: NDArray[np.float32]) -> NDArray[np.intp]:
        """(N,) the nearest of P people's mean readings."""
        difference_NPD = (read_ND[:, None] - people_PD) / self.uncertainty_D
        return np.square(difference_NPD).sum(-1).argmin(1)


def train_judge(path: Path, people: People, vae_folder: Path, *, steps: int = 1000, seed: int = 0) -> Judge:
    """Train a judge on people, or open the one that lies at `path`.

    Args:
        path: a `.pt` file of tensors.
        people: of another seed than those it will judge; the last of them measure its uncertainty.
        vae_folder: the base model's autoencoder.
        steps: of 64 pictures.
        seed: of weights and batches.
    """
    reader = BodyReader(len(next(iter(people.bodies.values()))))
    if path.exists():
        state = torch.load(path, weights_only=True)
        reader.load_state_dict(state["reader"])
        return Judge(reader.eval(), state["uncertainty"].numpy())
    names = list(people.bodies)
    validation = set(names[-_VALIDATION_PEOPLE:])
    train = [picture for picture in people.pictures if picture.person not in validation]
    torch.manual_seed(seed)
    reader = BodyReader(len(people.bodies[names[0]]))
    _fit(reader, *_examples(train, people, vae_folder), steps=steps, seed=seed)
    inputs, truth = _examples(
        [picture for picture in people.pictures if picture.person in validation], people, vae_folder
    )
    with torch.no_grad():
        error = reader(inputs.float() / 255) - truth
    uncertainty = error.std(0).clamp_min(0.02)
    torch.save({"reader": reader.state_dict(), "uncertainty": uncertainty}, path)
    return Judge(reader, uncertainty.numpy())


def _fit(reader: BodyReader, inputs: torch.Tensor, truth: torch.Tensor, *, steps: int, seed: int) -> None:
    optimizer = torch.optim.AdamW(reader.parameters(), lr=2e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps)
    generator = torch.Generator().manual_seed(seed)
    for _ in trange(steps, desc="judge", unit="step"):
        rows = torch.randint(len(inputs), (64,), generator=generator)
        batch = _jittered(inputs[rows].float() / 255, generator)
        loss = F.mse_loss(reader(batch), truth[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    reader.eval()


def _jittered(pixels_N3SS: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Shifted by up to four pixels, half of them mirrored, a little brighter or darker."""
    shift = torch.randint(-4, 5, (2,), generator=generator).tolist()
    moved = torch.roll(pixels_N3SS, shift, dims=(2, 3))
    is_mirrored = torch.rand(len(moved), 1, 1, 1, generator=generator) < 0.5
    brightness = 1 + 0.1 * torch.randn(len(moved), 1, 1, 1, generator=generator)
    return (torch.where(is_mirrored, moved.flip(3), moved) * brightness).clamp(0, 1)


def _examples(
    pictures: Sequence[Picture], people: People, vae_folder: Path
) -> tuple[torch.Tensor, torch.Tensor]:
    """Squares of the photos and of a third of them reconstructed, uint8, and the true parameters of each."""
    photos = [picture.pixels_HW3 for picture in pictures]
    truth = torch.from_numpy(np.stack([people.bodies[picture.person] for picture in pictures]))
    inputs = torch.cat([_squares(photos), _squares(_reconstructed(photos[::3], vae_folder))])
    return inputs, torch.cat([truth, truth[::3]])


@torch.no_grad()
def _reconstructed(photos: Sequence[NDArray[np.uint8]], vae_folder: Path) -> list[NDArray[np.uint8]]:
    vae = AutoencoderKL.from_pretrained(vae_folder, local_files_only=True, low_cpu_mem_usage=False).eval()
    of_size: dict[tuple[int, ...], list[int]] = {}
    for row, photo in enumerate(photos):
        of_size.setdefault(photo.shape, []).append(row)
    decoded: dict[int, NDArray[np.uint8]] = {}
    for rows in of_size.values():
        for start in range(0, len(rows), 32):
            part = rows[start : start + 32]
            pixels = torch.from_numpy(np.stack([photos[row] for row in part])).permute(0, 3, 1, 2)
            latents = vae.encode(pixels.float() / 127.5 - 1).latent_dist.mean
            pictures = (vae.decode(latents).sample.clamp(-1, 1) + 1) * 127.5
            decoded |= zip(part, pictures.round().byte().permute(0, 2, 3, 1).numpy(), strict=True)
    return [decoded[row] for row in range(len(photos))]


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
