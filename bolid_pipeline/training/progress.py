"""How far a training is, in the log: a line for every twentieth of its steps."""

import logging
from typing import Any

import lightning

_logger = logging.getLogger(__name__)

_NUM_LINES = 20


class Progress(lightning.Callback):
    """Logs the step that was done, in the first process only."""

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """A line, if it is time for one."""
        del pl_module, outputs, batch, batch_idx
        step, num_steps = trainer.global_step, trainer.max_steps
        if trainer.is_global_zero and (step == num_steps or step % max(1, num_steps // _NUM_LINES) == 0):
            _logger.info("training: step %d of %d", step, num_steps)
