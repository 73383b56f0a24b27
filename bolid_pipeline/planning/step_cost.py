"""What a training step takes: memory and operations, counted from the very step that the trainer runs.

Shape suffixes: B batch, C latent channels, H W latent rows and columns, E text encoders, W windows of a caption,
T positions of a window, D features, N views, G side of the body encoder's view grid, K keypoints, M limbs.
"""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import lightning
import torch
from diffusers import AutoencoderTiny
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from transformers import CLIPConfig, CLIPModel

from bolid_pipeline.models.architectures import CLIP_VIT_L, IMAGE_EMBED_DIM, SD15, SDXL, Architecture
from bolid_pipeline.models.base import BaseModel
from bolid_pipeline.models.body_encoder import num_view_channels
from bolid_pipeline.models.text import EncodedText
from bolid_pipeline.planning.costs import StepCost, TrainingCost, cost_fingerprint
from bolid_pipeline.planning.meters import Meter
from bolid_pipeline.planning.pretence import as_on_a_gpu, without_content
from bolid_pipeline.pose.skeleton import NUM_KEYPOINTS
from bolid_pipeline.pretrained.weights import WeightsFile
from bolid_pipeline.training.batch import Batch
from bolid_pipeline.training.batches_ahead import BatchesAhead
from bolid_pipeline.training.config import TrainingConfig
from bolid_pipeline.training.fit import assemble
from bolid_pipeline.training.loss_networks import LossNetworks
from bolid_pipeline.training.losses.clip import ClipSimilarity
from bolid_pipeline.training.losses.proportions import LIMBS
from bolid_pipeline.training.pose_network import PoseNetwork, open_pose_network
from bolid_pipeline.training.text_encoders import TextEncoders
from bolid_pipeline.training.trainer import quiet_lightning

_NUM_WINDOWS = 2
"""Windows of 75 tokens that the longest caption of a batch is taken to need."""
_STEP_WITH_FEW_STEP, _STEP_WITHOUT = 0, 1


def architecture_of(preset: str) -> Architecture:
    """The base model of a preset, by its name."""
    return {"sd15": SD15, "sdxl": SDXL}[preset.partition("_")[0]]


def count_training(
    config: TrainingConfig, architecture: Architecture, *, has_tiny_decoder: bool = True
) -> TrainingCost:
    """Count both kinds of steps of a training, in a minute or two.

    Args:
        config: settings of the training.
        architecture: shapes of the base model.
        has_tiny_decoder: an `AutoencoderTiny` decodes the pictures of the losses.
    """
    kinds = (False,) if config.few_step is None else (False, True)
    l_diff, *rest = (
        count_step(config, architecture, has_tiny_decoder=has_tiny_decoder, with_few_step=kind)
        for kind in kinds
    )
    return TrainingCost(
        counted_for=cost_fingerprint(config),
        loading_bytes=_loading_bytes(config, architecture),
        l_diff=l_diff,
        few_step=rest[0] if rest else None,
    )


def count_step(
    config: TrainingConfig, architecture: Architecture, *, has_tiny_decoder: bool, with_few_step: bool
) -> StepCost:
    """Count a step of mixed precision by running it on tensors without content.

    Args:
        config: settings of the training.
        architecture: shapes of the base model.
        has_tiny_decoder: an `AutoencoderTiny` decodes the pictures of the losses.
        with_few_step: count a step in which the few-step half runs, with all its terms.
    """
    config = _with_all_terms(config)
    mode, meter = FakeTensorMode(allow_non_fake_inputs=True), Meter()
    pose = _pose_network(config, mode) if config.needs_pose else None
    with as_on_a_gpu(), quiet_lightning(), meter:
        with mode:
            base = architecture.new_base()
            networks = _LossNetworks(config, base, pose, has_tiny_decoder=has_tiny_decoder)
            system = assemble(config, base, networks, _TextEncoders(base), IMAGE_EMBED_DIM)
            step = _STEP_WITH_FEW_STEP if with_few_step else _STEP_WITHOUT
            batch = _batch(config, architecture, step)
            if has_tiny_decoder:
                base.vae.to("meta")  # it stays in main memory
        peaks = _Peaks(meter)
        trainer = lightning.Trainer(
            max_steps=1,
            accelerator="cpu",
            precision="bf16-mixed",
            callbacks=[peaks],
            logger=False,
            enable_checkpointing=False,
            enable_model_summary=False,
            enable_progress_bar=False,
            use_distributed_sampler=False,
        )
        trainer.fit(system, train_dataloaders=BatchesAhead(lambda _step: batch, 1))
    # This first step makes AdamW's two moments when it is nearly done; later ones hold them from the start.
    moments = 2 * _size(system.trainable_parameters())
    return StepCost(
        weights_bytes=_size(system.parameters()),
        state_bytes=moments + _size(system.ema.shadow_params),
        peak_bytes=max(meter.peak_bytes, peaks.before_optimizer + moments),
        operations=meter.operations,
    )


