"""Four photos of two people with poses, and small models that make their latents."""

from functools import partial

import numpy as np
import pyarrow as pa
import torch
from diffusers import AutoencoderKL
from transformers import CLIPImageProcessor, CLIPVisionConfig, CLIPVisionModelWithProjection

from bolid_pipeline.images.decoding import encode_jpeg, resize_to
from bolid_pipeline.latents.config import LatentConfig, LatentModels
from bolid_pipeline.latents.recipe import LatentRecipe
from bolid_pipeline.latents.selection import photos_with_pose
from bolid_pipeline.stages.batches import compute_here
from bolid_pipeline.stages.refresh import refresh_table
from bolid_pipeline.storage.photos import PhotoStore
from bolid_pipeline.storage.schemas import SCHEMAS
from bolid_pipeline.storage.tables import TableStore

CONFIG = LatentConfig(resolution_px=64, bucket_multiple_px=16)
SIZES = {"a": (100, 160), "b": (160, 100), "c": (120, 120), "d": (101, 157)}  # photo -> width, height


def save_models(folder, seed):
    torch.manual_seed(seed)
    vae = AutoencoderKL(
        block_out_channels=(4, 8, 8),
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        latent_channels=4,
        norm_num_groups=2,
        layers_per_block=1,
        scaling_factor=0.25,
    )
    vae.save_pretrained(folder / "vae")
    vision = CLIPVisionConfig(
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        image_size=32,
        patch_size=16,
        projection_dim=24,
    )
    CLIPVisionModelWithProjection(vision).save_pretrained(folder / "image_encoder")
    CLIPImageProcessor(size={"height": 32, "width": 32}, do_center_crop=False).save_pretrained(
        folder / "feature_extractor"
    )
    return LatentModels.of_base_model(folder)


class World:
    """Four photos of two people with poses, in a data folder of their own."""

    def __init__(self, folder):
        rng = np.random.default_rng(0)
        self.folder = folder
        self.tables, self.store = TableStore(folder), PhotoStore(folder)
        self.images = {
            name: resize_to(rng.integers(0, 256, (8, 8, 3), np.uint8), h, w) for name, (w, h) in SIZES.items()
        }
        blank = dict.fromkeys(SCHEMAS["raw_photos"].columns.names)
        photos = [
            blank
            | {
                "photo_id": name,
                "identity": "bob" if name == "a" else "ann",
                "width_px": w,
                "height_px": h,
                "path": self.store.add(encode_jpeg(self.images[name], 100), "jpg")[1],
            }
            for name, (w, h) in SIZES.items()
        ]
        poses = [
            {
                "photo_id": name,
                "person_box": [10.0, 10.0, 90.0, 90.0],
                "model_fingerprint": "p",
                "keypoints": [[20.0 + 3 * k, 30.0 + 2 * k, 0.25 if k % 2 else 0.75] for k in range(17)],
            }
            for name in SIZES
        ]
        self.photos = pa.Table.from_pylist(photos, SCHEMAS["raw_photos"].columns)
        self.poses = pa.Table.from_pylist(poses, SCHEMAS["poses"].columns)

    def refresh(self, models, config=CONFIG, *, batch_size=16, rows_per_commit=64):
        """The reports about whole rows and about body latents alone."""
        photos = photos_with_pose(self.photos, self.poses, config.min_keypoint_conf)
        recipe = LatentRecipe.from_poses(self.poses, models=models, config=config)
        return [
            refresh_table(
                self.tables,
                each,
                photos,
                partial(compute_here, each, self.store, batch_size=batch_size, device="cpu"),
                rows_per_commit=rows_per_commit,
            )
            for each in (recipe, recipe.body)
        ]
