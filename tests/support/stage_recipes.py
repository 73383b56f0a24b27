"""Every stage over photos: its recipe with small models, and photos of three drawn people."""

import numpy as np
import pyarrow as pa
from four_photos import save_models
from tiny_vlm import save_tiny_vlm

from bodyworld.render.identity import sample_identity
from bodyworld.render.renderer import render
from bodyworld.render.scene import sample_scene
from bodyworld.weights import weights_folder
from bolid_pipeline.captioning.config import ClipCaptionConfig, VlmConfig
from bolid_pipeline.captioning.recipe import CaptionRecipe
from bolid_pipeline.curation.config import PeopleConfig
from bolid_pipeline.curation.recipes import PeopleRecipe, WatermarkRecipe
from bolid_pipeline.images.decoding import encode_jpeg
from bolid_pipeline.latents.config import LatentConfig
from bolid_pipeline.latents.recipe import LatentRecipe
from bolid_pipeline.pose.config import PoseConfig
from bolid_pipeline.pose.recipe import PoseRecipe
from bolid_pipeline.pretrained.weights import WeightsFile

HEIGHT, WIDTH = 240, 160


def embedded(role):
    return WeightsFile(path=next(weights_folder(role).glob("*.safetensors")))


def watermark_recipe(_):
    return WatermarkRecipe(weights=embedded("watermark_classifier"))


def people_recipe(_):
    return PeopleRecipe(
        face_weights=embedded("face_detector"),
        person_weights=embedded("pose_estimator"),
        config=PeopleConfig(face_conf=0.1, face_image_size_px=192, person_image_size_px=160),
    )


def pose_recipe(_):
    weights = embedded("pose_estimator")
    return PoseRecipe(weights=weights, person_weights=weights, config=PoseConfig(image_size_px=160))


def clip_caption_recipe(_):
    return CaptionRecipe(model=weights_folder("clip"), config=ClipCaptionConfig(num_contexts=1))


def vlm_caption_recipe(folder):
    return CaptionRecipe(model=save_tiny_vlm(folder), config=VlmConfig(max_new_tokens=3, max_side_px=56))


def latent_recipe(folder):
    poses = pa.table({"model_fingerprint": ["of the test"]})
    config = LatentConfig(resolution_px=64, bucket_multiple_px=16)
    return LatentRecipe.from_poses(poses, models=save_models(folder, seed=0), config=config)


def body_latent_recipe(folder):
    return latent_recipe(folder).body


RECIPES = (
    watermark_recipe,
    people_recipe,
    pose_recipe,
    clip_caption_recipe,
    vlm_caption_recipe,
    latent_recipe,
    body_latent_recipe,
)
"""Each takes an empty folder for its models."""


def draw_people(store):
    """Rows of three photos in the store, each of a person whom the demo's detectors find, with poses."""
    rng = np.random.default_rng(1)
    people = [sample_identity(rng) for _ in range(3)]
    images = [render([(each, sample_scene(rng, sex=each.sex))], HEIGHT, WIDTH, rng).image for each in people]
    keypoints = [[20.0 + 7 * k, 30.0 + 11 * k, 0.9] for k in range(17)]
    return pa.table(
        {
            "photo_id": ["a", "b", "c"],
            "identity": ["ann", "bea", "cem"],
            "path": [store.add(encode_jpeg(image, 95), "jpg")[1] for image in images],
            "width_px": [WIDTH] * 3,
            "height_px": [HEIGHT] * 3,
            "keypoints": [keypoints] * 3,
            "person_box": [[10.0, 10.0, 150.0, 230.0]] * 3,
        }
    )


def rounded(value):
    """The value with floats of two digits: the algorithms differ, and with them the last digits."""
    match value:
        case pa.Table():
            return {name: rounded(value[name].to_pylist()) for name in value.column_names}
        case bytes():
            return np.frombuffer(value, np.float16).round(1).tolist()
        case float():
            return round(value, 2)
        case list():
            return [rounded(each) for each in value]
        case dict():
            return {key: rounded(each) for key, each in value.items()}
        case _:
            return value
