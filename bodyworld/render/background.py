"""Eight kinds of places behind the person: gradients, noise and simple shapes, a little blurred."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from bodyworld.render.shading import Floats

CANVAS_PX = 400  # longest side that a background is painted at; larger pictures get it enlarged


@dataclass(frozen=True, kw_only=True)
class Stage:
    """Where to paint.

    `picture`: (H, W, 3) float32 in [0, 1]; `floor_y`: row where the floor meets wall or horizon, px; `metre`: px per
    metre at the person.
    """

    picture: Floats
    floor_y: float
    metre: float
    rng: np.random.Generator

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width, px."""
        return self.picture.shape[0], self.picture.shape[1]


def paint_background(
    kind: str, height: int, width: int, *, floor_y: float, metre: float, seed: int
) -> Floats:
    """(H, W, 3) float32 in [0, 1]. `floor_y` in px of the picture, `metre` px per metre."""
    shrink = min(1.0, CANVAS_PX / max(height, width))
    size = (max(round(height * shrink), 2), max(round(width * shrink), 2))
    stage = Stage(
        picture=np.zeros((*size, 3), np.float32),
        floor_y=floor_y * shrink,
        metre=metre * shrink,
        rng=np.random.default_rng(seed),
    )
    PAINTERS[kind](stage)
    picture = stage.picture
    sharp = 1.0 if kind in ("brick wall", "living room") else 0.6
    picture = cv2.GaussianBlur(picture, (0, 0), max(max(size) / 300.0 / sharp, 0.3))
    if shrink < 1.0:
        picture = cv2.resize(picture, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.clip(picture, 0.0, 1.0)


def _rgb(*values: float) -> Floats:
    return np.array(values, np.float32)


def _noise(stage: Stage, rows: int, columns: int) -> Floats:
    """Smooth noise over the picture, (H, W) about -1..1, with that many cells."""
    grid = stage.rng.normal(0.0, 0.6, (rows, columns)).astype(np.float32)
    height, width = stage.shape
    return cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC)


def _vertical(stage: Stage, stops: tuple[tuple[float, Floats], ...]) -> None:
    """Fill with a vertical gradient; stops in rows."""
    rows = np.arange(stage.shape[0])
    positions, colours = zip(*stops, strict=True)
    table = np.stack([np.interp(rows, positions, [c[i] for c in colours]) for i in range(3)], -1)
    stage.picture[:] = table[:, None]


def _box(stage: Stage, x0: float, y0: float, x1: float, y1: float, colour: Floats) -> None:
    height, width = stage.shape
    a, b = int(np.clip(x0, 0, width)), int(np.clip(x1, 0, width))
    c, d = int(np.clip(y0, 0, height)), int(np.clip(y1, 0, height))
    stage.picture[c:d, a:b] = colour


def _polygon(stage: Stage, points: list[tuple[float, float]], colour: Floats) -> None:
    corners = np.clip(np.array(points, np.float32), -4000, 4000).astype(np.int32)
    cv2.fillPoly(stage.picture, [corners], [float(c) for c in colour], lineType=cv2.LINE_AA)


def _blob(stage: Stage, x: float, y: float, radius: float, colour: Floats) -> None:
    centre = (int(np.clip(x, -4000, 4000)), int(np.clip(y, -4000, 4000)))
    cv2.circle(stage.picture, centre, max(int(radius), 1), [float(c) for c in colour], -1, cv2.LINE_AA)


def _ground(stage: Stage, near: Floats, far: Floats, grain: float) -> None:
    """Floor below `floor_y`, lighter towards the horizon."""
    height, _ = stage.shape
    top = int(np.clip(stage.floor_y, 0, height))
    if top >= height:
        return
    depth = np.linspace(0.0, 1.0, height - top, dtype=np.float32)[:, None, None]
    texture = 1.0 + grain * (_noise(stage, 40, 24) + _noise(stage, 90, 50))[top:, :, None]
    stage.picture[top:] = (far + (near - far) * depth) * texture


