"""Stages against the bare loop of their networks, and scaled JPEG decoding against PIL's.

    uv run python benchmarks/stage_throughput.py

Networks of the published sizes with random weights (ConvNeXt-tiny; YOLO11n and YOLO11n-pose at 640 px), and an
autoencoder and a CLIP of a quarter of Stable Diffusion's width at 256 px, each on one thread, which leaves a core to
those who read. Photos are drawn noise of 2048 x 1365 px. The bare loop has everything decoded and cut beforehand, and
only calls the networks; the stage starts at JPEG files and ends with rows of its table. Both take turns; the fastest
round of each counts.
"""

import argparse
import io
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from PIL import Image
from safetensors.torch import save_file
from transformers import CLIPImageProcessor, CLIPVisionConfig, CLIPVisionModelWithProjection

from bolid_pipeline.curation.config import PeopleConfig
from bolid_pipeline.curation.recipes import PeopleRecipe, WatermarkRecipe
from bolid_pipeline.curation.watermark_network import (
    INPUT_SIDE_PX,
    WatermarkClassifier,
    load_watermark_classifier,
)
from bolid_pipeline.detection.yolo import build_yolo, detect, load_yolo, save_yolo
from bolid_pipeline.images.decoding import decode_rgb, encode_jpeg, resize_to
from bolid_pipeline.latents.autoencoder import ImageEncoder, LatentEncoder
from bolid_pipeline.latents.config import LatentConfig, LatentModels
from bolid_pipeline.latents.recipe import LatentRecipe
from bolid_pipeline.pretrained.weights import WeightsFile
from bolid_pipeline.stages.batches import run_stage
from bolid_pipeline.stages.recipe import PhotoStage
from bolid_pipeline.storage.photos import PhotoStore

HEIGHT, WIDTH = 2048, 1365
Bare = Callable[[list[Any]], object]
"""Calls the networks on what a stage has read of a batch."""


def main() -> None:
    """Print photos per second."""
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--photos", type=int, default=48)
    arguments.add_argument("--batch", type=int, default=8)
    arguments.add_argument("--rounds", type=int, default=3)
    options = arguments.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store = PhotoStore(folder)
        photos = _draw_photos(store, options.photos)
        _compare_decoders([store.read(path) for path in photos["path"].to_pylist()], options.rounds)
        batches = [photos.slice(start, options.batch) for start in range(0, options.photos, options.batch)]
        for make in (watermark, people, latents):
            stage, bare = make(store, folder)
            _compare_stage(make.__name__, stage, bare, batches, options.rounds)


def watermark(store: PhotoStore, folder: Path) -> tuple[PhotoStage[Any], Bare]:
    """ConvNeXt-tiny."""
    path = folder / "watermark.safetensors"
    save_file(WatermarkClassifier().state_dict(), path)
    model = load_watermark_classifier(path)

    @torch.inference_mode()
    def bare(inputs: list[Any]) -> object:
        return model(torch.stack(inputs)).softmax(dim=-1)

    return WatermarkRecipe(weights=WeightsFile(path=path)).open(store, "cpu"), bare


def people(store: PhotoStore, folder: Path) -> tuple[PhotoStage[Any], Bare]:
    """A face detector and a pose estimator."""
    paths = [folder / "face.safetensors", folder / "pose.safetensors"]
    save_yolo(build_yolo("yolo11n.yaml"), paths[0], "yolo11n.yaml")
    save_yolo(build_yolo("yolo11n-pose.yaml", kpt_shape=(17, 3)), paths[1], "yolo11n-pose.yaml")
    models = [load_yolo(path) for path in paths]
    config = PeopleConfig()

    def bare(images: list[Any]) -> object:
        sizes = (config.face_image_size_px, config.person_image_size_px)
        confs = (config.face_conf, config.person_conf)
        return [
            detect(model, images, image_size=size, conf=conf, iou=config.iou)
            for model, size, conf in zip(models, sizes, confs, strict=True)
        ]

    face, pose = (WeightsFile(path=path) for path in paths)
    recipe = PeopleRecipe(face_weights=face, person_weights=pose, config=config)
    return recipe.open(store, "cpu"), bare


