"""Every picture that a good decoder can read is read, one way; the rest gets a true reason."""

import subprocess
import sys
import zlib

import numpy as np
import picture_files as files
import pytest
from PIL import Image, ImageOps

from bolid_pipeline.errors import PhotoRefused, UnreadablePhoto
from bolid_pipeline.images import decoding
from bolid_pipeline.images.decoding import MAX_SCANS, decode_many, decode_rgb, probe, read_picture
from bolid_pipeline.images.file_types import ALL_TYPES, SITE_TYPES
from bolid_pipeline.images.refusals import REFUSALS

JPEG, PNG, WEBP = files.FILES["jpeg"], files.FILES["png"], files.FILES["webp"]


def pixels(image):
    return np.asarray(image.convert("RGB")).astype(int)


def reason(data, **options):
    with pytest.raises(PhotoRefused) as refused:
        probe(data, **options)
    assert refused.value.reason in REFUSALS
    return refused.value.reason


@pytest.mark.parametrize("name", sorted(set(files.FILES) - {"heic", "grey"}))
def test_every_type_is_read_to_the_same_pixels(name):
    decoded = decode_rgb(files.FILES[name])
    assert decoded.shape == (120, 80, 3)
    # A colour table and subsampled colours are near; anything mixed up is not.
    assert np.abs(decoded - pixels(files.blocks())).mean() < 12


def test_heic_is_read_upright():
    photo = probe(files.HEIC)
    assert (photo.width_px, photo.height_px, photo.content_type, photo.extension) == (
        48,
        64,
        "image/heic",
        "heic",
    )
    corners = [photo.image[y, x].tolist() for y, x in ((8, 8), (8, 40), (56, 8), (56, 40))]
    assert np.abs(np.array(corners) - [[250] * 3, [200, 30, 30], [30, 30, 200], [30, 200, 30]]).max() < 12


@pytest.mark.parametrize("name", ["mpo", "avif", "jpeg", "webp", "png"])
def test_a_site_may_send_what_browsers_show(name):
    assert probe(files.FILES[name], types=SITE_TYPES).width_px == 80


@pytest.mark.parametrize("name", ["heic", "tiff", "bmp", "gif", "jpeg 2000"])
def test_other_types_are_for_folders_of_ones_own(name):
    assert reason(files.FILES[name], types=SITE_TYPES) == "unsupported_type"
    assert probe(files.FILES[name], types=ALL_TYPES).width_px in (80, 48)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "MPO", "PNG", "WEBP", "AVIF", "TIFF"])
def test_every_type_is_turned_as_its_orientation_says(kind, orientation):
    image, tags = files.blocks(), files.exif(orientation)
    data = files.multi_picture(image, exif=tags) if kind == "MPO" else files.encoded(image, kind, exif=tags)
    turned = image.copy()
    turned.getexif()[0x0112] = orientation
    expected = pixels(ImageOps.exif_transpose(turned))
    photo = probe(data)
    assert (photo.height_px, photo.width_px) == photo.image.shape[:2] == expected.shape[:2]
    assert np.abs(photo.image - expected).mean() < 12


def alpha_of(kind):
    image = files.blocks().convert("RGBA")
    image.putalpha(Image.fromarray(np.pad(np.full((60, 80), 255, np.uint8), ((0, 60), (0, 0)))))
    return files.encoded(image, kind, lossless=True) if kind == "WEBP" else files.encoded(image, kind)


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF", "AVIF", "GIF", "JPEG2000"])
def test_what_is_transparent_is_white(kind):
    decoded = decode_rgb(alpha_of(kind))
    assert (decoded[64:] >= 250).all()
    assert np.abs(decoded[:56] - pixels(files.blocks())[:56]).mean() < 12


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "JPEG2000"])
def test_16_bits_of_grey_are_scaled_and_not_cut_off(kind):
    ramp = np.linspace(0, 65535, 64 * 64).astype(np.uint16).reshape(64, 64)
    decoded = decode_rgb(files.encoded(Image.fromarray(ramp), kind))
    assert np.abs(decoded[..., 0].astype(int) - (ramp >> 8)).max() <= 1


@pytest.mark.parametrize(
    ("mode", "values"),
    [("I", np.arange(4096, dtype=np.int32)), ("F", np.linspace(0, 1, 4096, dtype=np.float32))],
)
def test_numbers_without_a_known_range_are_refused_and_not_guessed(mode, values):
    data = files.encoded(Image.fromarray(values.reshape(64, 64)), "TIFF")
    assert reason(data) == "unsupported_type"
    with pytest.raises(UnreadablePhoto, match=f"mode {mode}: convert it"):
        decode_rgb(data)


