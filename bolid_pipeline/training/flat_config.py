"""Settings as checkpoints stored them before they were grouped: one flat JSON object, `lightning` for `few_step`."""

from collections.abc import Mapping
from typing import Any

_GROUPS: dict[str, dict[str, str]] = {
    "optimizer": {
        name: name for name in ("learning_rate", "warmup_steps", "weight_decay", "max_grad_norm", "ema_decay")
    },
    "dropout": {"drop_text": "text", "drop_ref": "ref", "drop_body": "body", "drop_all": "all"},
    "diffusion": {
        name: name
        for name in ("kl", "l_id", "id_max_timestep", "min_snr_gamma", "noise_offset", "background_weight")
    },
    "body": {
        "max_views": "max_views",
        "num_body_tokens": "num_tokens",
        "is_body_dense": "is_dense",
        "c_body_dim": "c_body_dim",
        "encoder_grid": "grid",
        "encoder_width": "width",
        "encoder_layers": "num_layers",
    },
    "prior": {"prior_steps": "steps", "prior_width": "width"},
    "hardware": {
        name: name for name in ("devices", "num_nodes", "precision", "gradient_checkpointing", "compile_unet")
    },
    "intervals": {
        "log_every_n_steps": "log",
        "checkpoint_every_n_steps": "checkpoint",
        "preview_every_n_steps": "preview",
    },
}


def is_flat(values: Mapping[str, Any]) -> bool:
    """True if stored settings have the old form."""
    return any(old in values for names in _GROUPS.values() for old in names)


def in_groups(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Flat settings in today's groups; a setting that was never known stays where it is."""
    left = dict(flat)
    grouped: dict[str, Any] = {
        group: {new: left.pop(old) for old, new in names.items() if old in left}
        for group, names in _GROUPS.items()
    }
    grouped["hardware"]["shard_frozen_weights"] = left.pop("strategy", "ddp") == "fsdp"
    grouped["few_step"] = left.pop("lightning", None)
    if not grouped["prior"].get("steps"):
        grouped["prior"] = None
    return {**left, **grouped}