def _studio(stage: Stage) -> None:
    height, width = stage.shape
    hues = (_rgb(0.80, 0.80, 0.82), _rgb(0.62, 0.68, 0.76), _rgb(0.78, 0.70, 0.64), _rgb(0.55, 0.58, 0.60))
    base = hues[int(stage.rng.integers(len(hues)))]
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    glow = np.exp(-(np.square((x / width - 0.5) / 0.6) + np.square((y / height - 0.4) / 0.6)))
    stage.picture[:] = base * (0.70 + 0.36 * glow)[..., None]
    sweep = np.clip((y - stage.floor_y) / max(0.25 * stage.metre, 1.0), 0.0, 1.0)[..., None]
    stage.picture[:] = stage.picture * (1.0 + 0.07 * sweep)


def _beach(stage: Stage) -> None:
    height, width = stage.shape
    horizon = stage.floor_y - 0.55 * stage.metre
    _vertical(stage, ((horizon - height, _rgb(0.25, 0.52, 0.86)), (horizon, _rgb(0.78, 0.90, 0.97))))
    clouds = np.clip(_noise(stage, 7, 4) + 0.5 * _noise(stage, 16, 9) - 0.25, 0.0, 0.8)[..., None]
    stage.picture[:] += clouds * (1.0 - stage.picture)
    sea_end = stage.floor_y - 0.05 * stage.metre
    _box(stage, 0, horizon, width, sea_end, _rgb(0.08, 0.42, 0.58))
    top, bottom = (int(np.clip(v, 0, height)) for v in (horizon, sea_end))
    waves = np.clip(_noise(stage, 120, 6), -1, 1)[top:bottom, :, None]
    stage.picture[top:bottom] += 0.10 * waves
    _ground(stage, _rgb(0.87, 0.76, 0.56), _rgb(0.93, 0.85, 0.68), 0.05)
    for row in range(int(sea_end), int(stage.floor_y) + 1):
        if 0 <= row < height:
            stage.picture[row] = _rgb(0.93, 0.95, 0.94)


def _forest(stage: Stage) -> None:
    """Bright haze far away, then three rows of trees that get darker towards the camera."""
    _vertical(stage, ((0, _rgb(0.62, 0.78, 0.50)), (stage.floor_y, _rgb(0.80, 0.87, 0.60))))
    leaves = _noise(stage, 60, 40) * 0.6 + _noise(stage, 20, 14)
    stage.picture[:] *= (0.80 + 0.20 * leaves)[..., None]
    _ground(stage, _rgb(0.26, 0.42, 0.14), _rgb(0.50, 0.62, 0.28), 0.16)
    _, width = stage.shape
    for layer, (count, tone) in enumerate(((8, 1.05), (5, 0.80), (3, 0.58))):
        for number in range(count):
            x = (number + float(stage.rng.uniform(0.0, 1.0))) / count * width
            _tree(stage, x, 0.035 + 0.035 * layer, stage.floor_y + (0.02 + 0.07 * layer) * stage.metre, tone)
    height = stage.shape[0]
    stage.picture[: int(np.clip(stage.floor_y, 0, height))] *= (1.0 + 0.10 * _noise(stage, 70, 46))[
        : int(np.clip(stage.floor_y, 0, height)), :, None
    ]


def _tree(stage: Stage, x: float, half_m: float, foot: float, tone: float) -> None:
    """A trunk and a crown of blobs."""
    half = half_m * stage.metre * float(stage.rng.uniform(0.7, 1.4))
    lean = float(stage.rng.normal(0, 0.1)) * stage.metre
    bark = np.minimum(_rgb(0.46, 0.34, 0.22) * tone, 1.0)
    _polygon(
        stage,
        [(x - half, foot), (x + half, foot), (x + lean + half / 2, -9), (x + lean - half / 2, -9)],
        bark,
    )
    for _ in range(12):
        green = _rgb(0.30, 0.55, 0.18) * float(stage.rng.uniform(0.7, 1.15)) * tone
        y = foot - stage.metre * float(stage.rng.uniform(1.35, 3.6))
        place = x + lean + float(stage.rng.normal(0, 0.32)) * stage.metre
        _blob(stage, place, y, stage.metre * float(stage.rng.uniform(0.10, 0.24)), green)


