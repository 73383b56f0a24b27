"""Awkward photos in a folder of one's own: read if a decoder can, else refused alone and with a true reason."""

from functools import partial
from pathlib import Path

import limited_work
import picture_files as files
import pytest
from own_photos import OwnPhotos

from bolid_pipeline.images import examination
from bolid_pipeline.images.decoding import decode_many
from bolid_pipeline.scraping.own_photos import content
from bolid_pipeline.storage.photos import PhotoStore

GOOD = {f"anna/{seed}.jpg": files.encoded(files.blocks(seed=seed), "JPEG") for seed in (1, 2)}


@pytest.fixture
def own(tmp_path: Path) -> OwnPhotos:
    own = OwnPhotos(tmp_path)
    own.add_all(GOOD)
    return own


def refused(own: OwnPhotos) -> dict[str, str]:
    return {
        row["page_url"].removeprefix("anna/"): row["reason"]
        for row in own.tables.read("rejected_downloads").to_pylist()
    }


def test_phone_photos_of_every_type_are_taken_and_read_again_by_the_stages(own):
    names = ("mpo", "avif", "heic", "tiff", "bmp", "gif", "jpeg%202000", "webp", "cmyk")
    own.add_all({f"anna/{name}": files.FILES[name.replace("%20", " ")] for name in names})
    assert own.refresh().rejected == {}
    stored = own.tables.read("raw_photos").to_pylist()
    assert len(stored) == 2 + len(names)
    assert {Path(row["path"]).suffix for row in stored} == {
        *(".jpg", ".avif", ".heic", ".tif", ".bmp", ".gif", ".jp2", ".webp"),
    }
    images = decode_many(PhotoStore(own.data_dir).read, [row["path"] for row in stored])
    assert [image.shape[:2] for image in images] == [(row["height_px"], row["width_px"]) for row in stored]


def test_damage_that_makes_a_decoder_fail_costs_its_photo_alone(own):
    avif, webp, heic = (files.FILES[name] for name in ("avif", "webp", "heic"))
    own.add_all(
        {
            "anna/0 first.avif": avif.replace(b"pitm", b"free", 1),
            "anna/0 half.avif": avif[: len(avif) // 2],
            "anna/0 half.webp": webp[: len(webp) // 2],
            "anna/0 none.heic": heic.replace(b"pitm", b"free", 1),
        }
    )
    report = own.refresh()
    assert report.photos_new == 2
    assert set(refused(own).values()) == {"truncated"}
    assert len(refused(own)) == 4


def test_damage_of_what_is_not_pixels_refuses_nothing(own):
    jpeg = files.encoded(files.blocks(seed=3), "JPEG")
    own.add_all(
        {
            "anna/orientation.jpg": files.with_segment(jpeg, 0xE1, files.exif_segment(2, 2, b"6\0")),
            "anna/profile.jpg": files.with_segment(jpeg, 0xE2, b"ICC_PROFILE\0\1\2" + bytes(99)),
            "anna/text.png": files.with_chunk(files.FILES["png"], b"tEXt", b"k\0v", crc=1),
        }
    )
    report = own.refresh()
    assert (report.photos_new, report.rejected) == (5, {})


def test_the_rest_is_refused_with_a_true_reason(own):
    own.add_all(
        {
            "anna/drawing.psd": b"8BPS" + bytes(999),
            "anna/film.mov": b"\0\0\0\x14ftypqt  \0\0\0\0qt  " + bytes(999),
            "anna/letter.doc": b"Dear Anna",
            "anna/nothing.jpg": b"",
            "anna/raw.dng": files.encoded(files.blocks(), "TIFF", tiffinfo={50706: b"\1\4\0\0"}),
            "anna/scans.jpg": files.many_scans(497),
        }
    )
    assert own.refresh().photos_new == 2
    assert {name.partition(".")[0]: reason for name, reason in refused(own).items()} == {
        "drawing": "unsupported_type",
        "film": "unsupported_type",
        "letter": "not_a_picture",
        "nothing": "empty",
        "raw": "unsupported_type",
        "scans": "too_many_scans",
    }


def test_a_decoder_that_hangs_crashes_or_takes_all_memory_costs_its_photo_alone(own, monkeypatch):
    monkeypatch.setattr(examination, "_facts", limited_work.examine_badly)
    monkeypatch.setattr(content, "examine", partial(examination.examine, seconds=0.3))
    own.add_all(
        {f"anna/0{end}.jpg": GOOD["anna/1.jpg"] + end.encode() for end in ("hang", "crash", "memory")}
    )
    assert own.refresh().photos_new == 2
    assert refused(own) == {
        "0hang.jpg": "took_too_long",
        "0crash.jpg": "crashed_decoder",
        "0memory.jpg": "too_much_memory",
    }