def latents(store: PhotoStore, folder: Path) -> tuple[PhotoStage[Any], Bare]:
    """VAE of the photo and of its weighted twin, and CLIP."""
    blocks = 4
    AutoencoderKL(
        block_out_channels=(32, 64, 128, 128),
        down_block_types=("DownEncoderBlock2D",) * blocks,
        up_block_types=("UpDecoderBlock2D",) * blocks,
        layers_per_block=2,
        latent_channels=4,
        norm_num_groups=8,
    ).save_pretrained(folder / "vae")
    vision = CLIPVisionConfig(
        hidden_size=256, intermediate_size=1024, num_hidden_layers=6, num_attention_heads=4, patch_size=14
    )
    CLIPVisionModelWithProjection(vision).save_pretrained(folder / "image_encoder")
    CLIPImageProcessor().save_pretrained(folder / "feature_extractor")
    models = LatentModels.of_base_model(folder)
    config = LatentConfig(resolution_px=256, bucket_multiple_px=64)
    poses = pa.table({"model_fingerprint": ["benchmark"]})
    recipe = LatentRecipe.from_poses(poses, models=models, config=config)
    vae, clip = LatentEncoder(models.vae), ImageEncoder(models.image_encoder, models.feature_extractor)

    def bare(prepared: list[Any]) -> object:
        plain = [each.plain for each in prepared]
        return vae(plain), vae([each.weighted for each in prepared]), clip(plain)

    return recipe.open(store, "cpu"), bare


def _draw_photos(store: PhotoStore, count: int) -> pa.Table:
    rng = np.random.default_rng(0)
    paths: list[str] = []
    for _ in range(count):
        shapes = resize_to(rng.integers(0, 256, (24, 16, 3), np.uint8), HEIGHT, WIDTH).astype(np.int16)
        grain = rng.normal(0, 6, (HEIGHT, WIDTH, 1)).astype(np.int16)
        picture = (shapes + grain).clip(0, 255).astype(np.uint8)
        paths.append(store.add(encode_jpeg(picture), "jpg")[1])
    keypoints = [[400.0 + 20 * k, 300.0 + 80 * k, 0.9] for k in range(17)]
    return pa.table(
        {
            "photo_id": paths,
            "identity": ["someone"] * count,
            "path": paths,
            "width_px": [WIDTH] * count,
            "height_px": [HEIGHT] * count,
            "keypoints": [keypoints] * count,
            "person_box": [[300.0, 200.0, 900.0, 1900.0]] * count,
        }
    )


def _compare_decoders(files: Sequence[bytes], num_rounds: int) -> None:
    def pil(data: bytes) -> object:
        return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))

    decoders: dict[str, Callable[[bytes], object]] = {
        "PIL, full size": pil,
        "decode_rgb, full size": decode_rgb,
        "decode_rgb for 1024 px": lambda data: decode_rgb(data, min_long_side_px=1024),
        "decode_rgb for 512 px": lambda data: decode_rgb(data, min_long_side_px=512),
        f"decode_rgb for {INPUT_SIDE_PX} px": lambda data: decode_rgb(data, min_side_px=INPUT_SIDE_PX),
    }
    print(
        f"decoding {WIDTH} x {HEIGHT} JPEGs of {np.mean([len(f) for f in files]) / 1000:.0f} KB, one thread"
    )
    rates = _rates(
        {name: lambda decode=decode: [decode(data) for data in files] for name, decode in decoders.items()},
        len(files),
        num_rounds,
    )
    for name, rate in rates.items():
        print(f"  {name:26s} {rate:8.1f} photos/s  {rate / rates['PIL, full size']:5.2f} x PIL's")


def _compare_stage(
    name: str, stage: PhotoStage[Any], bare: Bare, batches: Sequence[pa.Table], num_rounds: int
) -> None:
    read = [[stage.read(photo) for photo in batch.to_pylist()] for batch in batches]
    ways: dict[str, Callable[[], object]] = {
        "bare loop": lambda: [bare(of_batch) for of_batch in read],
        "stage": lambda: list(run_stage(stage, batches)),
        "stage, reading in between": lambda: [stage(batch) for batch in batches],
    }
    rates = _rates(ways, sum(batch.num_rows for batch in batches), num_rounds)
    print(f"{name}")
    for way, rate in rates.items():
        print(f"  {way:26s} {rate:8.2f} photos/s  {rate / rates['bare loop']:6.1%} of the bare loop")


def _rates(ways: dict[str, Callable[[], object]], count: int, num_rounds: int) -> dict[str, float]:
    """Photos per second of each way in its fastest round."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(num_rounds):
        for name, work in ways.items():
            started = time.perf_counter()
            work()
            seconds[name].append(time.perf_counter() - started)
    return {name: count / min(rounds) for name, rounds in seconds.items()}


if __name__ == "__main__":
    main()
