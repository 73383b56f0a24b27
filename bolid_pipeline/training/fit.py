"""One training run: latents and captions in, a checkpoint folder out."""

import logging
import shutil
import statistics
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import lightning
import torch
from diffusers import PriorTransformer
from lightning.pytorch.callbacks import ModelCheckpoint

from bolid_pipeline.latents.cache import LatentTable
from bolid_pipeline.models.base import load_base_model
from bolid_pipeline.models.body_bank import BodyBank
from bolid_pipeline.models.body_prior import BodyPriorConfig, fit_body_prior, text_vector
from bolid_pipeline.models.loaders import BODY_PRIOR_FOLDER
from bolid_pipeline.settings import to_json
from bolid_pipeline.training import checkpoint
from bolid_pipeline.training.branches import Branches
from bolid_pipeline.training.conditioner import Conditioner
from bolid_pipeline.training.config import PriorConfig, TrainingConfig
from bolid_pipeline.training.datamodule import BoLIDDataModule
from bolid_pipeline.training.few_step import FewStepObjective
from bolid_pipeline.training.loss_networks import LossNetworkFiles, LossNetworks
from bolid_pipeline.training.losses_log import join_logs, new_logger
from bolid_pipeline.training.model_card import model_card
from bolid_pipeline.training.objective import DiffusionObjective
from bolid_pipeline.training.previews import Previews
from bolid_pipeline.training.progress import Progress
from bolid_pipeline.training.system import BoLIDSystem
from bolid_pipeline.training.views import encode_body

_logger = logging.getLogger(__name__)

_STATE_FILE = "state.ckpt"
_PREVIEWS = Path("logs") / "previews"


def fit(
    config: TrainingConfig,
    *,
    base_model: Path,
    latents: LatentTable,
    captions: Mapping[str, str],
    run_dir: Path,
    networks: LossNetworkFiles | None = None,
    clusters: Mapping[str, str] | None = None,
    start_from: Path | None = None,
    progress: bool = True,
) -> Path:
    """Train both branches and the body encoder, and write the checkpoint folder whole or not at all.

    A training that was killed goes on where it last saved its state, in a hidden folder beside `run_dir`, and gives the
    same losses and weights as one that was not.

    Args:
        config: settings of the run.
        base_model: diffusers folder of the frozen base model.
        latents: the latent table, made by that base model's autoencoder.
        captions: caption of each photo id.
        run_dir: the checkpoint folder to write; an older one is replaced.
        networks: weights of the networks that L_id and L_CLIP look with.
        clusters: photo id -> name of its group of near duplicates.
        start_from: an older checkpoint, of the same sizes, whose weights training starts with; new ones if None.
        progress: show a progress bar.

    Returns:
        `run_dir`.

    Raises:
        WeightsMissing: the base model's folder lacks something.
        ForeignLatents: the latents were not made by this base model.
        NotEnoughData: no latents, or one without a caption.
        ConfigurationError: the base model predicts neither noise nor velocity, or a term lacks its network.
    """
    started = time.monotonic()
    made_from: dict[str, Any] = {
        "base_model": base_model,
        "latents": latents,
        "captions": captions,
        "clusters": clusters,
    }
    system, data = make_system(config, **made_from, networks=networks)
    if start_from is not None:
        system.start_from(start_from)
    made_by = checkpoint.training_fingerprint(config, **made_from, start_from=start_from)
    work = checkpoint.open_work_folder(run_dir, made_by)
    num_steps = _train(config, system, data, work, progress=progress)
    if system.global_rank > 0:
        return run_dir  # the first of several processes writes for all
    with checkpoint.new_checkpoint(run_dir) as folder:
        system.use_mean_weights()
        system.eval()
        bank = _body_bank(system, data)
        system.branches.save(folder, bank)
        if config.prior is not None:
            _fit_prior(config.prior, config.seed, bank, data).save_pretrained(folder / BODY_PRIOR_FOLDER)
        losses = join_logs(work, folder / checkpoint.LOSSES_FILE)
        if (work / _PREVIEWS).is_dir():
            shutil.copytree(work / _PREVIEWS, folder / _PREVIEWS)
        metrics = _metrics(config, losses, num_steps, seconds=time.monotonic() - started)
        checkpoint.write_json(folder / checkpoint.METRICS_FILE, metrics)
        checkpoint.write_json(
            folder / checkpoint.CONFIG_FILE,
            {
                "fingerprint": made_by,
                "base_model": str(base_model),
                "config": to_json(config),
                "train_photo_ids": [latents.photo_ids[row] for row in data.train_rows],
                "heldout_photo_ids": [latents.photo_ids[row] for row in data.heldout_rows],
            },
        )
        card = model_card(config, base_model=str(base_model), identities=latents.identities, metrics=metrics)
        (folder / "README.md").write_text(card, encoding="utf-8")
    shutil.rmtree(work)
    _logger.info("checkpoint %s: %s", run_dir, metrics)
    return run_dir


