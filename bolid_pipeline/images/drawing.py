"""Pictures for people: contact sheets, skeletons over photos, PNG files."""

import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from bolid_pipeline.images.decoding import Rgb

_LABEL_PX = 16
_COLOURS = ("#e6194b", "#3cb44b", "#ffe119", "#4363d8", "#f58231", "#42d4f4", "#f032e6")


def contact_sheet(
    images: Sequence[Rgb], columns: int, cell_px: int, labels: Sequence[str] | None = None
) -> Rgb:
    """Lay images out in rows of equal square cells, each scaled to fit and centred on white.

    Args:
        images: (H, W, 3) uint8 each, of any sizes.
        columns: cells per row.
        cell_px: side of a cell.
        labels: one short text per image, drawn in 16 px under it and cut if too long.

    Returns:
        (rows * cell height, columns * cell_px, 3) uint8; one empty cell if there are no images.
    """
    cell_height = cell_px + (_LABEL_PX if labels is not None else 0)
    num_rows = max(1, -(-len(images) // columns))
    sheet = Image.new("RGB", (columns * cell_px, num_rows * cell_height), "white")
    draw = ImageDraw.Draw(sheet)
    for index, image in enumerate(images):
        left, top = index % columns * cell_px, index // columns * cell_height
        picture = _fit(image, cell_px)
        sheet.paste(picture, (left + (cell_px - picture.width) // 2, top + (cell_px - picture.height) // 2))
        if labels is not None:
            _draw_label(draw, labels[index], left, top + cell_px, cell_px)
    return np.asarray(sheet)


def draw_skeleton(
    image: Rgb, keypoints_K3: NDArray[np.floating], edges: Sequence[tuple[int, int]], min_conf: float = 0.5
) -> Rgb:
    """Draw keypoints and their bones over a copy of the image.

    Args:
        image: (H, W, 3) uint8.
        keypoints_K3: (K, 3): x_px, y_px in the image, confidence.
        edges: bones as pairs of keypoint indices, like `bolid_pipeline.pose.skeleton.EDGES`.
        min_conf: keypoints with less confidence, and bones that end in one, are left out.
    """
    picture = Image.fromarray(image)
    draw = ImageDraw.Draw(picture)
    width = max(1, min(image.shape[:2]) // 150)
    is_shown = keypoints_K3[:, 2] >= min_conf
    points = [(float(x), float(y)) for x, y in keypoints_K3[:, :2]]
    for number, (start, end) in enumerate(edges):
        if is_shown[start] and is_shown[end]:
            draw.line([points[start], points[end]], fill=_COLOURS[number % len(_COLOURS)], width=width)
    for (x, y), shown in zip(points, is_shown, strict=True):
        if shown:
            draw.ellipse((x - width, y - width, x + width, y + width), fill="white", outline="black")
    return np.asarray(picture)


def thumbnail(image: Rgb, side_px: int) -> Rgb:
    """An (H, W, 3) uint8 image scaled so that its longer side is `side_px`."""
    return np.asarray(_fit(image, side_px))


def to_png(image: NDArray[np.uint8], text: dict[str, str] | None = None) -> bytes:
    """PNG bytes of an (H, W, 3) or grey (H, W) uint8 image, with `text` in the file's text chunks."""
    chunks = PngInfo()
    for key, value in (text or {}).items():
        chunks.add_itxt(key, value)
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG", pnginfo=chunks)
    return file.getvalue()


def _fit(image: Rgb, side_px: int) -> Image.Image:
    """The image scaled so that its longer side is `side_px`."""
    height, width = image.shape[:2]
    scale = side_px / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    kernel = Image.Resampling.BOX if scale < 1 else Image.Resampling.NEAREST
    return Image.fromarray(image).resize(size, kernel)


def _draw_label(draw: ImageDraw.ImageDraw, label: str, left: int, top: int, width_px: int) -> None:
    font = ImageFont.load_default(_LABEL_PX - 4)
    while label and draw.textlength(label, font=font) > width_px - 4:
        label = label[:-1]
    draw.text((left + 2, top + 1), label, fill="black", font=font)