METADATA = {
    "orientation as text": files.with_segment(JPEG, 0xE1, files.exif_segment(2, 2, b"6\0")),
    "orientation of unknown kind": files.with_segment(JPEG, 0xE1, files.exif_segment(7, 1, b"\6")),
    "orientation as a fraction": files.with_segment(JPEG, 0xE1, files.exif_segment(5, 1, b"\0\0\0\x08")),
    "two orientations": files.with_segment(JPEG, 0xE1, files.exif_segment(3, 2, b"\0\1\0\6")),
    "orientation 77": files.with_segment(JPEG, 0xE1, files.exif_segment(3, 1, b"\0\x4d")),
    "an Exif block of noise": files.with_segment(JPEG, 0xE1, b"Exif\0\0" + bytes(range(255)) * 9),
    "an Exif block cut short": files.with_segment(JPEG, 0xE1, b"Exif\0\0MM"),
    "ICC profile, part 1 of 2": files.with_segment(JPEG, 0xE2, b"ICC_PROFILE\0\1\2" + bytes(400)),
    "ICC profile, part 7 of 2": files.with_segment(JPEG, 0xE2, b"ICC_PROFILE\0\7\2" + bytes(9)),
    "ICC profile twice": files.with_segment(
        files.with_segment(JPEG, 0xE2, b"ICC_PROFILE\0\1\1" + bytes(9)), 0xE2, b"ICC_PROFILE\0\1\1" + bytes(9)
    ),
    "JFIF of version 9": files.with_segment(JPEG, 0xE0, b"JFIF\0\x09\x09\0\0\1\0\1\0\0"),
    "Adobe's colours 9": files.with_segment(JPEG, 0xEE, b"Adobe\0\x64\0\0\0\0\x09"),
    "noise between segments": JPEG[:20] + b"noise" + JPEG[20:],
    "MPF block of noise": files.with_segment(JPEG, 0xE2, b"MPF\0" + bytes(range(255))),
    "Photoshop block of noise": files.with_segment(JPEG, 0xED, b"Photoshop 3.0\0" + bytes(range(255))),
    "PNG colour profile of noise": files.with_chunk(PNG, b"iCCP", b"name\0\0noise"),
    "PNG text with a wrong checksum": files.with_chunk(PNG, b"tEXt", b"Software\0some", crc=7),
    "PNG text that unpacks to 3 MB": files.with_chunk(
        PNG, b"zTXt", b"k\0\0" + zlib.compress(bytes(3_000_000))
    ),
    "PNG Exif of noise": files.with_chunk(PNG, b"eXIf", bytes(range(200))),
    "WebP Exif of noise": files.encoded(files.blocks(), "WEBP", lossless=True, exif=b"Exif\0\0II*\0noise"),
    "WebP Exif cut short": files.encoded(files.blocks(), "WEBP", lossless=True, exif=bytes(300))[:-100],
    "AVIF Exif of noise": files.FILES["avif"].replace(b"MM\0*", b"noise"[:4]).replace(b"II*\0", b"noise"[:4]),
    "TIFF orientation 99": files.encoded(files.blocks(), "TIFF", tiffinfo={274: 99}),
}


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("name", METADATA)
def test_damage_of_what_is_not_pixels_refuses_no_pixels(name):
    photo = probe(METADATA[name])
    assert photo.image.shape == (120, 80, 3)
    assert (photo.width_px, photo.height_px) == (80, 120)
    assert np.abs(photo.image - pixels(files.blocks())).mean() < 12


def test_a_whole_orientation_counts_beside_a_broken_profile():
    turned = files.encoded(files.blocks(), "JPEG", exif=files.exif(6))
    photo = probe(files.with_segment(turned, 0xE2, b"ICC_PROFILE\0\1\2" + bytes(400)))
    assert photo.image.shape == (80, 120, 3)


def test_damaged_pixels_are_refused_whatever_the_metadata_say():
    for name in ("ICC profile, part 1 of 2", "Adobe's colours 9", "noise between segments"):
        assert reason(METADATA[name][:-300]) == "truncated"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "empty"),
        (b"<html>", "not_a_picture"),
        (b"8BPS" + bytes(100), "unsupported_type"),
        (b"\xff\x0a" + bytes(100), "unsupported_type"),
        (b"FUJIFILMCCD-RAW" + bytes(100), "unsupported_type"),
        (b"\0\0\0\x18ftypcrx \0\0\0\1crx isom" + bytes(100), "unsupported_type"),
        (b"\0\0\0\x18ftypisom\0\0\0\1isommp41" + bytes(100), "unsupported_type"),
        (files.encoded(files.blocks(), "TIFF", tiffinfo={50706: b"\1\4\0\0"}), "unsupported_type"),
        (files.encoded(files.blocks(), "TIFF", tiffinfo={254: 1}), "unsupported_type"),
        (files.HEIC[:500], "truncated"),
        (files.FILES["tiff"][:5000], "truncated"),
        (files.FILES["avif"][:-300], "truncated"),
    ],
)
def test_the_rest_gets_a_true_reason(data, expected):
    assert reason(data) == expected


