"""Every number of a training run. This module imports nothing heavy: Dagster reads it when definitions load."""

from enum import StrEnum
from typing import Annotated, Literal

from bolid_pipeline.models.samplers import SamplerName
from bolid_pipeline.settings import Field, YoloSizePx, settings

Count = Annotated[int, Field(gt=0)]
Step = Annotated[int, Field(ge=0)]
BelowOne = Annotated[float, Field(ge=0, lt=1)]


class Loss(StrEnum):
    """The terms of the objective, by the names under which they are logged."""

    L_DIFF = "l_diff"
    KL = "kl"
    L_ID = "l_id"
    FEW_STEP_L_ID = "few_step_l_id"
    FEW_STEP_L_CLIP = "few_step_l_clip"
    FEW_STEP_L_SEMANTIC = "few_step_l_semantic"
    FEW_STEP_L_LAYOUT = "few_step_l_layout"


@settings
class Term:
    """The weight of a term of the objective, and when the term starts."""

    weight: Annotated[float, Field(ge=0)] = 0.0
    """Factor of the raw term; 0 leaves the term out, and then it costs nothing."""
    start_step: Step = 0
    """First step that the term takes part in."""
    ramp_steps: Step = 0
    """Steps over which the weight then rises linearly from 0."""

    def weight_at(self, step: int) -> float:
        """The weight at a step."""
        if step < self.start_step:
            return 0.0
        return self.weight * min(1.0, (step - self.start_step + 1) / (self.ramp_steps + 1))


@settings
class OptimizerConfig:
    """AdamW with a warm-up and a cosine schedule, and the running mean of the trained weights."""

    learning_rate: Annotated[float, Field(gt=0)] = 1e-4
    """Highest learning rate, reached after the warm-up; a cosine then lowers it to 0."""
    warmup_steps: Step = 0
    """Steps of linear warm-up."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    """Weight decay of AdamW."""
    max_grad_norm: Annotated[float, Field(gt=0)] = 1.0
    """Gradients are clipped to this norm."""
    ema_decay: BelowOne = 0.9999
    """Highest decay of the running mean (EMA) of the trained weights; the running mean is what gets saved."""


@settings
class DropoutConfig:
    """Probabilities of training a sample without some of its conditions.

    The four are drawn independently of each other, so that every subset of conditions occurs.
    """

    text: BelowOne = 0.05
    """The empty prompt takes the place of the caption."""
    ref: BelowOne = 0.05
    """The reference photo is left out."""
    body: BelowOne = 0.05
    """The body is left out."""
    all: BelowOne = 0.05
    """All three are left out. The model then is the frozen base model (see `models.adapters`), so such a sample
    teaches nothing: 0 loses nothing."""


@settings
class DiffusionConfig:
    """The diffusion half of the objective: the terms that a single noisy picture gives."""

    kl: Term = Term(weight=1e-4)
    """KL term of the body encoder, in nats per element of c_body."""
    l_id: Term = Term()
    """L_id on the one-step estimate of the clean picture, against the keypoints of the target photo."""
    id_max_timestep: int = 250
    """Samples noisier than this timestep take no part in L_id; the base model has 1000 timesteps."""
    min_snr_gamma: Annotated[float, Field(gt=0)] | None = 5.0
    """Gamma of the min-SNR weighting (arXiv 2303.09556); None weights all timesteps alike."""
    noise_offset: Annotated[float, Field(ge=0)] = 0.0
    """Strength of offset noise: 0.1 is usual, 0 is plain noise."""
    background_weight: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Weight of L_diff far from every keypoint, where 1 is its weight at a keypoint (see `losses.focus`)."""

    def weights_at(self, step: int) -> dict[Loss, float]:
        """The weight of each term that counts at a step."""
        weights = {
            Loss.L_DIFF: 1.0,
            Loss.KL: self.kl.weight_at(step),
            Loss.L_ID: self.l_id.weight_at(step),
        }
        return {loss: weight for loss, weight in weights.items() if weight}