def _city(stage: Stage) -> None:
    _, width = stage.shape
    _vertical(stage, ((0, _rgb(0.66, 0.74, 0.83)), (stage.floor_y, _rgb(0.88, 0.89, 0.88))))
    x = -0.3 * stage.metre
    tones = (_rgb(0.55, 0.50, 0.46), _rgb(0.45, 0.47, 0.52), _rgb(0.68, 0.61, 0.52), _rgb(0.38, 0.36, 0.38))
    while x < width:
        wide = stage.metre * float(stage.rng.uniform(0.7, 1.3))
        tall = stage.metre * float(stage.rng.uniform(1.3, 3.6))
        tone = tones[int(stage.rng.integers(len(tones)))]
        _box(stage, x, stage.floor_y - tall, x + wide, stage.floor_y, tone)
        step = 0.24 * stage.metre
        for row in np.arange(stage.floor_y - tall + step * 0.5, stage.floor_y - step, step):
            for column in np.arange(x + step * 0.4, x + wide - step * 0.5, step):
                lit = (
                    _rgb(0.86, 0.80, 0.58)
                    if stage.rng.random() < 0.25
                    else tone * 0.5 + _rgb(0.06, 0.09, 0.13)
                )
                _box(stage, column, row, column + step * 0.5, row + step * 0.62, lit)
        x += wide + 0.02 * stage.metre
    _ground(stage, _rgb(0.36, 0.36, 0.38), _rgb(0.50, 0.50, 0.51), 0.04)
    _box(stage, 0, stage.floor_y, width, stage.floor_y + 0.10 * stage.metre, _rgb(0.66, 0.65, 0.63))
    for k in range(-4, 12):
        left = width * 0.5 + (k - 4) * 0.8 * stage.metre
        y = stage.floor_y + 0.22 * stage.metre
        _polygon(stage, [(left, y), (left + 0.35 * stage.metre, y), (left + 0.3 * stage.metre, y + 0.05 * stage.metre),
                         (left - 0.05 * stage.metre, y + 0.05 * stage.metre)], _rgb(0.88, 0.87, 0.80))  # fmt: skip


def _brick_wall(stage: Stage) -> None:
    height, width = stage.shape
    tall, wide = 0.12 * stage.metre, 0.30 * stage.metre
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    row = np.floor((y - stage.floor_y) / tall)
    column = np.floor(x / wide + 0.5 * np.mod(row, 2))
    shade = np.sin(row * 12.9 + column * 78.2 + float(stage.rng.uniform(0, 9))) * 43758.5
    shade = 0.82 + 0.30 * (shade - np.floor(shade))
    mortar = (np.mod((y - stage.floor_y) / tall, 1) < 0.13) | (
        np.mod(x / wide + 0.5 * np.mod(row, 2), 1) < 0.055
    )
    stage.picture[:] = _rgb(0.60, 0.27, 0.20) * shade[..., None]
    stage.picture[mortar] = _rgb(0.70, 0.65, 0.60)
    stage.picture[:] *= (1.0 + 0.07 * _noise(stage, 12, 8) + 0.05 * _noise(stage, 80, 60))[..., None]
    _ground(stage, _rgb(0.44, 0.42, 0.40), _rgb(0.52, 0.50, 0.48), 0.05)


def _living_room(stage: Stage) -> None:
    _, width = stage.shape
    middle = width * 0.5
    walls = (_rgb(0.90, 0.84, 0.70), _rgb(0.72, 0.80, 0.74), _rgb(0.86, 0.78, 0.76))
    stage.picture[:] = walls[int(stage.rng.integers(3))] * (0.93 + 0.05 * _noise(stage, 3, 3))[..., None]
    metre, floor = stage.metre, stage.floor_y
    _ground(stage, _rgb(0.50, 0.32, 0.18), _rgb(0.62, 0.42, 0.26), 0.05)
    _box(stage, 0, floor - 0.10 * metre, width, floor, _rgb(0.95, 0.94, 0.91))
    side = 1.0 if stage.rng.random() < 0.5 else -1.0
    white = _rgb(0.97, 0.97, 0.95)
    window = middle + side * metre * float(stage.rng.uniform(0.75, 1.0))
    _box(
        stage, window - 0.50 * metre, floor - 2.05 * metre, window + 0.50 * metre, floor - 0.80 * metre, white
    )
    for a in (-0.44, 0.03):
        left, right = window + a * metre, window + (a + 0.41) * metre
        _box(stage, left, floor - 1.99 * metre, right, floor - 0.86 * metre, _rgb(0.66, 0.84, 0.97))
    sofa = middle - side * metre * float(stage.rng.uniform(0.65, 0.95))
    tone = (_rgb(0.30, 0.40, 0.45), _rgb(0.50, 0.28, 0.25), _rgb(0.36, 0.42, 0.28))[
        int(stage.rng.integers(3))
    ]
    _box(stage, sofa - 0.8 * metre, floor - 0.78 * metre, sofa + 0.8 * metre, floor - 0.02 * metre, tone)
    _box(
        stage, sofa - 0.7 * metre, floor - 0.42 * metre, sofa + 0.7 * metre, floor + 0.02 * metre, tone * 1.25
    )
    frame = sofa + 0.1 * metre
    _box(
        stage,
        frame - 0.3 * metre,
        floor - 1.85 * metre,
        frame + 0.3 * metre,
        floor - 1.40 * metre,
        _rgb(0.28, 0.18, 0.10),
    )
    art = stage.rng.uniform(0.3, 0.8, 3).astype(np.float32)
    _box(stage, frame - 0.25 * metre, floor - 1.80 * metre, frame + 0.25 * metre, floor - 1.45 * metre, art)


