"""What is measured: networks of the published sizes with random weights, or the demo's small ones."""

import hashlib
from abc import ABC, abstractmethod
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from diffusers import AutoencoderTiny
from safetensors.torch import save_file
from transformers import (
    CLIPConfig,
    CLIPImageProcessor,
    CLIPModel,
    CLIPTokenizer,
    CLIPVisionConfig,
    CLIPVisionModelWithProjection,
)

from bodyworld.weights import weights_folder
from bolid_pipeline.curation.config import PeopleConfig
from bolid_pipeline.curation.recipes import PeopleRecipe, WatermarkRecipe
from bolid_pipeline.curation.watermark_network import WatermarkClassifier
from bolid_pipeline.detection.yolo import build_yolo, save_yolo
from bolid_pipeline.images.decoding import encode_jpeg, resize_to
from bolid_pipeline.latents.buckets import Bucket
from bolid_pipeline.latents.cache import LatentTable
from bolid_pipeline.latents.config import LatentConfig, LatentModels, read_model_config
from bolid_pipeline.latents.layout import LatentLayout, to_binary
from bolid_pipeline.latents.recipe import LatentRecipe
from bolid_pipeline.models.architectures import CLIP_VIT_L, IMAGE_EMBED_DIM, SD15, SDXL
from bolid_pipeline.pose.config import PoseConfig
from bolid_pipeline.pose.recipe import PoseRecipe
from bolid_pipeline.pretrained.weights import WeightsFile
from bolid_pipeline.stages.recipe import Recipe
from bolid_pipeline.storage.photos import PhotoStore
from bolid_pipeline.training.data import TrainingData
from bolid_pipeline.training.loss_networks import LossNetworkFiles
from bolid_pipeline.training.presets import PresetName

_CLIP_VIT_H = {
    "hidden_size": 1280,
    "intermediate_size": 5120,
    "num_hidden_layers": 32,
    "num_attention_heads": 16,
    "patch_size": 14,
    "projection_dim": IMAGE_EMBED_DIM,
}
_STAGES = ("watermark_scores", "face_detections", "poses", "latents")


class Sizes(ABC):
    """Models, photos and counts of a run. Models are made when they are first used, in `folder`."""

    steps: tuple[tuple[PresetName, Any], ...]
    """Preset, and half of the objective."""
    stages: tuple[str, ...] = _STAGES
    warm_up_steps: int
    timed_steps: int
    photos_per_batch: int
    num_photos: int
    photo_size: tuple[int, int]
    """Height and width in px."""
    people: PeopleConfig
    pose: PoseConfig
    latents: LatentConfig

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @abstractmethod
    def base_model(self, preset: PresetName) -> Path:
        """Folder of the base model of a preset."""

    @abstractmethod
    def buckets(self, preset: PresetName) -> tuple[Bucket, ...]:
        """The sizes of its pictures."""

    @abstractmethod
    def loss_networks(self) -> LossNetworkFiles:
        """Pose network, CLIP, and tiny decoder."""

    @abstractmethod
    def detector(self, role: str) -> WeightsFile:
        """Weights of `face_detector`, `pose_estimator` or `watermark_classifier`."""

    @abstractmethod
    def latent_models(self) -> LatentModels:
        """The networks that make the latents."""

    @cache  # noqa: B019 - lives as long as the run
    def training_data(self, preset: PresetName) -> TrainingData:
        """Random latents of 16 people for a preset's base model, enough for a batch of each size."""
        base = self.base_model(preset)
        vae = read_model_config(base / "vae")
        factor = 2 ** (len(vae["block_out_channels"]) - 1)
        latents = _random_latents(self.buckets(preset), vae, factor, self.image_embed_dim)
        captions = {
            photo_id: f"a full-length photo of person {number % 5}, standing on a beach in a blue coat"
            for number, photo_id in enumerate(latents.photo_ids)
        }
        return TrainingData(base_model=base, latents=latents, captions=captions)

    @property
    def image_embed_dim(self) -> int:
        """Length of an image embedding."""
        return read_model_config(self.latent_models().image_encoder)["projection_dim"]

    def recipe(self, table: str) -> Recipe:
        """The recipe of a stage."""
        pose = self.detector("pose_estimator")
        match table:
            case "watermark_scores":
                return WatermarkRecipe(weights=self.detector("watermark_classifier"))
            case "face_detections":
                face = self.detector("face_detector")
                return PeopleRecipe(face_weights=face, person_weights=pose, config=self.people)
            case "poses":
                return PoseRecipe(weights=pose, person_weights=pose, config=self.pose)
            case _:
                poses = pa.table({"model_fingerprint": ["benchmark"]})
                return LatentRecipe.from_poses(poses, models=self.latent_models(), config=self.latents)

    @cache  # noqa: B019 - lives as long as the run
    def photos(self) -> tuple[PhotoStore, pa.Table]:
        """Drawn photos with poses: each of 16 pictures in several files, since drawing takes longer than reading."""
        store = PhotoStore(self.folder)
        rng = np.random.default_rng(0)
        height, width = self.photo_size
        pictures = [_draw(rng, height, width) for _ in range(min(16, self.num_photos))]
        # A few bytes behind the end of a JPEG make another file of it.
        paths = [
            store.add(pictures[i % len(pictures)] + i.to_bytes(2, "big"), "jpg")[1]
            for i in range(self.num_photos)
        ]
        keypoints = [[width * (0.3 + 0.02 * k), height * (0.15 + 0.04 * k), 0.9] for k in range(17)]
        box = [0.2 * width, 0.1 * height, 0.7 * width, 0.9 * height]
        count = self.num_photos
        rows = {
            "photo_id": paths,
            "identity": ["someone"] * count,
            "path": paths,
            "width_px": [width] * count,
            "height_px": [height] * count,
            "keypoints": [keypoints] * count,
            "person_box": [box] * count,
        }
        return store, pa.table(rows)


