"""Eight kinds of places behind the person: gradients, noise and simple shapes, a little blurred."""

from collections.abc import Callable

import cv2
import numpy as np

from bodyworld.render.arrays import Floats
from bodyworld.render.canvas import Canvas, rgb

MAX_SIDE_PX = 400
"""Longest side that a background is painted at; larger pictures get it enlarged."""


def paint_background(
    kind: str, height: int, width: int, *, floor_y: float, metre_px: float, seed: int
) -> Floats:
    """(H, W, 3) float32 in [0, 1]: a place of one of the kinds in `PAINTERS`.

    Args:
        kind: a key of `PAINTERS`.
        height: of the picture, px.
        width: of the picture, px.
        floor_y: row where the floor meets the wall or the horizon, px.
        metre_px: pixels per metre where the person stands.
        seed: two pictures of the same seed show the same place.
    """
    shrink = min(1.0, MAX_SIDE_PX / max(height, width))
    size = (max(round(height * shrink), 2), max(round(width * shrink), 2))
    canvas = Canvas(
        picture=np.zeros((*size, 3), np.float32),
        floor_y=floor_y * shrink,
        metre_px=metre_px * shrink,
        rng=np.random.default_rng(seed),
    )
    PAINTERS[kind](canvas)
    sharpness = 1.0 if kind in ("brick wall", "living room") else 0.6
    picture = cv2.GaussianBlur(canvas.picture, (0, 0), max(max(size) / 300.0 / sharpness, 0.3))
    if shrink < 1.0:
        picture = cv2.resize(picture, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.clip(picture, 0.0, 1.0)


def _studio(canvas: Canvas) -> None:
    height, width = canvas.shape
    hues = (rgb(0.80, 0.80, 0.82), rgb(0.62, 0.68, 0.76), rgb(0.78, 0.70, 0.64), rgb(0.55, 0.58, 0.60))
    base = hues[int(canvas.rng.integers(len(hues)))]
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    glow = np.exp(-(np.square((x / width - 0.5) / 0.6) + np.square((y / height - 0.4) / 0.6)))
    canvas.picture[:] = base * (0.70 + 0.36 * glow)[..., None]
    sweep = np.clip((y - canvas.floor_y) / max(0.25 * canvas.metre_px, 1.0), 0.0, 1.0)[..., None]
    canvas.picture[:] = canvas.picture * (1.0 + 0.07 * sweep)


def _beach(canvas: Canvas) -> None:
    height, width = canvas.shape
    horizon = canvas.floor_y - 0.55 * canvas.metre_px
    canvas.fill_gradient(((horizon - height, rgb(0.25, 0.52, 0.86)), (horizon, rgb(0.78, 0.90, 0.97))))
    clouds = np.clip(canvas.noise(7, 4) + 0.5 * canvas.noise(16, 9) - 0.25, 0.0, 0.8)[..., None]
    canvas.picture[:] += clouds * (1.0 - canvas.picture)
    sea_end = canvas.floor_y - 0.05 * canvas.metre_px
    canvas.box(0, horizon, width, sea_end, rgb(0.08, 0.42, 0.58))
    top, bottom = (int(np.clip(v, 0, height)) for v in (horizon, sea_end))
    waves = np.clip(canvas.noise(120, 6), -1, 1)[top:bottom, :, None]
    canvas.picture[top:bottom] += 0.10 * waves
    canvas.lay_ground(rgb(0.87, 0.76, 0.56), rgb(0.93, 0.85, 0.68), 0.05)
    for row in range(int(sea_end), int(canvas.floor_y) + 1):
        if 0 <= row < height:
            canvas.picture[row] = rgb(0.93, 0.95, 0.94)


def _forest(canvas: Canvas) -> None:
    """Bright haze far away, then three rows of trees that get darker towards the camera."""
    canvas.fill_gradient(((0, rgb(0.62, 0.78, 0.50)), (canvas.floor_y, rgb(0.80, 0.87, 0.60))))
    leaves = canvas.noise(60, 40) * 0.6 + canvas.noise(20, 14)
    canvas.picture[:] *= (0.80 + 0.20 * leaves)[..., None]
    canvas.lay_ground(rgb(0.26, 0.42, 0.14), rgb(0.50, 0.62, 0.28), 0.16)
    _, width = canvas.shape
    for layer, (count, tone) in enumerate(((8, 1.05), (5, 0.80), (3, 0.58))):
        for number in range(count):
            x = (number + float(canvas.rng.uniform(0.0, 1.0))) / count * width
            foot = canvas.floor_y + (0.02 + 0.07 * layer) * canvas.metre_px
            _tree(canvas, x, 0.035 + 0.035 * layer, foot, tone)
    floor = int(np.clip(canvas.floor_y, 0, canvas.shape[0]))
    canvas.picture[:floor] *= (1.0 + 0.10 * canvas.noise(70, 46))[:floor, :, None]


def _tree(canvas: Canvas, x: float, half_m: float, foot: float, tone: float) -> None:
    """A trunk and a crown of blobs."""
    half = half_m * canvas.metre_px * float(canvas.rng.uniform(0.7, 1.4))
    lean = float(canvas.rng.normal(0, 0.1)) * canvas.metre_px
    bark = np.minimum(rgb(0.46, 0.34, 0.22) * tone, 1.0)
    canvas.polygon(
        [(x - half, foot), (x + half, foot), (x + lean + half / 2, -9), (x + lean - half / 2, -9)],
        bark,
    )
    for _ in range(12):
        green = rgb(0.30, 0.55, 0.18) * float(canvas.rng.uniform(0.7, 1.15)) * tone
        y = foot - canvas.metre_px * float(canvas.rng.uniform(1.35, 3.6))
        place = x + lean + float(canvas.rng.normal(0, 0.32)) * canvas.metre_px
        canvas.blob(place, y, canvas.metre_px * float(canvas.rng.uniform(0.10, 0.24)), green)


def _city(canvas: Canvas) -> None:
    _, width = canvas.shape
    canvas.fill_gradient(((0, rgb(0.66, 0.74, 0.83)), (canvas.floor_y, rgb(0.88, 0.89, 0.88))))
    x = -0.3 * canvas.metre_px
    tones = (rgb(0.55, 0.50, 0.46), rgb(0.45, 0.47, 0.52), rgb(0.68, 0.61, 0.52), rgb(0.38, 0.36, 0.38))
    while x < width:
        wide = canvas.metre_px * float(canvas.rng.uniform(0.7, 1.3))
        tall = canvas.metre_px * float(canvas.rng.uniform(1.3, 3.6))
        tone = tones[int(canvas.rng.integers(len(tones)))]
        canvas.box(x, canvas.floor_y - tall, x + wide, canvas.floor_y, tone)
        step = 0.24 * canvas.metre_px
        for row in np.arange(canvas.floor_y - tall + step * 0.5, canvas.floor_y - step, step):
            for column in np.arange(x + step * 0.4, x + wide - step * 0.5, step):
                lit = (
                    rgb(0.86, 0.80, 0.58)
                    if canvas.rng.random() < 0.25
                    else tone * 0.5 + rgb(0.06, 0.09, 0.13)
                )
                canvas.box(column, row, column + step * 0.5, row + step * 0.62, lit)
        x += wide + 0.02 * canvas.metre_px
    canvas.lay_ground(rgb(0.36, 0.36, 0.38), rgb(0.50, 0.50, 0.51), 0.04)
    canvas.box(0, canvas.floor_y, width, canvas.floor_y + 0.10 * canvas.metre_px, rgb(0.66, 0.65, 0.63))
    for k in range(-4, 12):
        left = width * 0.5 + (k - 4) * 0.8 * canvas.metre_px
        y = canvas.floor_y + 0.22 * canvas.metre_px
        canvas.polygon(
            [
                (left, y),
                (left + 0.35 * canvas.metre_px, y),
                (left + 0.3 * canvas.metre_px, y + 0.05 * canvas.metre_px),
                (left - 0.05 * canvas.metre_px, y + 0.05 * canvas.metre_px),
            ],
            rgb(0.88, 0.87, 0.80),
        )


def _brick_wall(canvas: Canvas) -> None:
    height, width = canvas.shape
    tall, wide = 0.12 * canvas.metre_px, 0.30 * canvas.metre_px
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    row = np.floor((y - canvas.floor_y) / tall)
    column = np.floor(x / wide + 0.5 * np.mod(row, 2))
    shade = np.sin(row * 12.9 + column * 78.2 + float(canvas.rng.uniform(0, 9))) * 43758.5
    shade = 0.82 + 0.30 * (shade - np.floor(shade))
    mortar = (np.mod((y - canvas.floor_y) / tall, 1) < 0.13) | (
        np.mod(x / wide + 0.5 * np.mod(row, 2), 1) < 0.055
    )
    canvas.picture[:] = rgb(0.60, 0.27, 0.20) * shade[..., None]
    canvas.picture[mortar] = rgb(0.70, 0.65, 0.60)
    canvas.picture[:] *= (1.0 + 0.07 * canvas.noise(12, 8) + 0.05 * canvas.noise(80, 60))[..., None]
    canvas.lay_ground(rgb(0.44, 0.42, 0.40), rgb(0.52, 0.50, 0.48), 0.05)


def _living_room(canvas: Canvas) -> None:
    _, width = canvas.shape
    middle = width * 0.5
    walls = (rgb(0.90, 0.84, 0.70), rgb(0.72, 0.80, 0.74), rgb(0.86, 0.78, 0.76))
    canvas.picture[:] = walls[int(canvas.rng.integers(3))] * (0.93 + 0.05 * canvas.noise(3, 3))[..., None]
    metre, floor = canvas.metre_px, canvas.floor_y
    canvas.lay_ground(rgb(0.50, 0.32, 0.18), rgb(0.62, 0.42, 0.26), 0.05)
    canvas.box(0, floor - 0.10 * metre, width, floor, rgb(0.95, 0.94, 0.91))
    side = 1.0 if canvas.rng.random() < 0.5 else -1.0
    white = rgb(0.97, 0.97, 0.95)
    window = middle + side * metre * float(canvas.rng.uniform(0.75, 1.0))
    canvas.box(
        window - 0.50 * metre, floor - 2.05 * metre, window + 0.50 * metre, floor - 0.80 * metre, white
    )
    for a in (-0.44, 0.03):
        left, right = window + a * metre, window + (a + 0.41) * metre
        canvas.box(left, floor - 1.99 * metre, right, floor - 0.86 * metre, rgb(0.66, 0.84, 0.97))
    sofa = middle - side * metre * float(canvas.rng.uniform(0.65, 0.95))
    tone = (rgb(0.30, 0.40, 0.45), rgb(0.50, 0.28, 0.25), rgb(0.36, 0.42, 0.28))[int(canvas.rng.integers(3))]
    canvas.box(sofa - 0.8 * metre, floor - 0.78 * metre, sofa + 0.8 * metre, floor - 0.02 * metre, tone)
    canvas.box(
        sofa - 0.7 * metre, floor - 0.42 * metre, sofa + 0.7 * metre, floor + 0.02 * metre, tone * 1.25
    )
    frame = sofa + 0.1 * metre
    canvas.box(
        frame - 0.3 * metre,
        floor - 1.85 * metre,
        frame + 0.3 * metre,
        floor - 1.40 * metre,
        rgb(0.28, 0.18, 0.10),
    )
    art = canvas.rng.uniform(0.3, 0.8, 3).astype(np.float32)
    canvas.box(frame - 0.25 * metre, floor - 1.80 * metre, frame + 0.25 * metre, floor - 1.45 * metre, art)


def _night(canvas: Canvas) -> None:
    height, width = canvas.shape
    canvas.fill_gradient(((0, rgb(0.02, 0.02, 0.07)), (canvas.floor_y, rgb(0.10, 0.06, 0.20))))
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    for _ in range(3):
        top = float(canvas.rng.uniform(0.0, 1.0)) * width
        foot = float(canvas.rng.uniform(0.2, 0.8)) * width
        hue = (rgb(0.5, 0.15, 0.7), rgb(0.1, 0.35, 0.8), rgb(0.75, 0.15, 0.4))[int(canvas.rng.integers(3))]
        along = np.clip(y / max(canvas.floor_y, 1.0), 0.0, 1.2)
        beam = np.exp(-np.square((x - top - (foot - top) * along) / (0.06 * width + 0.16 * width * along)))
        canvas.picture[:] += (beam * 0.42)[..., None] * hue
    canvas.lay_ground(rgb(0.08, 0.06, 0.12), rgb(0.20, 0.13, 0.28), 0.04)
    for _ in range(45):
        place = (float(canvas.rng.random()) * width, float(canvas.rng.random()) * max(canvas.floor_y, 1.0))
        radius = max(float(canvas.rng.uniform(0.004, 0.014)) * height, 0.6)
        canvas.blob(*place, radius, rgb(1.0, 0.9, 0.7) * float(canvas.rng.uniform(0.4, 1)))


def _snow(canvas: Canvas) -> None:
    height, width = canvas.shape
    zenith = canvas.floor_y - 3 * canvas.metre_px
    canvas.fill_gradient(((zenith, rgb(0.46, 0.62, 0.84)), (canvas.floor_y, rgb(0.86, 0.91, 0.96))))
    for layer, tone in enumerate((rgb(0.60, 0.68, 0.80), rgb(0.42, 0.50, 0.62))):
        x = -0.5 * canvas.metre_px
        while x < width + canvas.metre_px:
            tall = canvas.metre_px * float(canvas.rng.uniform(0.9, 2.3)) * (1.0 - 0.35 * layer)
            half = canvas.metre_px * float(canvas.rng.uniform(0.7, 1.2))
            peak = (x, canvas.floor_y - tall)
            canvas.polygon([(x - half, canvas.floor_y), peak, (x + half, canvas.floor_y)], tone)
            cap = 0.38
            canvas.polygon(
                [
                    (x - half * cap, peak[1] + tall * cap),
                    peak,
                    (x + half * cap, peak[1] + tall * cap),
                    (x + half * 0.1, peak[1] + tall * 0.28),
                    (x - half * 0.12, peak[1] + tall * 0.44),
                ],
                rgb(0.95, 0.97, 1.0),
            )
            x += half * 1.3
    canvas.lay_ground(rgb(0.92, 0.94, 0.98), rgb(0.86, 0.90, 0.96), 0.025)
    for _ in range(70):
        place = (float(canvas.rng.random()) * width, float(canvas.rng.random()) * height)
        canvas.blob(*place, max(0.004 * height, 0.6), rgb(1.0, 1.0, 1.0))


PAINTERS: dict[str, Callable[[Canvas], None]] = {
    "studio": _studio,
    "beach": _beach,
    "forest": _forest,
    "city": _city,
    "brick wall": _brick_wall,
    "living room": _living_room,
    "night": _night,
    "snow": _snow,
}
