"""Four photos in a data folder, and two sets of models that make latents of them."""

import pytest


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    from four_photos import save_models

    return save_models(tmp_path_factory.mktemp("base_model"), 0)


@pytest.fixture(scope="module")
def other_models(tmp_path_factory):
    from four_photos import save_models

    return save_models(tmp_path_factory.mktemp("other_model"), 1)


@pytest.fixture
def world(tmp_path):
    from four_photos import World

    return World(tmp_path)
