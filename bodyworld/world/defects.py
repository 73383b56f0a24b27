"""Defects of photos on a gallery site: watermarks, near duplicates, broken and small files.

Images are (H, W, 3) uint8 RGB. Functions return a new image, or the bytes of a file.
"""

import io

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Picture = NDArray[np.uint8]

WATERMARK_KINDS = ("text", "logo", "tiled")
DUPLICATE_KINDS = ("recompress", "resize", "crop", "flip", "brightness")
SITE_TEXTS = (
    "www.starphotos.example",
    "GALLERY-HUB.example",
    "© celebpics.example",
    "photo-archive.example",
    "SAMPLE",
    "PREVIEW",
    "© Pressbild Agency",
    "stockimages.example",
    "theparty.example",
    "DO NOT COPY",
    "hq-faces.example",
    "MORE AT FANPICS.example",
)
_SMALLEST_LETTER = 0.034  # share of the shorter side: about 9 px at 256 px
_TONES = np.array([(0.08, 0.08, 0.10), (0.95, 0.85, 0.25), (0.85, 0.12, 0.12), (0.20, 0.35, 0.80)])
_UNMOVED = (1.0, 1.0, 0.0, 0.0)


def encode_jpeg(image: Picture, quality: int) -> bytes:
    """JPEG bytes without EXIF."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def add_watermark(image: Picture, kind: str, opacity: float, rng: np.random.Generator) -> Picture:
    """The picture with a watermark of one of `WATERMARK_KINDS` over it; an opacity from 0.25 to 0.9 looks natural."""
    height, width = image.shape[:2]
    mask = {"text": _text_mask, "logo": _logo_mask, "tiled": _tiled_mask}[kind](height, width, rng)
    tone = (1.0, 1.0, 1.0) if rng.random() < 0.7 else tuple(float(v) for v in rng.choice(_TONES))
    paper = image.astype(np.float32)
    shadow = np.roll(mask, (max(height // 500, 1), max(width // 500, 1)), (0, 1))
    paper = paper * (1.0 - 0.45 * opacity * shadow[..., None])
    share = (mask * opacity)[..., None]
    result = paper * (1.0 - share) + share * (np.array(tone, np.float32) * 255.0)
    return np.clip(result, 0, 255).astype(np.uint8)


def _letters(text: str, size: int) -> NDArray[np.float32]:
    """(h, w) float32 mask in [0, 1] of a text, cut close to the letters."""
    font = ImageFont.load_default(max(size, 6))
    left, top, right, bottom = font.getbbox(text)
    canvas = Image.new("L", (int(right - left) + 6, int(bottom - top) + 6))
    ImageDraw.Draw(canvas).text(
        (3 - left, 3 - top), text, fill=255, font=font, stroke_width=max(size // 28, 0)
    )
    return np.asarray(canvas, np.float32) / 255.0


def _rotated(mask: NDArray[np.float32], angle_deg: float) -> NDArray[np.float32]:
    image = Image.fromarray((mask * 255).astype(np.uint8))
    turned = image.rotate(angle_deg, expand=True, resample=Image.Resampling.BILINEAR)
    return np.asarray(turned, np.float32) / 255.0


def _paste(canvas: NDArray[np.float32], mask: NDArray[np.float32], x: int, y: int) -> None:
    """Lay a mask on the canvas, its corner at (x, y), clipped."""
    height, width = canvas.shape
    x0, y0, x1, y1 = max(x, 0), max(y, 0), min(x + mask.shape[1], width), min(y + mask.shape[0], height)
    if x0 < x1 and y0 < y1:
        canvas[y0:y1, x0:x1] = np.maximum(canvas[y0:y1, x0:x1], mask[y0 - y : y1 - y, x0 - x : x1 - x])


def _fit(mask: NDArray[np.float32], width: int) -> NDArray[np.float32]:
    """The mask, shrunk if it is wider than `width`."""
    if mask.shape[1] <= width:
        return mask
    size = (width, max(round(mask.shape[0] * width / mask.shape[1]), 1))
    return cv2.resize(mask, size, interpolation=cv2.INTER_AREA).astype(np.float32)


def _text_mask(height: int, width: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """One line: along the lower or upper edge, in a corner, or slanted across the middle."""
    canvas = np.zeros((height, width), np.float32)
    side = min(height, width)
    letters = _letters(str(rng.choice(SITE_TEXTS)), int(side * rng.uniform(_SMALLEST_LETTER * 1.4, 0.11)))
    if rng.random() < 0.3:
        letters = _rotated(letters, float(rng.uniform(15, 50)))
    letters = _fit(letters, int(width * 0.95))
    free_x, free_y = width - letters.shape[1], height - letters.shape[0]
    margin = int(0.02 * side)
    x = int(rng.choice((margin, free_x // 2, free_x - margin)))
    y = int(rng.choice((margin, free_y // 2, free_y - margin, free_y - margin)))
    _paste(canvas, letters, x, y)
    return canvas


def _logo_mask(height: int, width: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """A badge: ring or box with a star or initials, and a small name under it."""
    canvas = np.zeros((height, width), np.float32)
    side = min(height, width)
    size = int(side * rng.uniform(0.14, 0.34))
    badge = np.zeros((size, size), np.float32)
    middle, line = size // 2, max(size // 18, 1)
    if rng.random() < 0.6:
        cv2.circle(badge, (middle, middle), middle - line, 1.0, line, cv2.LINE_AA)
    else:
        cv2.rectangle(badge, (line, line), (size - line, size - line), 1.0, line, cv2.LINE_AA)
    if rng.random() < 0.5:
        angles = np.arange(10) * np.pi / 5 - np.pi / 2
        radii = np.where(np.arange(10) % 2 == 0, 0.36, 0.15) * size
        points = np.stack([middle + radii * np.cos(angles), middle + radii * np.sin(angles)], -1)
        cv2.fillPoly(badge, [points.astype(np.int32)], 1.0, cv2.LINE_AA)
    else:
        initials = "".join(rng.choice(tuple("ABCDEGHKMNPRSTVW"), 2))
        letters = _fit(_letters(initials, int(size * 0.5)), int(size * 0.7))
        _paste(badge, letters, (size - letters.shape[1]) // 2, (size - letters.shape[0]) // 2)
    name = _fit(_letters(str(rng.choice(SITE_TEXTS)), max(int(size * 0.2), 8)), int(size * 1.6))
    tall = size + name.shape[0] + line
    x = int(rng.choice((int(0.03 * side), (width - size) // 2, width - size - int(0.06 * side))))
    y = int(rng.choice((int(0.03 * side), (height - tall) // 2, height - tall - int(0.03 * side))))
    _paste(canvas, badge, x, y)
    _paste(canvas, name, x + (size - name.shape[1]) // 2, y + size + line)
    return canvas


def _tiled_mask(height: int, width: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """The same slanted text over the whole picture."""
    canvas = np.zeros((height, width), np.float32)
    side = min(height, width)
    letters = _letters(str(rng.choice(SITE_TEXTS)), int(side * rng.uniform(_SMALLEST_LETTER, 0.065)))
    letters = _rotated(_fit(letters, int(width * 0.7)), float(rng.uniform(15, 45)))
    step_x = int(letters.shape[1] * rng.uniform(1.0, 1.25))
    step_y = int(letters.shape[0] * rng.uniform(0.9, 1.3))
    for row, y in enumerate(range(-letters.shape[0] // 2, height, max(step_y, 8))):
        for x in range(-letters.shape[1] + (row % 2) * step_x // 2, width, max(step_x, 8)):
            _paste(canvas, letters, x, y)
    return canvas


def near_duplicate(
    image: Picture, kind: str, rng: np.random.Generator
) -> tuple[Picture, tuple[float, float, float, float]]:
    """The same photo with a small change, one of `DUPLICATE_KINDS`.

    Returns the image and how coordinates move: (scale_x, scale_y, offset_x, offset_y) for new = scale * old + offset in
    pixels. A flip has scale_x -1.
    """
    height, width = image.shape[:2]
    if kind == "resize":
        factor = float(rng.uniform(1.04, 1.15))
        size = (round(width * factor), round(height * factor))
        larger = cv2.resize(image, size, interpolation=cv2.INTER_LINEAR).astype(np.uint8)
        return larger, (size[0] / width, size[1] / height, 0.0, 0.0)
    if kind == "crop":
        left, right, top, bottom = (
            int(rng.uniform(0, 0.02) * side) for side in (width, width, height, height)
        )
        part = image[top : height - bottom, left : width - right].copy()
        return part, (1.0, 1.0, -float(left), -float(top))
    if kind == "flip":
        return image[:, ::-1].copy(), (-1.0, 1.0, float(width), 0.0)
    if kind == "brightness":
        gain = float(rng.uniform(0.92, 1.08))
        return np.clip(image.astype(np.float32) * gain, 0, 255).astype(np.uint8), _UNMOVED
    return image.copy(), _UNMOVED


def truncate(data: bytes, rng: np.random.Generator) -> bytes:
    """The first part of a file, as after a broken download: a whole header and a part of the picture."""
    return data[: int(len(data) * rng.uniform(0.25, 0.8))]


def wrong_type_bytes(image: Picture, rng: np.random.Generator) -> bytes:
    """Bytes that a server sends in place of a JPEG: an HTML page with an error, or a small GIF."""
    if rng.random() < 0.5:
        return b"<!DOCTYPE html><html><head><title>404 Not Found</title></head><body><h1>Not Found</h1></body></html>\n"
    buffer = io.BytesIO()
    small = cv2.resize(image, (160, 200), interpolation=cv2.INTER_AREA).astype(np.uint8)
    Image.fromarray(small).save(buffer, "GIF")
    return buffer.getvalue()


def shrink(image: Picture, longest_px: int) -> Picture:
    """The photo at another size, its longest side as given, to make it too small for the data set."""
    height, width = image.shape[:2]
    factor = longest_px / max(height, width)
    size = (max(round(width * factor), 1), max(round(height * factor), 1))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.uint8)
