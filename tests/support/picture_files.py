"""Picture files of every type that the reader knows, and damage to what in them is not pixels."""

import base64
import io
import struct
import zlib
from typing import Any

import numpy as np
from PIL import Image

HEIC = base64.b64decode(
    "AAAAHGZ0eXBoZWljAAAAAG1pZjFoZWljbWlhZgAAAchtZXRhAAAAAAAAACFoZGxyAAAAAAAAAABwaWN0AAAAAAAAAAAAAAAAAAAAADRp"
    "bG9jAAAAAERAAAIAAQAAAAAB7AABAAAAAAAAAJsAAgAAAAAChwABAAAAAAAAACQAAAA4aWluZgAAAAAAAgAAABVpbmZlAgAAAAABAABo"
    "dmMxAAAAABVpbmZlAgAAAQACAABFeGlmAAAAAA5waXRtAAAAAAABAAABB2lwcnAAAADmaXBjbwAAAHZodmNDAQNwAAAAkAAAAAAAHvAA"
    "/P34+AAADwNgAAEAGEABDAH//wNwAAADAJAAAAMAAAMAHroCQGEAAQAqQgEBA3AAAAMAkAAAAwAAAwAeoCCBBZbq5Ka5uAhoMCAAAAMD"
    "IAAAAwAhYgABAAZEAcFzwIkAAAATY29scm5jbHgAAQANAAaAAAAAFGlzcGUAAAAAAAAAQAAAAEAAAAAoY2xhcAAAAEAAAAABAAAAMAAA"
    "AAEAAAAAAAAAAv////AAAAACAAAAEHBpeGkAAAAAAwgICAAAAAlpcm90AwAAABlpcG1hAAAAAAAAAAEAAQaBAgMFhIYAAAAaaXJlZgAA"
    "AAAAAAAOY2RzYwACAAEAAQAAAMdtZGF0AAAAlygBrxOA5Ta3/54fX8eoB6NmpruSLKF+OIH0PV/BuWINxx4k+lff5Et/j70QUaEz0/8L"
    "bvz7l7YRJ6iChvOlfaSCwFSNedQvA+7uP6g8fldYJW2PtpEX+bM/TPZfKng+5D+v4RHJCApFg/6uT+dct5/7gHy9v1zOlEtLr2kuDDnL"
    "CF8wHykcizTP1rt+LUOlRpc9P6B3qWAAAAAGRXhpZgAATU0AKgAAAAgAAQESAAMAAAABAAYAAAAAAAA="
)
"""Four blocks of 64 x 48 px, stored to be turned by 90 degrees: white, red, blue, green from the top left."""


def blocks(height: int = 120, width: int = 80, seed: int = 0) -> Image.Image:
    """Coloured blocks of 20 px, no two corners alike."""
    colours = np.random.default_rng(seed).integers(0, 256, (height // 20, width // 20, 3))
    return Image.fromarray(np.kron(colours, np.ones((20, 20, 1))).astype(np.uint8))


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def exif(orientation: int) -> Image.Exif:
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags


def multi_picture(image: Image.Image, **options: Any) -> bytes:
    """An MPO, as phones write: the photo, and a smaller picture behind it."""
    return encoded(image, "MPO", save_all=True, append_images=[image.resize((40, 60))], **options)


FILES = {
    "jpeg": encoded(blocks(), "JPEG", quality=95),
    "progressive": encoded(blocks(), "JPEG", quality=95, progressive=True),
    "grey": encoded(blocks().convert("L"), "JPEG"),
    "cmyk": encoded(blocks().convert("CMYK"), "JPEG", quality=95),
    "mpo": multi_picture(blocks(), quality=95),
    "png": encoded(blocks(), "PNG"),
    "palette": encoded(blocks().quantize(24), "PNG"),
    "webp": encoded(blocks(), "WEBP", lossless=True),
    "lossy webp": encoded(blocks(), "WEBP", exif=exif(1)),
    "avif": encoded(blocks(), "AVIF", exif=exif(1)),
    "heic": HEIC,
    "tiff": encoded(blocks(), "TIFF"),
    "packed tiff": encoded(blocks(), "TIFF", compression="tiff_lzw"),
    "jpeg tiff": encoded(blocks(), "TIFF", compression="jpeg", quality=95),
    "bmp": encoded(blocks(), "BMP"),
    "gif": encoded(blocks(), "GIF"),
    "jpeg 2000": encoded(blocks(), "JPEG2000"),
}
"""Name -> a whole file."""


def with_segment(jpeg: bytes, marker: int, content: bytes) -> bytes:
    """A JPEG with one more segment at its beginning."""
    return jpeg[:2] + bytes((0xFF, marker)) + struct.pack(">H", len(content) + 2) + content + jpeg[2:]


def exif_segment(kind: int, count: int, value: bytes) -> bytes:
    """The content of an Exif segment with one tag, the orientation, of any type."""
    entry = struct.pack(">HHI", 0x0112, kind, count) + value.ljust(4, b"\0")
    return b"Exif\0\0MM\0*\0\0\0\x08\0\1" + entry + bytes(4)


def with_chunk(png: bytes, name: bytes, content: bytes, crc: int | None = None) -> bytes:
    """A PNG with one more chunk behind its header."""
    head = png[: 8 + 25]
    crc = zlib.crc32(name + content) if crc is None else crc
    return head + struct.pack(">I", len(content)) + name + content + struct.pack(">I", crc) + png[len(head) :]


def many_scans(num_scans: int, side_px: int = 64) -> bytes:
    """A progressive JPEG whose last scan is repeated."""
    jpeg = encoded(Image.new("L", (side_px, side_px), 200), "JPEG", progressive=True)
    last = jpeg.rindex(b"\xff\xda")
    return jpeg[:last] + jpeg[last:-2] * num_scans + jpeg[-2:]


def plain_tiff(width: int, height: int, bits: int, samples: int, photometric: int, pixels: bytes) -> bytes:
    """An uncompressed TIFF of one strip, of kinds that Pillow reads and does not write."""
    at = 8 + 2 + 10 * 12 + 4  # behind the header and the directory, where the bits of each sample stand first
    stated = (bits, *([0] if samples == 1 else []))
    entries = [
        (256, 4, 1, struct.pack("<I", width)),
        (257, 4, 1, struct.pack("<I", height)),
        (258, 3, samples, struct.pack("<HH", *stated) if samples == 1 else struct.pack("<I", at)),
        (259, 3, 1, struct.pack("<HH", 1, 0)),
        (262, 3, 1, struct.pack("<HH", photometric, 0)),
        (273, 4, 1, struct.pack("<I", at + 2 * samples)),
        (277, 3, 1, struct.pack("<HH", samples, 0)),
        (278, 4, 1, struct.pack("<I", height)),
        (279, 4, 1, struct.pack("<I", len(pixels))),
        (284, 3, 1, struct.pack("<HH", 1, 0)),
    ]
    directory = b"".join(struct.pack("<HHI", *entry[:3]) + entry[3] for entry in entries)
    head = b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", len(entries)) + directory + bytes(4)
    return head + struct.pack("<H", bits) * samples + pixels
