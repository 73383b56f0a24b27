"""The U-Net as the objective calls it, fused by torch.compile where the settings ask for that."""

from collections.abc import Callable
from typing import Any

import torch
from diffusers import UNet2DConditionModel

from bolid_pipeline.training.conditions import Conditions, predict

_MOST_GRAPHS = 128
"""More than there are sizes of pictures, times batch sizes, with gradient and without."""


class Denoiser:
    """Predictions of a U-Net with both branches attached.

    Args:
        unet: the U-Net; it stays as it is, and others may call it.
    """

    def __init__(self, unet: UNet2DConditionModel) -> None:
        self.unet = unet
        self._compiled: Callable[..., Any] | None = None

    def compile(self, backend: str | Callable[..., Any] = "inductor") -> None:
        """Compile each kind of call when it first comes: a size of pictures or batches, with or without gradient.

        Args:
            backend: as of `torch.compile`.
        """
        # torch.compile itself takes a limit in the newest versions only.
        settings = torch._dynamo.config  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        settings.recompile_limit = max(settings.recompile_limit, _MOST_GRAPHS)
        compiled = torch.compile(self.unet.forward, dynamic=False, fullgraph=True, backend=backend)

        def run(
            noisy_BCHW: torch.Tensor, timesteps_B: torch.Tensor, text_BLD: torch.Tensor, **options: Any
        ) -> Any:
            # Captions take one text window or more; one graph is for all lengths.
            torch._dynamo.maybe_mark_dynamic(text_BLD, 1)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
            return compiled(noisy_BCHW, timesteps_B, text_BLD, **options)

        self._compiled = run

    def stop_compiling(self) -> None:
        """Use nothing that was compiled any more."""
        self._compiled = None

    def __call__(
        self,
        noisy_BCHW: torch.Tensor,
        timesteps_B: torch.Tensor,
        conditions: Conditions,
        *,
        with_hooks: bool = False,
    ) -> torch.Tensor:
        """The prediction for noisy latents, (B, C, H, W).

        Args:
            noisy_BCHW: noisy latents.
            timesteps_B: their noise levels.
            conditions: what they are to show.
            with_hooks: run the hooks of the U-Net's layers, which a compiled U-Net leaves out.
        """
        run = None if with_hooks else self._compiled
        return predict(self.unet, noisy_BCHW, timesteps_B, conditions, run=run)


def failed_to_compile(error: RuntimeError) -> bool:
    """True if torch.compile raised the error."""
    from torch._dynamo.exc import TorchDynamoException

    return isinstance(error, TorchDynamoException)
