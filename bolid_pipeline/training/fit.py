"""One training run: latents and captions in, a checkpoint folder out."""

import logging
import shutil
import statistics
import time
from pathlib import Path
from typing import Any

import lightning
import torch
from diffusers import PriorTransformer
from lightning.pytorch.callbacks import ModelCheckpoint

from bolid_pipeline.errors import OutOfMemory
from bolid_pipeline.models.base import BaseModel, load_base_model
from bolid_pipeline.models.body_bank import BodyBank
from bolid_pipeline.models.loaders import BODY_PRIOR_FOLDER
from bolid_pipeline.pretrained.memory import is_out_of_memory
from bolid_pipeline.pretrained.weights import content_sha256
from bolid_pipeline.settings import to_json
from bolid_pipeline.training import checkpoint
from bolid_pipeline.training.branches import Branches
from bolid_pipeline.training.conditioner import Conditioner
from bolid_pipeline.training.config import PriorConfig, TrainingConfig
from bolid_pipeline.training.data import TrainingData
from bolid_pipeline.training.datamodule import BoLIDDataModule
from bolid_pipeline.training.few_step import FewStepObjective
from bolid_pipeline.training.logs import Progress, join_logs
from bolid_pipeline.training.loss_networks import LossNetworkFiles, LossNetworks
from bolid_pipeline.training.model_card import model_card
from bolid_pipeline.training.objective import DiffusionObjective
from bolid_pipeline.training.previews import Previews
from bolid_pipeline.training.prior import fit_body_prior
from bolid_pipeline.training.system import BoLIDSystem
from bolid_pipeline.training.text_encoders import TextEncoders
from bolid_pipeline.training.trainer import new_trainer, quiet_lightning
from bolid_pipeline.training.views import encode_body

_logger = logging.getLogger(__name__)

_STATE_FILE = "state.ckpt"
_VECTORS_FILE = "text_vectors.bin"


def fit(
    config: TrainingConfig,
    data: TrainingData,
    run_dir: Path,
    *,
    networks: LossNetworkFiles | None = None,
    progress: bool = True,
) -> Path:
    """Train both branches and the body encoder, and write the checkpoint folder whole or not at all.

    A training that was killed goes on where it last saved its state, in a hidden folder beside `run_dir`, and gives the
    same losses and weights as one that was not.

    Args:
        config: settings of the run.
        data: base model, latents, captions, and the weights that training starts with.
        run_dir: the checkpoint folder to write; an older one is replaced.
        networks: weights of the networks that L_id and L_CLIP apply to pictures.
        progress: show a progress bar.

    Returns:
        `run_dir`.

    Raises:
        WeightsMissing: the base model's folder lacks a part, or the start weights do.
        WeightsMismatch: the start weights do not fit the base model, the latents or the settings.
        ForeignLatents: the latents were not made by this base model.
        NotEnoughData: no latents, or one without a caption.
        ConfigurationError: the base model cannot be trained on, or a term lacks its network.
        OutOfMemory: a step does not fit in the memory of the device; the state that was last saved stays.
    """
    started = time.monotonic()
    system, batches = make_system(config, data, networks)
    if data.start_from is not None:
        system.start_from(data.start_from)
    made_by = data.fingerprint(config)
    work = checkpoint.open_work_folder(run_dir, made_by)
    num_steps, device = _train(config, system, batches, work, progress=progress)
    if system.global_rank > 0:
        return run_dir  # the first of several processes writes for all
    with checkpoint.new_checkpoint(run_dir) as folder:
        system.use_mean_weights()
        system.eval()
        bank = _body_bank(system, batches, device)
        system.branches.save(folder, bank)
        if config.prior is not None:
            prior = _fit_prior(config.prior, system, bank, batches, work / _VECTORS_FILE, device)
            prior.save_pretrained(folder / BODY_PRIOR_FOLDER)
        losses = join_logs(work, folder / checkpoint.LOSSES_FILE)
        if (work / checkpoint.PREVIEWS).is_dir():
            shutil.copytree(work / checkpoint.PREVIEWS, folder / checkpoint.PREVIEWS)
        metrics = _metrics(config, losses, num_steps, seconds=time.monotonic() - started)
        checkpoint.write_json(folder / checkpoint.METRICS_FILE, metrics)
        started_from = data.start_from and {
            "place": str(data.start_from),
            "sha256": content_sha256(data.start_from),
        }
        checkpoint.write_json(
            folder / checkpoint.CONFIG_FILE,
            {
                "fingerprint": made_by,
                "base_model": str(data.base_model),
                "start_from": started_from,
                "config": to_json(config),
            },
        )
        photo_ids = data.latents.photo_ids
        for name, rows in (
            (checkpoint.TRAIN_PHOTOS_FILE, batches.train_rows),
            (checkpoint.HELDOUT_PHOTOS_FILE, batches.heldout_rows),
        ):
            checkpoint.write_photo_ids(folder / name, (photo_ids[row] for row in rows))
        card = model_card(
            config,
            base_model=str(data.base_model),
            start_from=data.start_from and data.start_from.name,
            identities=data.latents.identities,
            metrics=metrics,
        )
        (folder / "README.md").write_text(card, encoding="utf-8")
    shutil.rmtree(work)
    _logger.info("checkpoint %s: %s", run_dir, metrics)
    return run_dir


