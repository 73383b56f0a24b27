"""Every stage over photos gives the rows of the CPU where there is a GPU."""

from functools import partial

import pyarrow as pa
import pytest
import torch
from stage_recipes import RECIPES, draw_people, rounded

from bolid_pipeline.stages.batches import compute_here
from bolid_pipeline.storage.photos import PhotoStore


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return PhotoStore(tmp_path_factory.mktemp("photos"))


@pytest.fixture(scope="module")
def photos(store):
    return draw_people(store)


@pytest.mark.parametrize("make_recipe", RECIPES)
def test_a_stage_makes_the_same_rows_on_the_gpu(make_recipe, tmp_path, store, photos, request):
    recipe = make_recipe(tmp_path)
    compute = partial(compute_here, recipe, store, photos, batch_size=2)
    on_cpu = pa.concat_tables(compute(device="cpu"))
    gpu = request.getfixturevalue("gpu_with_lists")
    on_gpu = pa.concat_tables(compute(device="auto"))
    assert torch.ones(1, device="cuda").device == gpu
    assert on_gpu.schema == on_cpu.schema == recipe.made_columns
    assert on_gpu.num_rows == photos.num_rows
    assert rounded(on_gpu) == rounded(on_cpu)