def make_system(
    config: TrainingConfig,
    *,
    base_model: Path,
    latents: LatentTable,
    captions: Mapping[str, str],
    networks: LossNetworkFiles | None = None,
    clusters: Mapping[str, str] | None = None,
) -> tuple[BoLIDSystem, BoLIDDataModule]:
    """What a trainer trains and the batches it sees; arguments and errors as `fit`."""
    base = load_base_model(base_model)
    opened = LossNetworks(config, networks or LossNetworkFiles(), base.vae)
    data = BoLIDDataModule(config, latents, captions, base, clip=opened.clip, clusters=clusters)
    branches = Branches(config, base, latents.layout.image_embed_dim)
    conditioner = Conditioner(config.dropout, branches, base, data.text.empty)
    diffusion = DiffusionObjective(config.diffusion, base, conditioner, opened)
    few_step = config.few_step and FewStepObjective(config.few_step, base, conditioner, opened)
    return BoLIDSystem(config, branches, opened, diffusion, few_step), data


def _train(
    config: TrainingConfig, system: BoLIDSystem, data: BoLIDDataModule, work: Path, *, progress: bool
) -> int:
    """Train from the state that lies in `work`, or from the start; returns the number of steps done here."""
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
        callbacks.append(Previews(data.base, data, work / _PREVIEWS, config.intervals.preview))
    trainer, without_advice = new_trainer(config, work, callbacks, first_step=first_step, progress=progress)
    with without_advice:
        trainer.fit(system, datamodule=data, ckpt_path=state if first_step else None, weights_only=True)
    return config.steps - first_step


def new_trainer(
    config: TrainingConfig,
    folder: Path,
    callbacks: list[lightning.Callback],
    *,
    first_step: int = 0,
    progress: bool = True,
) -> tuple[lightning.Trainer, AbstractContextManager[None]]:
    """The trainer of a run, logging into `folder`, and a context in which it keeps its tips to itself."""
    with _without_advice():
        trainer = lightning.Trainer(
            max_steps=config.steps,
            accelerator="auto",
            devices=config.hardware.devices,
            num_nodes=config.hardware.num_nodes,
            strategy="auto" if config.hardware.num_processes == 1 else "ddp_find_unused_parameters_true",
            use_distributed_sampler=False,
            precision=_precision(config),
            logger=new_logger(folder, first_step),
            log_every_n_steps=1,
            callbacks=callbacks,
            enable_checkpointing=any(isinstance(callback, ModelCheckpoint) for callback in callbacks),
            enable_model_summary=False,
            enable_progress_bar=progress,
        )
    return trainer, _without_advice()


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
            # The folder of a killed training is where it goes on.
            warnings.filterwarnings("ignore", message="Checkpoint directory .* exists and is not empty")
            # What is saved is the state after the optimiser's step, on purpose.
            warnings.filterwarnings("ignore", message="Using ModelCheckpoint with manual optimization")
            yield
    finally:
        logger.setLevel(level)


def _precision(config: TrainingConfig) -> Any:
    if config.hardware.precision != "auto":
        return config.hardware.precision
    is_supported = torch.cuda.is_available() and torch.cuda.is_bf16_supported()
    return "bf16-mixed" if is_supported else "32-true"


def _body_bank(system: BoLIDSystem, data: BoLIDDataModule) -> BodyBank:
    """c_body of every person, from all of the person's training photos."""
    rows_of_person: dict[str, list[int]] = {}
    for row in data.train_rows:
        rows_of_person.setdefault(data.latents.identities[row], []).append(row)
    return BodyBank.of(
        {
            person: encode_body(system.branches.body_encoder, data.views, rows)
            for person, rows in sorted(rows_of_person.items())
        }
    )


def _fit_prior(config: PriorConfig, seed: int, bank: BodyBank, data: BoLIDDataModule) -> PriorTransformer:
    """The body prior of the bank's people and the captions of their training photos."""
    captions = [data.captions[row] for row in data.train_rows]
    return fit_body_prior(
        BodyPriorConfig(**to_json(config), seed=seed),
        bank,
        [data.latents.identities[row] for row in data.train_rows],
        torch.cat([text_vector(data.text.gather([caption]).hidden_BLD) for caption in captions]),
    )


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
    """Over the rows that have it; None where none has."""
    values = [float(row[name]) for row in rows if row.get(name)]
    return statistics.fmean(values) if values else None
