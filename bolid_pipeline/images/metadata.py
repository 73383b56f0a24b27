"""Files without what is not pixels: damage there (colour profile, Exif, texts) is no damage of the picture.

The functions here are told nothing good about the bytes: any of them may be cut short or nonsense.
"""

import re
import zlib
from collections.abc import Callable, Iterator

from bolid_pipeline.images.file_types import AVIF, HEIC, JPEG, PNG, WEBP, FileType

_MAX_SEGMENTS = 10_000
_JPEG_MARKER = re.compile(rb"\xff[\x01\xc0-\xcf\xd8-\xfe]")  # no stuffed byte, restart or filler
_SCAN, _END, _JFIF, _EXIF, _ADOBE = 0xDA, 0xD9, 0xE0, 0xE1, 0xEE
_JPEG_METADATA = {*range(0xE0, 0xF0), 0xFE}
_JPEG_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_PNG_PIXELS = (b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS")
_WEBP_PIXELS = (b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF")
_WEBP_METADATA_FLAGS = 0x2C
_HEIF_METADATA = re.compile(rb"(infe.{8})(?:Exif|mime)", re.DOTALL)


def without_metadata(data: bytes, file_type: FileType) -> bytes:
    """The same picture without metadata, but with an orientation that is whole; or `data` where there is none."""
    strip = _STRIPPERS.get(file_type)
    return data if strip is None else strip(data)


def num_scans(jpeg: bytes) -> int:
    """The number of scans of a JPEG's first picture: each costs a pass over all of its pixels."""
    return sum(marker == _SCAN for marker, _ in _jpeg_segments(jpeg))


def jpeg_bits(jpeg: bytes) -> int:
    """Bits per sample, by the header; 8 if it says nothing."""
    for marker, segment in _jpeg_segments(jpeg):
        if marker in _JPEG_FRAMES and len(segment) > 4:
            return segment[4]
    return 8


def _jpeg_segments(jpeg: bytes) -> Iterator[tuple[int, bytes]]:
    """Marker and bytes (marker, length, content) of each segment up to the end; a scan's hold its pixels too."""
    at = 2
    for _ in range(_MAX_SEGMENTS):
        found = _JPEG_MARKER.search(jpeg, at)
        if found is None:
            return
        start, marker = found.start(), jpeg[found.start() + 1]
        length = int.from_bytes(jpeg[start + 2 : start + 4])
        at = start + 2 + (length if marker not in (0x01, 0xD8, _END) else 0)
        if marker == _SCAN:
            following = _JPEG_MARKER.search(jpeg, at)
            at = following.start() if following else len(jpeg)
        yield marker, jpeg[start:at]
        if marker == _END:
            return


def _bare_jpeg(jpeg: bytes) -> bytes:
    kept = (
        segment
        for marker, segment in _jpeg_segments(jpeg)
        if marker not in _JPEG_METADATA or _says_how_to_read_pixels(marker, segment[4:])
    )
    return jpeg[:2] + b"".join(kept)


def _says_how_to_read_pixels(marker: int, content: bytes) -> bool:
    """True for a whole Exif (orientation), JFIF or Adobe segment (which colours the channels are)."""
    if marker == _EXIF:
        return content.startswith(b"Exif\0\0")
    if marker == _JFIF:
        return content.startswith(b"JFIF\0\1") and len(content) >= 14
    return marker == _ADOBE and content.startswith(b"Adobe") and len(content) >= 12 and content[11] <= 2


def _bare_png(png: bytes) -> bytes:
    kept, at = [png[:8]], 8
    while at + 12 <= len(png):
        length = int.from_bytes(png[at : at + 4])
        chunk = png[at : at + 12 + length]
        name = chunk[4:8]
        at += len(chunk)
        if name in _PNG_PIXELS or (name == b"eXIf" and zlib.crc32(chunk[4:-4]) == int.from_bytes(chunk[-4:])):
            kept.append(chunk)
    return b"".join(kept)


def _bare_webp(webp: bytes) -> bytes:
    kept, at = [], 12
    while at + 8 <= len(webp):
        length = int.from_bytes(webp[at + 4 : at + 8], "little")
        chunk = webp[at : at + 8 + length + length % 2]
        at += len(chunk)
        if chunk.startswith(b"VP8X"):
            chunk = (
                chunk[:8] + bytes([chunk[8] & ~_WEBP_METADATA_FLAGS]) + chunk[9:] if len(chunk) > 8 else b""
            )
        if chunk[:4] in _WEBP_PIXELS:
            kept.append(chunk)
    body = b"WEBP" + b"".join(kept)
    return b"RIFF" + len(body).to_bytes(4, "little") + body


def _bare_heif(heif: bytes) -> bytes:
    """Metadata are items of a box; under another name nobody reads them, and the offsets of the pixels stay."""
    return _HEIF_METADATA.sub(rb"\1free", heif)


_STRIPPERS: dict[FileType, Callable[[bytes], bytes]] = {
    JPEG: _bare_jpeg,
    PNG: _bare_png,
    WEBP: _bare_webp,
    AVIF: _bare_heif,
    HEIC: _bare_heif,
}
