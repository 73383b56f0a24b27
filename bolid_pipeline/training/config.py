"""Every number of a training run. This module imports nothing heavy: Dagster reads it when definitions load."""

from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal, get_args

from bolid_pipeline.errors import ConfigurationError

Sampler = Literal["euler", "ddim", "lcm", "tcd"]
Strategy = Literal["ddp", "fsdp"]

_PROBABILITIES = ("drop_text", "drop_ref", "drop_body", "drop_all", "heldout_fraction", "ema_decay")
_POSITIVE = (
    "steps",
    "batch_size",
    "max_views",
    "num_body_tokens",
    "c_body_dim",
    "learning_rate",
    "num_caption_variants",
    "log_every_n_steps",
    "checkpoint_every_n_steps",
    "devices",
    "num_nodes",
)


@dataclass(frozen=True, kw_only=True)
class Term:
    """A term of the objective, and when it starts.

    Attributes:
        weight: what it is multiplied by; 0 leaves it out and costs nothing.
        start_step: the first step that it takes part in.
        ramp_steps: steps over which its weight then rises from 0, linearly.
    """

    weight: float = 0.0
    start_step: int = 0
    ramp_steps: int = 0

    def weight_at(self, step: int) -> float:
        """The weight at a step."""
        if step < self.start_step:
            return 0.0
        return self.weight * min(1.0, (step - self.start_step + 1) / (self.ramp_steps + 1))


