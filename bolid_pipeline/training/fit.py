"""One training run: latents and captions in, a checkpoint folder out."""

import csv
import logging
import statistics
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.loggers import CSVLogger

from bolid_pipeline.latents.cache import LatentTable
from bolid_pipeline.models.base import load_base_model
from bolid_pipeline.models.body_bank import BodyBank
from bolid_pipeline.models.pipeline import BODY_ENCODER_FOLDER, save_branches
from bolid_pipeline.training import checkpoint
from bolid_pipeline.training.config import TrainingConfig
from bolid_pipeline.training.datamodule import BoLIDDataModule
from bolid_pipeline.training.model_card import model_card
from bolid_pipeline.training.system import BoLIDSystem
from bolid_pipeline.training.views import encode_body

_logger = logging.getLogger(__name__)


def fit(
    config: TrainingConfig,
    *,
    base_model: Path,
    latents: LatentTable,
    captions: Mapping[str, str],
    run_dir: Path,
    progress: bool = True,
) -> Path:
    """Train both branches and the body encoder, and write the checkpoint folder whole or not at all.

    Args:
        config: settings of the run.
        base_model: diffusers folder of the frozen base model.
        latents: the latent table, made by that base model's autoencoder.
        captions: caption of each photo id.
        run_dir: the checkpoint folder to write; an older one is replaced.
        progress: show a progress bar.

    Returns:
        `run_dir`.

    Raises:
        WeightsMissing: the base model's folder lacks something.
        ForeignLatents: the latents were not made by this base model.
        NotEnoughData: no latents, or one without a caption.
        ConfigurationError: the base model predicts neither noise nor velocity.
    """
    started = time.monotonic()
    base = load_base_model(base_model)
    data = BoLIDDataModule(config, latents, captions, base)
    system = BoLIDSystem(config, base, latents.layout.image_embed_dim, data.text.empty_LD)
    with checkpoint.new_checkpoint(run_dir) as folder:
        _run(config, system, data, folder, progress=progress)
        system.use_mean_weights()
        system.eval()
        system.body_encoder.save_pretrained(folder / BODY_ENCODER_FOLDER)
        save_branches(folder, system.unet, _body_bank(system, data))
        metrics = _metrics(config, folder, seconds=time.monotonic() - started)
        checkpoint.write_json(folder / checkpoint.METRICS_FILE, metrics)
        checkpoint.write_json(
            folder / checkpoint.CONFIG_FILE,
            {
                "fingerprint": checkpoint.training_fingerprint(
                    config, base_model=base_model, latents=latents, captions=captions
                ),
                "base_model": str(base_model),
                "config": config.to_json(),
                "train_photo_ids": [latents.photo_ids[row] for row in data.train_rows],
                "heldout_photo_ids": [latents.photo_ids[row] for row in data.heldout_rows],
            },
        )
        card = model_card(config, base_model=str(base_model), identities=latents.identities, metrics=metrics)
        (folder / "README.md").write_text(card, encoding="utf-8")
    _logger.info("checkpoint %s: %s", run_dir, metrics)
    return run_dir


def _run(
    config: TrainingConfig, system: BoLIDSystem, data: BoLIDDataModule, folder: Path, *, progress: bool
) -> None:
    with _without_advice():
        trainer = lightning.Trainer(
            max_epochs=1,
            accelerator="auto",
            devices=1,
            precision=_precision(config),
            gradient_clip_val=config.max_grad_norm,
            logger=CSVLogger(folder, name="", version=str(checkpoint.LOSSES_FILE.parent)),
            log_every_n_steps=1,
            enable_checkpointing=False,
            enable_model_summary=False,
            enable_progress_bar=progress,
        )
        trainer.fit(system, datamodule=data)


@contextmanager
def _without_advice() -> Iterator[None]:
    """Lightning without its tips on stderr, and without two warnings that are known."""
    logger = logging.getLogger("lightning.pytorch.utilities.rank_zero")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            # Lightning 2.6 still builds torch's old LeafSpec; the frozen U-Net is in eval mode on purpose.
            warnings.filterwarnings("ignore", message=".*LeafSpec", category=FutureWarning)
            warnings.filterwarnings("ignore", message="Found .* in eval mode at the start of training")
            yield
    finally:
        logger.setLevel(level)


def _precision(config: TrainingConfig) -> Any:
    if config.precision != "auto":
        return config.precision
    return "bf16-mixed" if torch.cuda.is_available() else "32-true"


def _body_bank(system: BoLIDSystem, data: BoLIDDataModule) -> BodyBank:
    """c_body of every person, from all of the person's training photos."""
    rows_of_person: dict[str, list[int]] = {}
    for row in data.train_rows:
        rows_of_person.setdefault(data.latents.identities[row], []).append(row)
    return BodyBank.of(
        {
            person: (encode_body(system.body_encoder, data.views, rows), len(rows))
            for person, rows in sorted(rows_of_person.items())
        }
    )


def _metrics(config: TrainingConfig, folder: Path, *, seconds: float) -> dict[str, Any]:
    """Training numbers: the first and last tenth of the steps, and the speed."""
    with (folder / checkpoint.LOSSES_FILE).open(newline="") as file:
        steps = list(csv.DictReader(file))
    tenth = max(1, len(steps) // 10)
    l_diff = [float(step["l_diff"]) for step in steps]
    return {
        "steps": len(steps),
        "seconds": round(seconds, 2),
        "photos_per_second": round(len(steps) * config.batch_size / seconds, 2),
        "l_diff_first": statistics.fmean(l_diff[:tenth]),
        "l_diff_last": statistics.fmean(l_diff[-tenth:]),
        "kl_last": statistics.fmean(float(step["kl"]) for step in steps[-tenth:]),
    }
