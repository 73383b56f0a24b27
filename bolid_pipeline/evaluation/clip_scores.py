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

from bolid_pipeline.evaluation.drawn_people import DrawnPicture
from bolid_pipeline.latents.cache import LatentTable
from bolid_pipeline.models.pipeline import AnyBoLIDPipeline
from bolid_pipeline.pretrained.device import drawing_dtype
from bolid_pipeline.pretrained.loading import loading
from bolid_pipeline.pretrained.memory import BatchSize
from bolid_pipeline.pretrained.model_folders import load_network


@torch.inference_mode()
def clip_t(
    samples: Sequence[DrawnPicture], clip_folder: Path, *, device: str = "cpu", batch_size: int = 24
) -> float:
    """Mean cosine of each picture and its prompt.

    Args:
        samples: at least one.
        clip_folder: a CLIPModel with its tokenizer and processor.
        device: where it runs; half precision on a GPU.
        batch_size: pictures measured at once; halved where they do not fit.

    Raises:
        WeightsMissing: the folder is missing.
    """
    clip = load_network(CLIPModel, clip_folder, dtype=drawing_dtype(device)).to(device)
    with loading(clip_folder):
        tokenizer = AutoTokenizer.from_pretrained(clip_folder, local_files_only=True)
        processor = CLIPImageProcessor.from_pretrained(clip_folder, local_files_only=True)

    def cosines(part: slice) -> torch.Tensor:
        prompts = [sample.prompt for sample in samples[part]]
        pictures = [sample.picture for sample in samples[part]]
        tokens = tokenizer(prompts, padding=True, truncation=True, return_tensors="pt").to(device)
        pixels_B3HW = processor(images=pictures, return_tensors="pt")["pixel_values"].to(device, clip.dtype)
        texts_BD = clip.text_projection(clip.text_model(**tokens).pooler_output)
        images_BD = clip.visual_projection(clip.vision_model(pixel_values=pixels_B3HW).pooler_output)
        return F.cosine_similarity(texts_BD.float(), images_BD.float()).cpu()

    return float(torch.cat([*BatchSize(batch_size, "pictures").batches(len(samples), cosines)]).mean())


@torch.inference_mode()
def identity_scores(
    pipe: AnyBoLIDPipeline, samples: Sequence[DrawnPicture], latents: LatentTable, *, batch_size: int = 24
) -> dict[str, float]:
    """CLIP-I and retrieval of samples of named people, by the base model's own image encoder.

    Args:
        pipe: a pipeline whose image encoder made the embeddings of `latents`.
        samples: pictures of named people.
        latents: the real photos' embeddings.
        batch_size: pictures measured at once; halved where they do not fit.

    Returns:
        {"clip_i", "identity_top1", "identity_chance"}; empty without an image encoder or samples.
    """
    if pipe.image_encoder is None or not samples:
        return {}
    people = sorted({str(sample.identity) for sample in samples})

    def embeds_of(part: slice) -> torch.Tensor:
        embeds_BD, _ = pipe.encode_image([sample.picture for sample in samples[part]], pipe.device, 1)
        return embeds_BD.float().cpu()

    embeds = [*BatchSize(batch_size, "pictures").batches(len(samples), embeds_of)]
    drawn_ND = _normalised(torch.cat(embeds).numpy())
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