def test_a_jpeg_of_12_bits_is_unsupported_and_not_damaged():
    frame = JPEG.index(b"\xff\xc0")
    assert reason(JPEG[: frame + 4] + b"\x0c" + JPEG[frame + 5 :]) == "unsupported_type"


def test_heic_without_its_decoder_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "pi_heif", None)
    decoding._register_heic.cache_clear()
    with pytest.raises(UnreadablePhoto, match=r"HEIC, whose decoder cannot be loaded .*: convert it to JPEG"):
        decode_rgb(files.HEIC)


@pytest.mark.parametrize(
    "error", [RuntimeError("AVIF"), MemoryError(), RecursionError(), IndexError(), SystemError()]
)
def test_whatever_a_decoder_raises_costs_that_file_alone(error, monkeypatch):
    from PIL import PngImagePlugin

    def fail(*_):
        raise error

    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load_prepare", fail)
    assert reason(PNG) == ("too_much_memory" if isinstance(error, MemoryError) else "truncated")
    images = decode_many({"bad": PNG, "good": JPEG}.__getitem__, ["bad", "good"])
    assert images[0] is None
    assert images[1].shape == (120, 80, 3)


def test_a_damaged_avif_is_a_refusal():
    """Its decoder raises RuntimeError."""
    assert reason(files.FILES["avif"].replace(b"pitm", b"free", 1)) == "truncated"


@pytest.mark.parametrize(("num_scans", "side_px"), [(MAX_SCANS + 1, 64), (497, 6300)])
def test_a_jpeg_of_many_scans_is_refused_before_it_is_decoded(num_scans, side_px, monkeypatch):
    monkeypatch.setattr(decoding, "decode_jpeg", pytest.fail)
    data = files.many_scans(num_scans, side_px)
    assert reason(data) == "too_many_scans"
    with pytest.raises(UnreadablePhoto, match="over and over"):
        decode_rgb(data)


def test_scans_are_counted_in_the_picture_alone():
    """A thumbnail, or a film behind the picture, may hold the two bytes of a scan by chance."""
    by_chance = b"\xff\xda" * 300
    data = files.with_segment(JPEG, 0xE1, b"http://ns.adobe.com/xap/1.0/\0" + by_chance)
    assert probe(data + by_chance).width_px == 80


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_of_many_frames_only_the_first_costs_time(kind):
    first, others = files.blocks(), [files.blocks(seed=seed) for seed in range(1, 30)]
    data = files.encoded(first, kind, save_all=True, append_images=others)
    assert np.abs(decode_rgb(data) - pixels(first)).mean() < 12


def test_too_many_pixels_are_refused_by_the_header_of_every_type():
    for kind in ("PNG", "WEBP", "TIFF", "BMP", "GIF", "JPEG2000", "JPEG"):
        data = files.encoded(Image.new("L", (300, 200)), kind)
        assert reason(data, max_pixels=59_999) == "too_many_pixels"
        assert probe(data, max_pixels=60_000).width_px == 300


def test_a_picture_that_a_person_names_is_read_like_a_training_photo(tmp_path):
    for name, data in files.FILES.items():
        path = tmp_path / name
        path.write_bytes(data)
        assert (np.asarray(read_picture(path)) == decode_rgb(data)).all()


@pytest.mark.parametrize(
    ("data", "words"), [(b"no", "no picture at all"), (JPEG[:-99], "cut short"), (b"8BPS", "Photoshop file")]
)
def test_a_named_picture_that_cannot_be_read_is_named(data, words, tmp_path):
    path = tmp_path / "me.jpg"
    path.write_bytes(data)
    with pytest.raises(UnreadablePhoto, match=rf"me\.jpg cannot be read as a picture: .*{words}"):
        read_picture(path)
    with pytest.raises(UnreadablePhoto, match=r"gone\.jpg cannot be read: No such file"):
        read_picture(tmp_path / "gone.jpg")


def test_reading_imports_the_heic_decoder_only_for_heic():
    program = (
        "import sys, io; from PIL import Image; from bolid_pipeline.images.decoding import probe\n"
        "file = io.BytesIO(); Image.new('RGB', (9, 9)).save(file, 'PNG'); probe(file.getvalue())\n"
        "print('pi_heif' in sys.modules)"
    )
    assert subprocess.check_output([sys.executable, "-c", program], text=True) == "False\n"


def test_a_large_jpeg_2000_is_refused_by_its_header_and_says_why(monkeypatch):
    """Its decoder would reach the limits of time and memory, and calls that damage."""
    monkeypatch.setattr(decoding, "_MAX_JPEG_2000_PIXELS", 80 * 120 - 1)
    with pytest.raises(UnreadablePhoto, match=r"a JPEG 2000 of more than 9,599 pixels: convert it to JPEG"):
        decode_rgb(files.FILES["jpeg 2000"])


def test_a_picture_of_many_rows_is_converted_whole():
    tall = files.blocks(height=1200).convert("RGBA")
    assert (decode_rgb(files.encoded(tall, "PNG")) == pixels(tall)).all()
