"""Lightning's trainer as a run of this project uses it."""

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import lightning
from lightning.pytorch.callbacks import ModelCheckpoint

from bolid_pipeline.training.config import TrainingConfig
from bolid_pipeline.training.logs import new_logger
from bolid_pipeline.training.precision import precision_of


def new_trainer(
    config: TrainingConfig,
    folder: Path,
    callbacks: Sequence[lightning.Callback],
    *,
    first_step: int = 0,
    progress: bool = True,
) -> lightning.Trainer:
    """The trainer of a run, which logs the steps from `first_step` on into `folder`. Use it in `quiet_lightning`."""
    hardware = config.hardware
    return lightning.Trainer(
        max_steps=config.steps,
        accelerator="auto",
        devices=hardware.devices,
        num_nodes=hardware.num_nodes,
        strategy="auto" if hardware.num_processes == 1 else "ddp_find_unused_parameters_true",
        use_distributed_sampler=False,
        precision=precision_of(hardware),
        benchmark=True,
        logger=new_logger(folder, first_step),
        log_every_n_steps=1,
        callbacks=list(callbacks),
        enable_checkpointing=any(isinstance(callback, ModelCheckpoint) for callback in callbacks),
        enable_model_summary=False,
        enable_progress_bar=progress,
    )


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Silence Lightning's tips on stderr, and its warnings about intended behaviour."""
    logger = logging.getLogger("lightning.pytorch.utilities.rank_zero")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            # Lightning 2.6 still builds torch's old LeafSpec; the frozen U-Net is in eval mode on purpose.
            warnings.filterwarnings("ignore", message=".*LeafSpec", category=FutureWarning)
            warnings.filterwarnings("ignore", message="Found .* in eval mode at the start of training")
            # A killed training goes on in its folder.
            warnings.filterwarnings("ignore", message="Checkpoint directory .* exists and is not empty")
            # The state is saved after the step of the optimiser, on purpose.
            warnings.filterwarnings("ignore", message="Using ModelCheckpoint with manual optimization")
            yield
    finally:
        logger.setLevel(level)
