"""The U-Net as the objective calls it, fused by torch.compile where the settings ask for that."""

from collections.abc import Callable
from typing import Any

import torch
from diffusers import UNet2DConditionModel

from bolid_pipeline.training.conditions import Conditions, predict


class Denoiser:
    """Predictions of a U-Net with both branches attached.

    Args:
        unet: the U-Net; it stays as it is, and others may call it.
    """

    def __init__(self, unet: UNet2DConditionModel) -> None:
        self.unet = unet
        self._compiled: Callable[..., Any] | None = None

    def compile(self, num_graphs: int, backend: str | Callable[..., Any] = "inductor") -> None:
        """Compile each kind of call when it first comes: a size of pictures or batches, with or without gradient.

        Args:
            num_graphs: how many kinds there are at most.
            backend: as of `torch.compile`.
        """
        # torch.compile itself takes a limit in the newest versions only.
        settings = torch._dynamo.config  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        settings.recompile_limit = max(settings.recompile_limit, num_graphs)
        self._compiled = torch.compile(self.unet.forward, dynamic=False, fullgraph=True, backend=backend)

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