@dataclass(frozen=True, kw_only=True)
class LightningConfig:
    """The Lightning branch: losses on a picture sampled in a few steps, with a backward pass of its own.

    Attributes:
        every_n_steps: it runs in every so many-th step.
        batch_size: samples of the batch that it takes, the first ones; None takes all.
        sampler: of diffusers; "lcm" and "tcd" suit base models that were distilled for them.
        num_steps: of the sampler.
        gradient_steps: steps through which the gradient goes.
        gradient_from: the last ones, or as many drawn at random.
        checkpointing: recompute the U-Net's activations of these steps instead of keeping them.
        l_id: keypoints or proportions.
        id_mode: "proportions" leaves the pose free; "absolute" wants the target photo's keypoints.
        l_clip: the picture against its caption.
        l_semantic: PuLID's alignment of what the text gathers (0.6 in the paper).
        l_layout: PuLID's alignment of the queries (0.1 in the paper).
    """

    every_n_steps: int = 4
    batch_size: int | None = None
    sampler: Sampler = "ddim"
    num_steps: int = 4
    gradient_steps: int = 1
    gradient_from: Literal["last", "random"] = "last"
    checkpointing: bool = True
    l_id: Term = field(default_factory=Term)
    id_mode: Literal["proportions", "absolute"] = "proportions"
    l_clip: Term = field(default_factory=Term)
    l_semantic: Term = field(default_factory=Term)
    l_layout: Term = field(default_factory=Term)

    def __post_init__(self) -> None:
        """Raise ConfigurationError where the gradient is asked to go through more steps than there are, or none."""
        if not 1 <= self.gradient_steps <= self.num_steps:
            raise ConfigurationError(
                f"gradient_steps must be 1 to num_steps={self.num_steps}, not {self.gradient_steps}"
            )

    def weights_at(self, step: int) -> dict[str, float]:
        """The weights of the terms that count at a step, by their logged names; empty where the branch does not run."""
        if step % self.every_n_steps:
            return {}
        weights = {name: term.weight_at(step) for name, term in self._terms().items()}
        return {name: weight for name, weight in weights.items() if weight}

    def highest_weights(self) -> dict[str, float]:
        """The weights of all terms that ever count."""
        return {name: term.weight for name, term in self._terms().items() if term.weight}

    def _terms(self) -> dict[str, Term]:
        return {
            "lightning_l_id": self.l_id,
            "lightning_l_clip": self.l_clip,
            "lightning_l_semantic": self.l_semantic,
            "lightning_l_layout": self.l_layout,
        }


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """How the branches are trained; the base model decides resolution and architecture.

    Attributes:
        steps: optimiser steps.
        batch_size: target photos per step of all processes together, all of one aspect bucket.
        learning_rate: peak of AdamW's rate, reached after the warm-up, then a cosine down to 0.
        warmup_steps: steps of linear warm-up.
        weight_decay: AdamW's.
        max_grad_norm: gradients are clipped to this norm.
        drop_text: probability that a sample trains with the empty prompt in place of its caption.
        drop_ref: probability that a sample trains without its reference photo.
        drop_body: probability that a sample trains without its body.
        drop_all: probability of all three at once. The four are drawn independently, so that every subset occurs.
            Without conditions the model is exactly the frozen base model (see `models.adapters`), which teaches
            nothing: 0 loses nothing.
        num_caption_variants: a sample's caption is the whole one, or one of these less one that lack some of its parts:
            what the words leave unsaid, the body has to say.
        kl: KL term of the body encoder, nats per element of c_body.
        l_id: L_id on the one-step estimate of the clean picture, against the target's own keypoints.
        id_max_timestep: samples noisier than this take no part in it, of the base model's 1000.
        lightning: the Lightning branch; None trains without.
        pose_image_size_px: side of the square that the pose network of L_id sees, a multiple of 32.
        min_snr_gamma: gamma of the min-SNR weighting (arXiv 2303.09556); None weighs all timesteps alike.
        noise_offset: strength of offset noise; 0.1 is usual, 0 is plain noise.
        background_weight: what L_diff counts far from every keypoint, of what it counts at one (see `losses.focus`).
        max_views: a sample's body is encoded from 1 to this many other photos of the person.
        num_body_tokens: tokens that c_body is projected to.
        is_body_dense: body tokens pooled by keypoint group, in place of the thesis' one vector.
        c_body_dim: length of c_body (756 in the thesis).
        encoder_grid: cells along the longer side of a body latent, as the body encoder sees it; a multiple of 4.
        encoder_width: channels of the body encoder.
        encoder_layers: attention blocks of the body encoder.
        ref_encoder_layers: 0: the reference branch sees one photo of the person; more: as many self-attention blocks
            across the photos that the body is encoded from (the thesis' prototype, `models.reference_encoder`).
        prior_steps: optimiser steps of the body prior, which is trained on the finished body bank; 0 trains none.
        prior_width: channels of the body prior, a multiple of 4.
        ema_decay: highest decay of the running mean of the trained weights, which is what gets saved.
        heldout_fraction: share of every person's photos that is never trained on, for the evaluation.
        precision: "auto" is bf16-mixed on a GPU that knows bfloat16, and float32 elsewhere.
        gradient_checkpointing: recompute the U-Net's activations instead of keeping them.
        devices: processes on each machine, one a device; several share every batch and do the same as one.
        num_nodes: machines.
        strategy: "ddp": every process has the whole base model; "fsdp": it keeps its share of the U-Net's frozen
            weights, and gets the others' of a block when the block runs.
        compile_unet: let torch.compile fuse the U-Net: minutes at the start, faster steps on a GPU.
        log_every_n_steps: the losses of every so many-th step are written down; reading them waits for the device.
        checkpoint_every_n_steps: what a killed run can lose.
        preview_every_n_steps: fixed prompts are drawn this often; None draws none.
        seed: of new weights, batches, noise and dropout.
    """

    steps: int
    batch_size: int
    learning_rate: float = 1e-4
    warmup_steps: int = 0
    weight_decay: float = 0.01
    max_grad_norm: float = 1.0
    drop_text: float = 0.05
    drop_ref: float = 0.05
    drop_body: float = 0.05
    drop_all: float = 0.05
    num_caption_variants: int = 1
    kl: Term = field(default_factory=lambda: Term(weight=1e-4))
    l_id: Term = field(default_factory=Term)
    id_max_timestep: int = 250
    lightning: LightningConfig | None = None
    pose_image_size_px: int = 640
    min_snr_gamma: float | None = 5.0
    noise_offset: float = 0.0
    background_weight: float = 1.0
    max_views: int = 4
    num_body_tokens: int = 4
    is_body_dense: bool = False
    c_body_dim: int = 756
    encoder_grid: int = 16
    encoder_width: int = 256
    encoder_layers: int = 2
    ref_encoder_layers: int = 0
    prior_steps: int = 0
    prior_width: int = 256
    ema_decay: float = 0.9999
    heldout_fraction: float = 0.1
    precision: Literal["auto", "32-true", "bf16-mixed"] = "auto"
    gradient_checkpointing: bool = False
    devices: int = 1
    num_nodes: int = 1
    strategy: Strategy = "ddp"
    compile_unet: bool = False
    log_every_n_steps: int = 1
    checkpoint_every_n_steps: int = 1000
    preview_every_n_steps: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse numbers outside their range.

        Raises:
            ConfigurationError: naming the field and its value.
        """
        for name in _POSITIVE:
            if getattr(self, name) <= 0:
                raise ConfigurationError(f"{name} must be positive, not {getattr(self, name)}")
        for name in _PROBABILITIES:
            if not 0 <= getattr(self, name) < 1:
                raise ConfigurationError(f"{name} must be in [0, 1), not {getattr(self, name)}")
        if self.batch_size % self.num_processes:
            raise ConfigurationError(
                f"batch_size {self.batch_size} cannot be shared by {self.num_processes} processes alike"
            )
        if not 0 < self.background_weight <= 1:
            raise ConfigurationError(f"background_weight must be in (0, 1], not {self.background_weight}")
        if self.strategy not in get_args(Strategy):
            raise ConfigurationError(f"strategy is {self.strategy!r}, not one of {get_args(Strategy)}")
        if self.encoder_grid % 4:
            raise ConfigurationError(f"encoder_grid must be a multiple of 4, not {self.encoder_grid}")

    @property
    def num_processes(self) -> int:
        """That share the training."""
        return self.devices * self.num_nodes

    @property
    def needs_pose(self) -> bool:
        """Whether a term needs the pose network."""
        return self.l_id.weight > 0 or (self.lightning is not None and self.lightning.l_id.weight > 0)

    @property
    def needs_clip(self) -> bool:
        """Whether a term needs a CLIP."""
        return self.lightning is not None and self.lightning.l_clip.weight > 0

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON can hold them."""
        return asdict(self)

    @classmethod
    def from_json(cls, fields_json: dict[str, Any]) -> "TrainingConfig":
        """The inverse of `to_json`.

        Raises:
            ConfigurationError: a field that this version does not know.
        """
        return _from_json(cls, fields_json)


