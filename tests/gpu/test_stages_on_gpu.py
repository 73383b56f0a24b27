"""The stages over photos on a GPU: rows, memory that does not suffice, and memory that is given back."""

from functools import partial

import numpy as np
import pyarrow as pa
import pytest
import torch
from stage_recipes import (
    RECIPES,
    draw_people,
    latent_recipe,
    pose_recipe,
    rounded,
    vlm_caption_recipe,
    watermark_recipe,
)

from bolid_pipeline.errors import OutOfMemory
from bolid_pipeline.latents.autoencoder import LatentEncoder
from bolid_pipeline.pretrained.memory import BatchSize, free_memory
from bolid_pipeline.stages.batches import compute_here
from bolid_pipeline.storage.photos import PhotoStore

pytestmark = pytest.mark.gpu


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return PhotoStore(tmp_path_factory.mktemp("photos"))


@pytest.fixture(scope="module")
def photos(store):
    return draw_people(store)


def leaves(value, place=""):
    """Place and value of everything in nested lists and dicts."""
    match value:
        case dict():
            for key, each in value.items():
                yield from leaves(each, f"{place}.{key}")
        case list():
            for number, each in enumerate(value):
                yield from leaves(each, f"{place}[{number}]")
        case _:
            yield place, value


@pytest.mark.parametrize("make_recipe", [each for each in RECIPES if each is not vlm_caption_recipe])
def test_a_stage_makes_the_rows_of_the_cpu(make_recipe, tmp_path, store, photos, monkeypatch):
    monkeypatch.setattr("torch.backends.cudnn.allow_tf32", False)
    compute = partial(compute_here, make_recipe(tmp_path), store, photos, batch_size=2)
    on_cpu, on_gpu = (
        dict(leaves(rounded(pa.concat_tables(compute(device=device))))) for device in ("cpu", "cuda")
    )
    assert on_gpu.keys() == on_cpu.keys()
    words = {place: value for place, value in on_cpu.items() if not isinstance(value, float)}
    assert {place: on_gpu[place] for place in words} == words
    numbers = [place for place in on_cpu if place not in words]
    np.testing.assert_allclose(
        [on_gpu[place] for place in numbers], [on_cpu[place] for place in numbers], rtol=0.02, atol=0.1
    )


def test_a_vision_language_model_captions_every_photo(tmp_path, store, photos):
    rows = pa.concat_tables(
        compute_here(vlm_caption_recipe(tmp_path), store, photos, batch_size=2, device="cuda")
    )
    assert rows["caption"].null_count == 0


def test_a_stage_leaves_nothing_on_the_gpu(tmp_path, store, photos):
    """The watermark classifier has 3 MB, the pose network 11 MB."""

    def run(make_recipe):
        list(compute_here(make_recipe(tmp_path), store, photos, device="cuda"))
        return torch.cuda.memory_allocated()

    before = max(
        map(run, (watermark_recipe, pose_recipe))
    )  # the libraries keep a workspace from their first call on
    assert run(watermark_recipe) - before < 2**20
    assert run(pose_recipe) - before < 2**20


@pytest.fixture
def small_gpu():
    """Half a GiB is all that this process may take."""
    free_memory()
    total = torch.cuda.mem_get_info()[1]
    torch.cuda.set_per_process_memory_fraction(2**29 / total)
    yield
    torch.cuda.set_per_process_memory_fraction(1.0)


@pytest.mark.usefixtures("small_gpu")
def test_a_batch_that_does_not_fit_on_the_gpu_is_halved(tmp_path):
    encode = LatentEncoder(latent_recipe(tmp_path).models.vae, "cuda")
    pictures = [np.full((512, 512, 3), shade, np.uint8) for shade in range(64)]
    size = BatchSize(64, "pictures")
    latents = np.concatenate(list(size.batches(64, lambda part: encode(pictures[part]))))
    assert len(latents) == 64
    assert 1 <= size.size < 64
    np.testing.assert_allclose(latents[0], encode(pictures[:1])[0], atol=0.02)


@pytest.mark.usefixtures("small_gpu")
def test_a_picture_that_does_not_fit_alone_names_the_gpu_and_its_memory():
    def compute(part):
        return torch.empty(2**30, device="cuda")[part]

    with pytest.raises(OutOfMemory, match=torch.cuda.get_device_name()):
        list(BatchSize(2, "pictures").batches(2, compute))