def _night(stage: Stage) -> None:
    height, width = stage.shape
    _vertical(stage, ((0, _rgb(0.02, 0.02, 0.07)), (stage.floor_y, _rgb(0.10, 0.06, 0.20))))
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    for _ in range(3):
        top = float(stage.rng.uniform(0.0, 1.0)) * width
        foot = float(stage.rng.uniform(0.2, 0.8)) * width
        hue = (_rgb(0.5, 0.15, 0.7), _rgb(0.1, 0.35, 0.8), _rgb(0.75, 0.15, 0.4))[int(stage.rng.integers(3))]
        along = np.clip(y / max(stage.floor_y, 1.0), 0.0, 1.2)
        beam = np.exp(-np.square((x - top - (foot - top) * along) / (0.06 * width + 0.16 * width * along)))
        stage.picture[:] += (beam * 0.42)[..., None] * hue
    _ground(stage, _rgb(0.08, 0.06, 0.12), _rgb(0.20, 0.13, 0.28), 0.04)
    for _ in range(45):
        place = (float(stage.rng.random()) * width, float(stage.rng.random()) * max(stage.floor_y, 1.0))
        radius = max(float(stage.rng.uniform(0.004, 0.014)) * height, 0.6)
        _blob(stage, *place, radius, _rgb(1.0, 0.9, 0.7) * float(stage.rng.uniform(0.4, 1)))


def _snow(stage: Stage) -> None:
    height, width = stage.shape
    zenith = stage.floor_y - 3 * stage.metre
    _vertical(stage, ((zenith, _rgb(0.46, 0.62, 0.84)), (stage.floor_y, _rgb(0.86, 0.91, 0.96))))
    for layer, tone in enumerate((_rgb(0.60, 0.68, 0.80), _rgb(0.42, 0.50, 0.62))):
        x = -0.5 * stage.metre
        while x < width + stage.metre:
            tall = stage.metre * float(stage.rng.uniform(0.9, 2.3)) * (1.0 - 0.35 * layer)
            half = stage.metre * float(stage.rng.uniform(0.7, 1.2))
            peak = (x, stage.floor_y - tall)
            _polygon(stage, [(x - half, stage.floor_y), peak, (x + half, stage.floor_y)], tone)
            cap = 0.38
            _polygon(stage, [(x - half * cap, peak[1] + tall * cap), peak, (x + half * cap, peak[1] + tall * cap),
                             (x + half * 0.1, peak[1] + tall * 0.28), (x - half * 0.12, peak[1] + tall * 0.44)],
                     _rgb(0.95, 0.97, 1.0))  # fmt: skip
            x += half * 1.3
    _ground(stage, _rgb(0.92, 0.94, 0.98), _rgb(0.86, 0.90, 0.96), 0.025)
    for _ in range(70):
        place = (float(stage.rng.random()) * width, float(stage.rng.random()) * height)
        _blob(stage, *place, max(0.004 * height, 0.6), _rgb(1.0, 1.0, 1.0))


PAINTERS: dict[str, Callable[[Stage], None]] = {
    "studio": _studio,
    "beach": _beach,
    "forest": _forest,
    "city": _city,
    "brick wall": _brick_wall,
    "living room": _living_room,
    "night": _night,
    "snow": _snow,
}
