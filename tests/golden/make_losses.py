"""The losses of five steps of the tiny preset with every term of the objective: `make golden` writes losses.json.

Base model, pose network and CLIP are the embedded ones, so that the numbers do not depend on how a library initialises
weights. A change of the maths changes them: make them again in a commit that says why.
"""

import csv
import json
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from random_latents import random_latents
from tiny_training import random_data

from bodyworld.weights import weights_folder
from bolid_pipeline.pretrained.weights import WeightsFile
from bolid_pipeline.training import checkpoint
from bolid_pipeline.training.config import (
    DiffusionConfig,
    DropoutConfig,
    FewStepConfig,
    HardwareConfig,
    OptimizerConfig,
    Term,
    TrainingConfig,
)
from bolid_pipeline.training.fit import fit
from bolid_pipeline.training.loss_networks import LossNetworkFiles
from bolid_pipeline.training.presets import tiny

LOSSES_FILE = Path(__file__).with_name("losses.json")


def config() -> TrainingConfig:
    """The tiny preset with every term, some of everything that is random, and float32 on every machine."""
    return replace(
        tiny(),
        steps=5,
        seed=7,
        num_caption_variants=3,
        optimizer=OptimizerConfig(learning_rate=1e-3, warmup_steps=2),
        dropout=DropoutConfig(text=0.2, ref=0.2, body=0.2),
        diffusion=DiffusionConfig(
            l_id=Term(weight=0.01), id_max_timestep=1000, noise_offset=0.1, background_weight=0.1
        ),
        few_step=FewStepConfig(
            every_n_steps=1,
            batch_size=2,
            gradient_steps=2,
            l_id=Term(weight=0.5),
            l_clip=Term(weight=0.1),
            l_semantic=Term(weight=0.6),
            l_layout=Term(weight=0.1),
        ),
        hardware=HardwareConfig(precision="32-true"),
    )


def losses_of_five_steps() -> dict[str, list[float]]:
    """Every raw term, step by step."""
    vae = json.loads((weights_folder("base_model") / "vae" / "config.json").read_text())
    latents = random_latents(image_embed_dim=128, scaling_factor=vae["scaling_factor"])
    pose = WeightsFile(path=next(weights_folder("pose_estimator").glob("*.safetensors")))
    with TemporaryDirectory() as folder:
        run = fit(
            config(),
            random_data(weights_folder("base_model"), latents),
            Path(folder) / "run",
            networks=LossNetworkFiles(pose=pose, clip=weights_folder("clip")),
            progress=False,
        )
        with (run / checkpoint.LOSSES_FILE).open(newline="") as file:
            rows = list(csv.DictReader(file))
    terms = sorted(name for name in rows[0] if name != "step" and not name.endswith("_weighted"))
    return {name: [float(row[name]) for row in rows] for name in terms}


if __name__ == "__main__":
    LOSSES_FILE.write_text(json.dumps(losses_of_five_steps(), indent=2) + "\n")
