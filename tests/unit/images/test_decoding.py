import io

import numpy as np
import pytest
from PIL import Image, ImageOps

from bolid_pipeline.errors import PhotoRefused, UnreadablePhoto
from bolid_pipeline.images.decoding import decode_many, decode_rgb, encode_jpeg, probe, resize_to
from bolid_pipeline.images.refusals import REFUSALS


def picture(height=120, width=80):
    """Coloured blocks, no two corners alike."""
    blocks = np.random.default_rng(0).integers(0, 256, (height // 20, width // 20, 3))
    return np.kron(blocks, np.ones((20, 20, 1))).astype(np.uint8)


def encoded(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


@pytest.mark.parametrize(
    ("kind", "content_type", "extension"),
    [("JPEG", "image/jpeg", "jpg"), ("PNG", "image/png", "png"), ("WEBP", "image/webp", "webp")],
)
def test_probe_tells_size_and_true_type(kind, content_type, extension):
    assert probed(encoded(Image.fromarray(picture()), kind)) == (80, 120, content_type, extension)


def probed(data, **limits):
    photo = probe(data, **limits)
    return photo.width_px, photo.height_px, photo.content_type, photo.extension


def bomb(width, height):
    """A small PNG of many pixels, all white."""
    return encoded(Image.new("1", (width, height), 1), "PNG")


def damaged(data):
    """Some bytes in the middle overwritten, as by a bad disk."""
    return data[: len(data) // 2] + bytes(200) + data[len(data) // 2 + 200 :]


def jpeg(mode="RGB", **options):
    return encoded(
        Image.fromarray(np.kron(picture(), np.ones((4, 4, 1), np.uint8))).convert(mode), "JPEG", **options
    )


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"<html>hotlinking is not allowed</html>", "not_a_picture"),
        (encode_jpeg(picture())[:-200], "truncated"),
        (encode_jpeg(picture())[:-2], "truncated"),
        (encode_jpeg(picture())[:30], "truncated"),
        (encoded(Image.fromarray(picture()), "PNG")[:-40], "truncated"),
        (b"8BPS\0\1" + bytes(500), "unsupported_type"),
        (damaged(jpeg()), "truncated"),
        (damaged(jpeg(progressive=True)), "truncated"),
        (damaged(jpeg("CMYK")), "truncated"),
        (jpeg("CMYK")[:-2000] + b"\xff\xd9", "truncated"),
        (encode_jpeg(picture())[:-2] + b"stray" + encode_jpeg(picture())[-2:], "truncated"),
        (bomb(8_000, 5_001), "too_many_pixels"),
        (bomb(10_000, 10_000), "too_many_pixels"),
        (bomb(20_000, 20_000), "too_many_pixels"),
    ],
    ids=[
        "empty",
        "html",
        "half a JPEG",
        "JPEG without its end",
        "a JPEG's head",
        "half a PNG",
        "Photoshop",
        "damaged JPEG",
        "damaged progressive JPEG",
        "damaged CMYK JPEG",
        "half a CMYK JPEG, with an end",
        "stray bytes in a JPEG",
        "40 MP",
        "100 MP",
        "400 MP",
    ],
)
@pytest.mark.parametrize("min_side_px", [None, 10])
def test_probe_refuses_with_a_reason(data, reason, min_side_px):
    with pytest.raises(PhotoRefused) as refusal:
        probe(data, min_side_px=min_side_px)
    assert refusal.value.reason == reason
    assert reason in REFUSALS


@pytest.mark.parametrize(
    "options", [{}, {"progressive": True}, {"subsampling": "4:4:4"}, {"restart_marker_rows": 1}]
)
def test_a_damaged_jpeg_is_judged_the_same_at_an_eighth_of_its_size(options):
    whole, draw = jpeg(**options), np.random.default_rng(7)
    verdicts = [refusal(spoiled(whole, draw)) for _ in range(300)]
    assert all(full == small for full, small in verdicts)
    assert len(set(verdicts)) > 1


def spoiled(data, draw):
    """One bit after the headers is another: some such damage leaves a JPEG that can be read to its end."""
    damage = bytearray(data)
    damage[draw.integers(700, len(data) - 2)] ^= 1 << draw.integers(8)
    return bytes(damage)


def refusal(data):
    """Why a picture is refused that is decoded whole, and one that is decoded small."""
    reasons = []
    for min_side_px in (None, 10):
        try:
            probe(data, min_side_px=min_side_px)
            reasons.append(None)
        except PhotoRefused as refused:
            reasons.append(refused.reason)
    return tuple(reasons)


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("progressive", [False, True])
def test_a_whole_jpeg_of_every_kind_is_a_photo(mode, progressive):
    assert probed(jpeg(mode, progressive=progressive)) == (320, 480, "image/jpeg", "jpg")


def test_the_most_pixels_can_be_set():
    with pytest.raises(PhotoRefused, match="too_many_pixels"):
        probe(encode_jpeg(picture()), max_pixels=80 * 120 - 1)
    assert probed(encode_jpeg(picture()), max_pixels=80 * 120)[:2] == (80, 120)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(Image.fromarray(picture()), "JPEG", quality=95, exif=exif)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))))
    assert np.abs(decode_rgb(data).astype(int) - expected).mean() < 1
    assert probed(data)[:2] == (expected.shape[1], expected.shape[0])
    assert probed(data, min_side_px=10)[:2] == (expected.shape[1], expected.shape[0])