def make_system(
    config: TrainingConfig, data: TrainingData, networks: LossNetworkFiles | None = None
) -> tuple[BoLIDSystem, BoLIDDataModule]:
    """The module that a trainer trains, and its batches; arguments and errors as `fit`."""
    base = load_base_model(data.base_model)
    opened = LossNetworks(config, networks or LossNetworkFiles(), base.vae)
    batches = BoLIDDataModule(config, data, base, clip=opened.clip)
    return assemble(config, base, opened, TextEncoders(base), data.latents.layout.image_embed_dim), batches


def assemble(
    config: TrainingConfig,
    base: BaseModel,
    networks: LossNetworks,
    texts: TextEncoders,
    image_embed_dim: int,
) -> BoLIDSystem:
    """The module that a trainer trains, of networks that are open."""
    branches = Branches(config, base, image_embed_dim)
    conditioner = Conditioner(config.dropout, branches, base, texts)
    diffusion = DiffusionObjective(config.diffusion, base, branches.denoiser, conditioner, networks)
    few_step = config.few_step and FewStepObjective(
        config.few_step, base, branches.denoiser, conditioner, networks
    )
    return BoLIDSystem(config, branches, networks, texts, diffusion, few_step)


def _train(
    config: TrainingConfig, system: BoLIDSystem, batches: BoLIDDataModule, work: Path, *, progress: bool
) -> tuple[int, torch.device]:
    """Train from the state in `work`, or from the start; returns the number of steps done here, and the device."""
    state = work / _STATE_FILE
    first_step = torch.load(state, weights_only=True, mmap=True)["global_step"] if state.is_file() else 0
    callbacks: list[lightning.Callback] = [
        Progress(),
        ModelCheckpoint(
            dirpath=work,
            filename=state.stem,
            every_n_train_steps=config.intervals.checkpoint,
            enable_version_counter=False,
        ),
    ]
    if config.intervals.preview is not None:
        callbacks.append(Previews(batches, work / checkpoint.PREVIEWS, config.intervals.preview))
    with quiet_lightning():
        trainer = new_trainer(config, work, callbacks, first_step=first_step, progress=progress)
        try:
            trainer.fit(
                system, datamodule=batches, ckpt_path=state if first_step else None, weights_only=True
            )
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            raise OutOfMemory(_does_not_fit(config, trainer.strategy.root_device, state)) from error
    return config.steps - first_step, trainer.strategy.root_device


def _does_not_fit(config: TrainingConfig, device: torch.device, state: Path) -> str:
    """One line for a step that the memory does not hold: its size, and the ways out."""
    sizes = f"batch_size {config.batch_size}"
    if config.few_step is not None:
        sizes += f" and few_step.batch_size {config.few_step.batch_size or config.batch_size}"
    way = "take a smaller preset or batch_size"
    if not config.hardware.gradient_checkpointing:
        then = ", and the training goes on from its saved state" if state.is_file() else ""
        way = f"set training.hardware.gradient_checkpointing to true{then}; or {way}"
    return f"a step with {sizes} does not fit in the memory of {device}: {way} (`bolid plan` says what fits)"


def _body_bank(system: BoLIDSystem, batches: BoLIDDataModule, device: torch.device) -> BodyBank:
    """c_body of every person, from all of the person's training photos; encoded on the device, kept on the CPU."""
    rows_of_person: dict[str, list[int]] = {}
    for row in batches.train_rows:
        rows_of_person.setdefault(batches.latents.identities[row], []).append(row)
    encoder = system.branches.body_encoder.to(device)
    bodies = {
        person: encode_body(encoder, batches.views, rows) for person, rows in sorted(rows_of_person.items())
    }
    encoder.cpu()
    return BodyBank.of(bodies)


def _fit_prior(
    config: PriorConfig,
    system: BoLIDSystem,
    bank: BodyBank,
    batches: BoLIDDataModule,
    vectors_file: Path,
    device: torch.device,
) -> PriorTransformer:
    """The body prior of the bank's people and the captions of their training photos, trained on the device."""
    texts = system.texts.to(device)
    text_MF = texts.map_vectors([batches.captions[row] for row in batches.train_rows], vectors_file)
    texts.cpu()
    identities = [batches.latents.identities[row] for row in batches.train_rows]
    return fit_body_prior(config, bank, identities, text_MF, seed=system.config.seed, device=device)


def _metrics(
    config: TrainingConfig, losses: list[dict[str, str]], num_steps: int, *, seconds: float
) -> dict[str, Any]:
    """Training numbers: every term over the last tenth of the steps, L_diff over the first too, and the speed."""
    tenth = max(1, len(losses) // 10)
    names = [name for name in losses[0] if name not in ("step", "epoch") and not name.endswith("_weighted")]
    last = {f"{name}_last": _mean(losses[-tenth:], name) for name in sorted(names)}
    return {
        "steps": config.steps,
        "seconds": round(seconds, 2),
        "photos_per_second": round(num_steps * config.batch_size / seconds, 2),
        "l_diff_first": _mean(losses[:tenth], "l_diff"),
        **{name: mean for name, mean in last.items() if mean is not None},
    }


def _mean(rows: list[dict[str, str]], name: str) -> float | None:
    """The mean of a column over the rows that have it; None if no row does."""
    values = [float(row[name]) for row in rows if row.get(name)]
    return statistics.fmean(values) if values else None