@settings
class FewStepConfig:
    """The few-step half of the objective: losses on a picture sampled in a few steps, with their own backward pass."""

    every_n_steps: Count = 4
    """It runs in every n-th training step."""
    batch_size: Count | None = None
    """It takes this many samples of the batch, the first ones; None takes all."""
    sampler: SamplerName = "ddim"
    """Sampler of `models.samplers`; "lcm" and "tcd" suit base models that were distilled for them."""
    num_steps: Count = 4
    """Steps of the sampler."""
    gradient_steps: Count = 1
    """Sampler steps through which the gradient flows, 1 to `num_steps`."""
    gradient_from: Literal["last", "random"] = "last"
    """These are the last steps, or are drawn at random for each training step."""
    checkpointing: bool = True
    """Recompute the activations of the U-Net in these steps instead of keeping them."""
    l_id: Term = Term()
    """L_id: the difference of the picture's body from the person's."""
    id_mode: Literal["proportions", "absolute"] = "proportions"
    """What L_id compares: "proportions" leaves the pose free; "absolute" wants the keypoints of the target photo."""
    l_clip: Term = Term()
    """L_CLIP: the difference of the picture from its caption."""
    l_semantic: Term = Term()
    """PuLID's alignment of what the text gathers from the picture (0.6 in the paper)."""
    l_layout: Term = Term()
    """PuLID's alignment of the queries of the cross-attention (0.1 in the paper)."""

    def __post_init__(self) -> None:
        """Refuse more gradient steps than steps."""
        if self.gradient_steps > self.num_steps:
            raise ValueError(
                f"gradient_steps is {self.gradient_steps}: it must be at most num_steps, {self.num_steps}"
            )

    def weights_at(self, step: int) -> dict[Loss, float]:
        """The weight of each term that counts at a step; empty where the few-step half does not run."""
        if step % self.every_n_steps:
            return {}
        weights = {loss: term.weight_at(step) for loss, term in self._terms().items()}
        return {loss: weight for loss, weight in weights.items() if weight}

    def losses(self) -> frozenset[Loss]:
        """All terms that count at some step."""
        return frozenset(loss for loss, term in self._terms().items() if term.weight)

    def _terms(self) -> dict[Loss, Term]:
        return {
            Loss.FEW_STEP_L_ID: self.l_id,
            Loss.FEW_STEP_L_CLIP: self.l_clip,
            Loss.FEW_STEP_L_SEMANTIC: self.l_semantic,
            Loss.FEW_STEP_L_LAYOUT: self.l_layout,
        }


@settings
class BodyConfig:
    """The body branch: how views of a person become c_body, and c_body becomes tokens."""

    max_views: Count = 4
    """A sample's body is encoded from 1 to this many other photos of the person."""
    num_tokens: Count = 4
    """Tokens that c_body is projected to."""
    is_dense: bool = False
    """Pool the body tokens by keypoint group, in place of the thesis' one vector."""
    c_body_dim: Count = 756
    """Length of c_body (756 in the thesis)."""
    grid: Annotated[int, Field(gt=0, multiple_of=4)] = 16
    """Cells along the longer side of a body latent, as the body encoder sees it."""
    width: Annotated[int, Field(gt=0, multiple_of=4)] = 256
    """Channels of the body encoder."""
    num_layers: Count = 2
    """Attention blocks of the body encoder."""


@settings
class PriorConfig:
    """The body prior, which is trained on the finished body bank: size and effort."""

    steps: Count
    """Optimiser steps."""
    width: Count = 256
    """Channels of the prior, a multiple of `num_heads`."""
    num_layers: Count = 4
    """Transformer blocks."""
    num_heads: Count = 4
    """Attention heads of each block."""
    batch_size: Count = 64
    """Captions per step."""
    learning_rate: Annotated[float, Field(gt=0)] = 3e-4
    """Learning rate of AdamW."""

    def __post_init__(self) -> None:
        """Refuse a width that the heads cannot share."""
        if self.width % self.num_heads:
            raise ValueError(f"width is {self.width}: it must be a multiple of num_heads, {self.num_heads}")


