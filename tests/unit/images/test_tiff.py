"""TIFF writes one grey ramp in many ways, and each is read as the same."""

import numpy as np
import picture_files as files
import pytest

from bolid_pipeline.images.decoding import decode_rgb

RAMP = np.linspace(0, 65535, 64 * 64).astype("<u2").reshape(64, 64)


def packed_12_bits(values):
    """Two values in three bytes."""
    pairs = (values >> 4).reshape(-1, 2).astype(int)
    return b"".join((int(a) << 12 | int(b)).to_bytes(3) for a, b in pairs)


@pytest.mark.parametrize(
    "data",
    [
        files.plain_tiff(64, 64, 16, 1, 1, RAMP.tobytes()),
        files.plain_tiff(64, 64, 16, 1, 0, (65535 - RAMP).tobytes()),
        files.plain_tiff(64, 64, 12, 1, 1, packed_12_bits(RAMP)),
        files.plain_tiff(64, 64, 8, 1, 0, (255 - (RAMP >> 8)).astype(np.uint8).tobytes()),
        files.plain_tiff(64, 64, 16, 3, 2, np.repeat(RAMP[..., None], 3, axis=2).tobytes()),
    ],
    ids=["16 bits", "16 bits, 0 is white", "12 bits", "8 bits, 0 is white", "3 x 16 bits"],
)
def test_every_way_to_write_grey_in_a_tiff_is_the_same_ramp(data):
    assert (decode_rgb(data) == np.repeat((RAMP >> 8)[..., None], 3, axis=2)).all()
