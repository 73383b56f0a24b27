"""CLIP-T, CLIP-I and retrieval of people, from CLIP embeddings of generated pictures.

CLIP-T is the cosine between a picture and its prompt, CLIP-I the cosine between a picture and the mean of the person's
real photos. A picture is retrieved if the nearest such mean is that of the person it shows; by chance, this happens
once in as many pictures as there are people.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F
from transformers import AutoTokenizer, CLIPImageProcessor, CLIPModel

from bolid_pipeline.errors import WeightsMissing
from bolid_pipeline.evaluation.drawn_people import DrawnPicture
from bolid_pipeline.latents.cache import LatentTable
from bolid_pipeline.models.pipeline import AnyBoLIDPipeline
from bolid_pipeline.pretrained.loading import loading


@torch.inference_mode()
def clip_t(samples: Sequence[DrawnPicture], clip_folder: Path) -> float:
    """Mean cosine of each picture and its prompt, by a CLIPModel folder with its tokenizer and processor.

    Raises:
        WeightsMissing: the folder is missing.
    """
    if not clip_folder.is_dir():
        raise WeightsMissing(f"no CLIP at {clip_folder}")
    with loading(clip_folder):
        clip = CLIPModel.from_pretrained(clip_folder, local_files_only=True, dtype=torch.float32).eval()
        tokenizer = AutoTokenizer.from_pretrained(clip_folder, local_files_only=True)
        processor = CLIPImageProcessor.from_pretrained(clip_folder, local_files_only=True)
    tokens = tokenizer(
        [sample.prompt for sample in samples], padding=True, truncation=True, return_tensors="pt"
    )
    pixels = processor(images=[sample.picture for sample in samples], return_tensors="pt")["pixel_values"]
    texts_ND = clip.text_projection(clip.text_model(**tokens).pooler_output)
    images_ND = clip.visual_projection(clip.vision_model(pixel_values=pixels).pooler_output)
    return float(F.cosine_similarity(texts_ND, images_ND).mean())


@torch.inference_mode()
def identity_scores(
    pipe: AnyBoLIDPipeline, samples: Sequence[DrawnPicture], latents: LatentTable
) -> dict[str, float]:
    """CLIP-I and retrieval of samples of named people, by the base model's own image encoder.

    Args:
        pipe: a pipeline whose image encoder made the embeddings of `latents`.
        samples: pictures of named people.
        latents: the real photos' embeddings.

    Returns:
        {"clip_i", "identity_top1", "identity_chance"}; empty without an image encoder or samples.
    """
    if pipe.image_encoder is None or not samples:
        return {}
    people = sorted({str(sample.identity) for sample in samples})
    embeds, _ = pipe.encode_image([sample.picture for sample in samples], pipe.device, 1)
    drawn_ND = _normalised(embeds.float().cpu().numpy())
    rows_of = latents.rows_of_people()
    real_PD = np.stack([_mean_embedding(latents, np.array(rows_of[person])) for person in people])
    cosine_NP = drawn_ND @ real_PD.T
    wanted_N = np.array([people.index(str(sample.identity)) for sample in samples])
    return {
        "clip_i": float(cosine_NP[np.arange(len(samples)), wanted_N].mean()),
        "identity_top1": float((cosine_NP.argmax(1) == wanted_N).mean()),
        "identity_chance": 1 / len(people),
    }


def _mean_embedding(latents: LatentTable, rows: NDArray[np.intp]) -> NDArray[np.float32]:
    return _normalised(_normalised(latents.image_embeds(rows).astype(np.float32)).mean(0))


def _normalised(embeds: NDArray[np.float32]) -> NDArray[np.float32]:
    return embeds / np.linalg.norm(embeds, axis=-1, keepdims=True).clip(1e-8)