@pytest.mark.parametrize("mode", ["L", "P", "1", "RGBA", "LA", "CMYK"])
def test_every_mode_becomes_rgb(mode):
    image = Image.fromarray(picture()).convert(mode)
    decoded = decode_rgb(encoded(image, "JPEG" if mode == "CMYK" else "PNG"))
    assert decoded.shape == (120, 80, 3)
    assert np.abs(decoded.astype(int) - np.asarray(image.convert("RGB"))).mean() < 3


def test_transparency_is_white_and_16_bits_are_cut_to_8():
    clear = Image.new("RGBA", (4, 4), (255, 0, 0, 0))
    assert (decode_rgb(encoded(clear, "PNG")) == 255).all()
    deep = Image.fromarray(np.full((4, 4), 0x8001, np.uint16))
    assert (decode_rgb(encoded(deep, "PNG")) == 0x80).all()


@pytest.mark.parametrize(
    ("limits", "shape"),
    [
        ({}, (1200, 800)),
        ({"min_side_px": 400}, (600, 400)),
        ({"min_side_px": 401}, (1200, 800)),
        ({"min_side_px": 50}, (150, 100)),
        ({"min_long_side_px": 600}, (600, 400)),
        ({"min_long_side_px": 300, "min_side_px": 300}, (600, 400)),
        ({"min_side_px": 5000}, (1200, 800)),
    ],
)
def test_a_jpeg_is_decoded_no_smaller_than_asked(limits, shape):
    large = np.kron(picture(), np.ones((10, 10, 1), np.uint8))
    small = decode_rgb(encode_jpeg(large), **limits)
    assert small.shape[:2] == shape
    assert np.abs(small.astype(int) - resize_to(large, *shape)).mean() < 3


def test_unreadable_bytes_raise_and_are_none_among_many():
    with pytest.raises(UnreadablePhoto, match="9 bytes"):
        decode_rgb(b"no photo!")
    stored = {"good": encode_jpeg(picture()), "bad": b"no photo!"}

    def read(path):
        try:
            return stored[path]
        except KeyError:
            raise FileNotFoundError(path) from None

    images = decode_many(read, ["bad", "good", "gone"])
    assert images[0] is None
    assert images[1].shape == (120, 80, 3)
    assert images[2] is None


def test_resizing_averages_areas_and_takes_parts():
    image = np.zeros((4, 8, 3), np.uint8)
    image[:, 4:] = 200
    assert resize_to(image, 2, 2).tolist() == [[[0] * 3, [200] * 3]] * 2
    assert resize_to(image, 1, 1, (2, 0, 6, 4)).tolist() == [[[100] * 3]]
    assert resize_to(image, 8, 16).shape == (8, 16, 3)
