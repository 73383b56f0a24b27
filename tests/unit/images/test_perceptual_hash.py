"""The hashes are the DCT hashes of imagehash, of the photo and of its mirror image."""

import imagehash
import numpy as np
import pytest
from PIL import Image, ImageOps

from bolid_pipeline.images.perceptual_hash import perceptual_hashes


def random_picture(seed: int) -> Image.Image:
    blocks = np.random.default_rng(seed).integers(0, 256, (12, 9, 3), dtype=np.uint8)
    return Image.fromarray(blocks).resize((150 + 7 * seed, 210), Image.Resampling.BICUBIC)


@pytest.mark.parametrize("seed", range(8))
def test_the_bits_are_those_of_imagehash(seed):
    picture = random_picture(seed)
    plain, mirrored = perceptual_hashes(np.asarray(picture))
    assert plain == str(imagehash.phash(picture, 16))
    assert mirrored == perceptual_hashes(np.asarray(ImageOps.mirror(picture)))[0]


def test_a_plain_surface_and_a_symmetric_picture_have_no_bits_by_chance():
    plain = np.full((200, 200, 3), 77, np.uint8)
    assert perceptual_hashes(plain) == ("8" + 63 * "0", "8" + 63 * "0")
    half = np.asarray(random_picture(3))
    assert len(set(perceptual_hashes(np.concatenate([half, half[:, ::-1]], axis=1)))) == 1