_NESTED: dict[str, type] = {
    "kl": Term,
    "l_id": Term,
    "l_clip": Term,
    "l_semantic": Term,
    "l_layout": Term,
    "lightning": LightningConfig,
}


def _from_json(cls: Any, fields_json: dict[str, Any]) -> Any:
    unknown = set(fields_json) - {field.name for field in fields(cls)}
    if unknown:
        raise ConfigurationError(f"unknown training settings: {', '.join(sorted(unknown))}")
    nested = {
        name: _from_json(_NESTED[name], value)
        for name, value in fields_json.items()
        if isinstance(value, dict)
    }
    return cls(**{**fields_json, **nested})


def demo() -> TrainingConfig:
    """About a minute and a half on two cores: 64 px, a few people.

    The reference is dropped often, because the demo draws from text. All noise levels weigh alike, as they did when
    the small base model learned to predict v: min-SNR would leave little weight where a body's outline is decided.
    """
    return TrainingConfig(
        steps=300,
        batch_size=16,
        learning_rate=1e-3,
        warmup_steps=10,
        drop_text=0.1,
        drop_ref=0.7,
        drop_all=0.0,
        num_caption_variants=4,
        pose_image_size_px=192,
        min_snr_gamma=None,
        ema_decay=0.98,
        encoder_width=128,
        prior_steps=200,
        prior_width=128,
        checkpoint_every_n_steps=50,
    )


def sd15() -> TrainingConfig:
    """Stable Diffusion 1.5 at 512 px on one large GPU: the thesis' dropout, the whole objective.

    The Lightning branch starts when the bodies can be seen; its sampler makes do with any base model. The gradient goes
    through its last step: all of them cost more and did no better (docs/benchmarks.md, "Body identity").
    """
    return TrainingConfig(
        steps=50_000,
        batch_size=32,
        warmup_steps=1000,
        num_caption_variants=2,
        l_id=Term(weight=0.01, start_step=2000, ramp_steps=2000),
        lightning=LightningConfig(
            every_n_steps=4,
            batch_size=4,
            l_id=Term(weight=0.5, start_step=5000, ramp_steps=5000),
            l_clip=Term(weight=0.1, start_step=5000, ramp_steps=5000),
            l_semantic=Term(weight=0.6, start_step=5000),
            l_layout=Term(weight=0.1, start_step=5000),
        ),
        prior_steps=20_000,
        prior_width=512,
        gradient_checkpointing=True,
        log_every_n_steps=50,
        preview_every_n_steps=1000,
    )


def sdxl() -> TrainingConfig:
    """Stable Diffusion XL at 1024 px: as SD 1.5, in batches a quarter as large; a photo is four times the latents."""
    sd15_config = sd15()
    assert sd15_config.lightning is not None  # noqa: S101 - it is written above
    return replace(
        sd15_config, batch_size=8, encoder_grid=32, lightning=replace(sd15_config.lightning, batch_size=1)
    )
