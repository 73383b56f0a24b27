"""Pictures that the model draws during its training: fixed prompts and people, the same noise every time."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch

from bolid_pipeline.images.drawing import contact_sheet, to_png
from bolid_pipeline.models.body_bank import BodyBank
from bolid_pipeline.models.pipeline import pipeline_around
from bolid_pipeline.models.provenance import provenance_text
from bolid_pipeline.storage.atomic import write_atomically
from bolid_pipeline.training.datamodule import BoLIDDataModule
from bolid_pipeline.training.system import BoLIDSystem
from bolid_pipeline.training.views import encode_body

_NUM_PEOPLE = 4
_NUM_STEPS = 20


class Previews(lightning.Callback):
    """Every n steps, a sheet of the first people in the captions of their first photos, without and with identity.

    Args:
        data: its base model draws its people in the captions of their photos.
        folder: for `step_<number>.png`.
        every_n_steps: steps from one sheet to the next.
    """

    def __init__(self, data: BoLIDDataModule, folder: Path, every_n_steps: int) -> None:
        self._pipe = pipeline_around(data.base)
        self._data = data
        self._folder = folder
        self._every_n_steps = every_n_steps

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Draw by the running mean of the weights; training goes on with its own.

        All processes draw, because each may hold a share of the weights, and the first one writes.
        """
        del outputs, batch, batch_idx
        if trainer.global_step % self._every_n_steps:
            return
        parameters = pl_module.trainable_parameters()
        pl_module.ema.store(parameters)
        pl_module.ema.copy_to(parameters)
        try:
            # Frozen and trained weights may differ in precision, as in a step.
            with trainer.precision_plugin.forward_context():
                sheet = self._draw(pl_module)
        finally:
            pl_module.ema.restore(parameters)
        if trainer.is_global_zero:
            write_atomically(self._folder / f"step_{trainer.global_step:09d}.png", sheet)

    @torch.no_grad()
    def _draw(self, system: BoLIDSystem) -> bytes:
        rows = _first_rows(self._data.latents.identities, self._data.train_rows)
        people = [self._data.latents.identities[row] for row in rows]
        prompts = [self._data.captions[row] for row in rows]
        self._pipe.body_bank = BodyBank.of(
            {
                person: encode_body(system.branches.body_encoder, self._data.views, [row])
                for person, row in zip(people, rows, strict=True)
            }
        )
        self._pipe.set_progress_bar_config(disable=True)
        bucket = self._data.latents.bucket(rows[0])
        pictures = [
            np.rint(255 * picture).astype(np.uint8)
            for identity in (None, people)
            for picture in self._pipe(
                prompts,
                identity=identity,
                height=bucket.height,
                width=bucket.width,
                num_inference_steps=_NUM_STEPS,
                generator=torch.Generator().manual_seed(0),
                output_type="np",
            ).images
        ]
        labels = ["without identity"] * len(people) + people
        sheet = contact_sheet(pictures, columns=len(people), cell_px=128, labels=labels)
        return to_png(sheet, provenance_text(prompt=" | ".join(prompts)))


def _first_rows(identities: Sequence[str], rows: Sequence[int]) -> list[int]:
    """The first row of each of the first people."""
    first: dict[str, int] = {}
    for row in rows:
        first.setdefault(identities[row], row)
    return list(first.values())[:_NUM_PEOPLE]