class _Peaks(lightning.Callback):
    """Starts the meter with the first step, when all networks are on the device; keeps the peak of both halves."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self.before_optimizer = 0

    def on_train_batch_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        del trainer, pl_module, batch, batch_idx
        self._meter.reset()

    def on_before_optimizer_step(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        optimizer: torch.optim.Optimizer,
    ) -> None:
        del trainer, pl_module, optimizer
        self.before_optimizer = self._meter.peak_bytes


def _loading_bytes(config: TrainingConfig, architecture: Architecture) -> int:
    """Main memory of the networks in float32: that of the base model, and the CLIP of L_CLIP."""
    with torch.device("meta"):
        modules = [
            each for each in architecture.new_base().components.values() if isinstance(each, nn.Module)
        ]
        clip = [CLIPModel(CLIPConfig(**CLIP_VIT_L))] if config.needs_clip else []
    return sum(_size(module.parameters()) for module in [*modules, *clip])


def _size(tensors: Iterable[torch.Tensor]) -> int:
    return sum(tensor.nbytes for tensor in tensors)


def _with_all_terms(config: TrainingConfig) -> TrainingConfig:
    """The settings for one device, with every term from the first step on, and the few-step half in even steps."""
    few_step = config.few_step
    if few_step is not None:
        terms = ("l_id", "l_clip", "l_semantic", "l_layout")
        started = {name: replace(getattr(few_step, name), start_step=0) for name in terms}
        few_step = replace(few_step, every_n_steps=2, **started)
    l_id = replace(config.diffusion.l_id, start_step=0)
    return replace(
        config,
        diffusion=replace(config.diffusion, l_id=l_id),
        few_step=few_step,
        hardware=replace(config.hardware, precision="bf16-mixed", devices=1, num_nodes=1),
    )


def _batch(config: TrainingConfig, architecture: Architecture, step: int) -> Batch:
    """A batch of square pictures, as the trainer's loader gives it."""
    size, grid, views = config.batch_size, config.body.grid, config.body.max_views
    channels, side = architecture.vae["latent_channels"], architecture.resolution_px // 8
    num_refs = views if config.ref_encoder_layers else 1
    batch = Batch(
        step=step,
        latents_BCHW=torch.empty(size, channels, side, side, dtype=torch.float16),
        token_ids_BEWT=torch.zeros(
            size, len(architecture.text_encoders), _NUM_WINDOWS, 77, dtype=torch.int64
        ),
        refs_BND=torch.empty(size, num_refs, IMAGE_EMBED_DIM, dtype=torch.float16),
        ref_weights_BN=torch.ones(size, num_refs),
        views_BNCGG=torch.empty(size, views, num_view_channels(channels), grid, grid),
        weights_BN=torch.ones(size, views),
        keypoints_BK3=torch.empty(size, NUM_KEYPOINTS, 3),
        proportions_BM=torch.empty(size, len(LIMBS)),
        proportion_weights_BM=torch.empty(size, len(LIMBS)),
    )
    if config.needs_clip:
        batch["clip_token_ids_BT"] = torch.zeros(size, 77, dtype=torch.int64)
    return batch


class _TextEncoders(TextEncoders):
    """Text encoders that need no tokenizer for the empty prompt."""

    def empty(self, num_windows: int) -> EncodedText:
        """A text of as many windows."""
        encoders = len(self.encoders)
        return self(torch.zeros(1, encoders, num_windows, 77, dtype=torch.int64))


class _LossNetworks(LossNetworks):
    """The networks of the losses in their published shapes, without files."""

    def __init__(
        self, config: TrainingConfig, base: BaseModel, pose: PoseNetwork | None, *, has_tiny_decoder: bool
    ) -> None:
        nn.Module.__init__(self)
        self.pose = pose
        self.clip = _Clip() if config.needs_clip else None
        self.decoder = AutoencoderTiny() if has_tiny_decoder else base.vae
        self.decoder.requires_grad_(False).eval()
        if config.hardware.gradient_checkpointing:
            self.decoder.enable_gradient_checkpointing()


def _pose_network(config: TrainingConfig, mode: FakeTensorMode) -> PoseNetwork:
    """A new YOLO11n pose network. It is made with content, because its constructor looks at numbers."""
    from bolid_pipeline.detection.yolo import build_yolo, save_yolo  # ultralytics need not be installed

    with TemporaryDirectory() as folder:
        file = Path(folder) / "yolo11n-pose.safetensors"
        save_yolo(build_yolo("yolo11n-pose.yaml", 1, (NUM_KEYPOINTS, 3)), file, "yolo11n-pose.yaml")
        network = open_pose_network(WeightsFile(path=file), config.pose_image_size_px)
    return without_content(network, mode)


class _Clip(ClipSimilarity):
    def __init__(self) -> None:
        nn.Module.__init__(self)
        self.clip = CLIPModel(CLIPConfig(**CLIP_VIT_L))
        self.requires_grad_(False).eval()
        self._size = self.clip.config.vision_config.image_size
        self.register_buffer("mean_3", torch.zeros(3), persistent=False)
        self.register_buffer("std_3", torch.ones(3), persistent=False)