class Published(Sizes):
    """The sizes of a real run."""

    steps = (
        ("sd15_24gb", "l_diff"),
        ("sd15_80gb", "l_diff"),
        ("sd15_24gb", "few_step"),
        ("sd15_80gb", "few_step"),
        ("sd15_12gb", "l_diff"),
        ("sd15_12gb", "few_step"),
        ("sdxl_80gb", "l_diff"),
        ("sdxl_80gb", "few_step"),
        ("sdxl_24gb", "l_diff"),
        ("sdxl_24gb", "few_step"),
    )
    warm_up_steps = 4
    timed_steps = 9
    photos_per_batch = 64
    num_photos = 512
    photo_size = (2048, 1365)
    people = PeopleConfig()
    pose = PoseConfig()
    latents = LatentConfig(resolution_px=512, bucket_multiple_px=64)

    @cache  # noqa: B019 - lives as long as the run
    def base_model(self, preset: PresetName) -> Path:
        """Random weights in float16, made on the GPU; presets of one base model share them."""
        name = preset.partition("_")[0]
        return _base_model(self.folder / name, name)

    def buckets(self, preset: PresetName) -> tuple[Bucket, ...]:
        """Three of the sizes about the base model's resolution."""
        scale = 2 if preset.startswith("sdxl") else 1
        return tuple(Bucket(h * scale, w * scale) for h, w in ((512, 512), (640, 384), (384, 640)))

    @cache  # noqa: B019 - lives as long as the run
    def loss_networks(self) -> LossNetworkFiles:
        """YOLO11n-pose, CLIP ViT-L/14, and TAESD."""
        clip = self.folder / "clip"
        CLIPModel(CLIPConfig(**CLIP_VIT_L)).half().save_pretrained(clip)
        CLIPTokenizer.from_pretrained(weights_folder("base_model") / "tokenizer").save_pretrained(clip)
        CLIPImageProcessor().save_pretrained(clip)
        AutoencoderTiny().save_pretrained(self.folder / "taesd")
        pose = self.detector("pose_estimator")
        return LossNetworkFiles(pose=pose, clip=clip, decoder=self.folder / "taesd")

    @cache  # noqa: B019 - lives as long as the run
    def detector(self, role: str) -> WeightsFile:
        """YOLO11n, YOLO11n-pose, or ConvNeXt-tiny."""
        path = self.folder / f"{role}.safetensors"
        if role == "watermark_classifier":
            save_file(WatermarkClassifier().state_dict(), path)
        else:
            config = "yolo11n-pose.yaml" if role == "pose_estimator" else "yolo11n.yaml"
            save_yolo(
                build_yolo(config, kpt_shape=(17, 3) if role == "pose_estimator" else None), path, config
            )
        return WeightsFile(path=path)

    @cache  # noqa: B019 - lives as long as the run
    def latent_models(self) -> LatentModels:
        """The autoencoder of Stable Diffusion 1.5, and CLIP ViT-H/14."""
        with torch.device("cuda"):
            encoder = CLIPVisionModelWithProjection(CLIPVisionConfig(**_CLIP_VIT_H)).half()
        encoder.save_pretrained(self.folder / "image_encoder")
        CLIPImageProcessor().save_pretrained(self.folder / "feature_extractor")
        return LatentModels(
            vae=self.base_model("sd15_24gb") / "vae",
            image_encoder=self.folder / "image_encoder",
            feature_extractor=self.folder / "feature_extractor",
        )


