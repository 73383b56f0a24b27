"""A generated picture says that it is one, in its pixels and in its file."""

import hashlib
import io
from typing import Any

import numpy as np
from PIL import Image
from tiny_pipelines import photo

from bolid_pipeline.models.invisible_mark import has_mark
from bolid_pipeline.models.provenance import DIGITAL_SOURCE_TYPE, generated_png


def test_pictures_carry_the_invisible_mark(pipe: Any) -> None:
    options = {"num_inference_steps": 1, "num_images_per_prompt": 2, "height": 128, "width": 128}
    marked = pipe("a woman", identity="anna", **options).images
    assert all(has_mark(image) for image in marked)
    (as_tuple, *_) = pipe("a woman", identity="anna", return_dict=False, **options)
    assert all(has_mark(image) for image in as_tuple)
    unmarked = pipe("a woman", identity="anna", output_type="np", **options).images
    assert not has_mark(Image.fromarray(np.rint(unmarked[0] * 255).astype(np.uint8)))


def test_a_saved_picture_says_that_it_is_generated() -> None:
    png = generated_png(photo(0), prompt="a wömän", identity="anna")
    with Image.open(io.BytesIO(png)) as picture:
        assert picture.info["PromptSHA256"] == hashlib.sha256("a wömän".encode()).hexdigest()
        assert "wömän" not in str(picture.info)
        assert picture.info["Identity"] == "anna"
        assert picture.info["DigitalSourceType"] == DIGITAL_SOURCE_TYPE
        assert DIGITAL_SOURCE_TYPE in picture.info["XML:com.adobe.xmp"]
        assert picture.getexif()[0x0131] == "BoLID"
        assert np.array_equal(np.asarray(picture), np.asarray(photo(0)))
