"""File types of pictures: how their bytes begin, what they are called, and where they may come from."""

from dataclasses import dataclass


@dataclass(frozen=True)
class FileType:
    """A file type that the reader knows."""

    formats: tuple[str, ...]
    """Pillow's names of the decoders that may read it."""
    content_type: str
    extension: str


JPEG = FileType(("JPEG", "MPO"), "image/jpeg", "jpg")
"""MPO is a JPEG with further pictures behind it, as phones write for portraits and HDR; the first one counts."""
PNG = FileType(("PNG",), "image/png", "png")
WEBP = FileType(("WEBP",), "image/webp", "webp")
AVIF = FileType(("AVIF",), "image/avif", "avif")
HEIC = FileType(("HEIF",), "image/heic", "heic")
TIFF = FileType(("TIFF",), "image/tiff", "tif")
BMP = FileType(("BMP",), "image/bmp", "bmp")
GIF = FileType(("GIF",), "image/gif", "gif")
JPEG_2000 = FileType(("JPEG2000",), "image/jp2", "jp2")

SITE_TYPES = frozenset({JPEG, PNG, WEBP, AVIF})
"""What browsers show, so what a site sends on purpose."""
ALL_TYPES = SITE_TYPES | {HEIC, TIFF, BMP, GIF, JPEG_2000}
"""What a folder of one's own may hold, and what is read wherever a person names a file."""

_BEGINNINGS = {
    b"\xff\xd8\xff": JPEG,
    b"\x89PNG\r\n\x1a\n": PNG,
    b"II*\0": TIFF,
    b"MM\0*": TIFF,
    b"II+\0": TIFF,
    b"MM\0+": TIFF,
    b"BM": BMP,
    b"GIF87a": GIF,
    b"GIF89a": GIF,
    b"\0\0\0\x0cjP  \r\n\x87\n": JPEG_2000,
    b"\xff\x4f\xff\x51": JPEG_2000,
}
_OTHERS = {
    b"8BPS": "a Photoshop file",
    b"\xff\x0a": "JPEG XL",
    b"\0\0\0\x0cJXL ": "JPEG XL",
    b"FUJIFILM": "a camera's raw file",
    b"IIR": "a camera's raw file",
    b"IIU\0": "a camera's raw file",
    b"MMOR": "a camera's raw file",
    b"\0\0\1\0": "an icon",
    b"%PDF": "a PDF",
    b"<svg": "an SVG drawing",
    b"\x1aE\xdf\xa3": "a video",
}
_BRANDS = {b"avif": AVIF, b"avis": AVIF} | dict.fromkeys(
    (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"), HEIC
)


def type_of(data: bytes) -> FileType | None:
    """The type that the first bytes of a file promise; None for any other."""
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return WEBP
    if data[4:8] == b"ftyp":  # a box of the size that comes first: a main brand, a version, further brands
        brands = data[8:12] + data[16 : min(int.from_bytes(data[:4]), 256)]
        found = (_BRANDS.get(brands[at : at + 4]) for at in range(0, len(brands), 4))
        return next(filter(None, found), None)
    return next((known for beginning, known in _BEGINNINGS.items() if data.startswith(beginning)), None)


def name_of_other(data: bytes) -> str | None:
    """What a file of no known type is, if it is a picture or video that one would take for a photo."""
    if data[4:8] == b"ftyp":
        return "a camera's raw file" if data[8:11] == b"crx" else "a video, or a picture of an unknown kind"
    return next((name for beginning, name in _OTHERS.items() if data.startswith(beginning)), None)