@settings
class HardwareConfig:
    """The devices of a training, and what it trades for speed or memory."""

    devices: Count = 1
    """Processes on each machine, one per device; they share every batch and compute what one process would."""
    num_nodes: Count = 1
    """Machines."""
    shard_frozen_weights: bool = False
    """Each process keeps a share of the frozen weights of the U-Net, and fetches the others of a block when it runs."""
    precision: Literal["auto", "32-true", "bf16-mixed"] = "auto"
    """"auto" is bf16-mixed on a GPU that supports bfloat16, and float32 elsewhere; in bf16-mixed the frozen weights are
    bfloat16 and the trained ones float32."""
    gradient_checkpointing: bool = False
    """Recompute the activations of the U-Net and of the decoder of pictures instead of keeping them."""
    compile_unet: bool = False
    """On a GPU, let torch.compile fuse the U-Net: minutes at the start per picture size, then faster steps."""

    @property
    def num_processes(self) -> int:
        """Number of processes that share the training."""
        return self.devices * self.num_nodes


@settings
class IntervalsConfig:
    """How often a training writes something, in steps."""

    log: Count = 1
    """Steps from one log of the losses to the next; reading them waits for the device."""
    checkpoint: Count = 1000
    """Steps from one save of the state to the next; a killed run loses at most this many."""
    preview: Count | None = None
    """Steps from one drawing of fixed prompts to the next; None draws none."""


@settings
class TrainingConfig:
    """How the branches are trained; the base model decides resolution and architecture."""

    steps: Count
    """Optimiser steps."""
    batch_size: Count
    """Target photos per step of all processes together, all of one aspect bucket."""
    seed: Step = 0
    """Seed of new weights, batches, noise and dropout."""
    heldout_fraction: BelowOne = 0.1
    """Share of every person's photos that is kept for the evaluation and never trained on."""
    num_caption_variants: Count = 1
    """Caption versions per photo: the full one, and n - 1 with phrases dropped at random, so that the body branch must
    supply what the text omits."""
    ref_encoder_layers: Step = 0
    """0: the reference branch sees one photo of the person. More: it sees the photos that the body is encoded from,
    through this many self-attention blocks across them (the thesis' prototype, `models.reference_encoder`)."""
    start_from: str | None = None
    """Weights that training starts with: the role of published ones ("ip_adapter", the reference branch), or the path
    of an IP-Adapter file (the same) or of a whole BoLID checkpoint; None starts with new branches."""
    pose_image_size_px: YoloSizePx = 640
    """Side of the square that the pose network of L_id sees."""
    optimizer: OptimizerConfig = OptimizerConfig()
    dropout: DropoutConfig = DropoutConfig()
    diffusion: DiffusionConfig = DiffusionConfig()
    few_step: FewStepConfig | None = None
    """None trains without the few-step half."""
    body: BodyConfig = BodyConfig()
    prior: PriorConfig | None = None
    """None trains no body prior."""
    hardware: HardwareConfig = HardwareConfig()
    intervals: IntervalsConfig = IntervalsConfig()

    def __post_init__(self) -> None:
        """Refuse a batch that the processes cannot share."""
        num_processes = self.hardware.num_processes
        if self.batch_size % num_processes:
            raise ValueError(
                f"batch_size {self.batch_size} cannot be shared by {num_processes} processes alike"
            )

    @property
    def needs_pose(self) -> bool:
        """True if a term needs the pose network."""
        return self.diffusion.l_id.weight > 0 or (self.few_step is not None and self.few_step.l_id.weight > 0)

    @property
    def needs_clip(self) -> bool:
        """True if a term needs a CLIP."""
        return self.few_step is not None and self.few_step.l_clip.weight > 0