class Tiny(Sizes):
    """The demo's models, which show on a CPU that the script runs."""

    steps = (("demo", "l_diff"),)
    stages = ("watermark_scores", "latents")
    warm_up_steps = 1
    timed_steps = 1
    photos_per_batch = 2
    num_photos = 4
    photo_size = (240, 160)
    people = PeopleConfig(face_image_size_px=192, person_image_size_px=160)
    pose = PoseConfig(image_size_px=160)
    latents = LatentConfig(resolution_px=64, bucket_multiple_px=16)

    def base_model(self, preset: PresetName) -> Path:  # noqa: ARG002 - there is one
        """The demo's."""
        return weights_folder("base_model")

    def buckets(self, preset: PresetName) -> tuple[Bucket, ...]:  # noqa: ARG002 - there is one
        """One size."""
        return (Bucket(64, 64),)

    def loss_networks(self) -> LossNetworkFiles:
        """The demo's pose network and CLIP."""
        return LossNetworkFiles(pose=self.detector("pose_estimator"), clip=weights_folder("clip"))

    def detector(self, role: str) -> WeightsFile:
        """The demo's."""
        return WeightsFile(path=next(weights_folder(role).glob("*.safetensors")))

    def latent_models(self) -> LatentModels:
        """Of the demo's base model."""
        return LatentModels.of_base_model(weights_folder("base_model"))


def _base_model(folder: Path, name: str) -> Path:
    tokenizer = CLIPTokenizer.from_pretrained(weights_folder("base_model") / "tokenizer")
    with torch.device("cuda"):
        base = {"sd15": SD15, "sdxl": SDXL}[name].new_base(tokenizer)
    base.to(dtype=torch.float16)
    base.save_pretrained(folder)
    return folder


def _random_latents(
    buckets: tuple[Bucket, ...], vae: dict[str, Any], factor: int, embed_dim: int
) -> LatentTable:
    """12 photos of each of 16 people in each size."""
    rng = np.random.default_rng(0)
    layout = LatentLayout(
        latent_shapes={
            each: (vae["latent_channels"], each.height // factor, each.width // factor) for each in buckets
        },
        scaling_factor=vae["scaling_factor"],
        shift_factor=0.0,
        image_embed_dim=embed_dim,
        models="random",
    )
    each_bucket = [bucket for bucket in buckets for _ in range(16 * 12)]
    count = len(each_bucket)
    latents = [rng.normal(size=layout.latent_shapes[bucket]).astype(np.float16) for bucket in each_bucket]
    columns = {
        "photo_id": [hashlib.sha256(str(number).encode()).hexdigest() for number in range(count)],
        "identity": [f"person-{number % 16}" for number in range(count)],
        "latent": to_binary(latents, layout.latent_length),
        "body_latent": to_binary(latents, layout.latent_length),
        "image_embed": to_binary(list(rng.normal(size=(count, embed_dim))), embed_dim),
        "crop": pa.array(
            [[0.0, 0.0, each.width, each.height] for each in each_bucket], pa.list_(pa.float32(), 4)
        ),
        "keypoints": to_binary(list(rng.uniform(0.2, 1, (count, 17, 3))), 17 * 3),
        "model_fingerprint": ["random"] * count,
        "body_fingerprint": ["random"] * count,
    }
    return LatentTable(pa.table(columns, layout.columns), layout)


def _draw(rng: np.random.Generator, height: int, width: int) -> bytes:
    """A JPEG of coloured areas under grain."""
    shapes = resize_to(rng.integers(0, 256, (24, 16, 3), np.uint8), height, width).astype(np.int16)
    grain = rng.normal(0, 6, (height, width, 1)).astype(np.int16)
    return encode_jpeg((shapes + grain).clip(0, 255).astype(np.uint8))
