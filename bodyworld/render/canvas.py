"""The canvas that a background is painted on, and the simple shapes that it is painted with."""

from dataclasses import dataclass

import cv2
import numpy as np

from bodyworld.render.arrays import Floats

_FAR_PX = 4000  # OpenCV's fixed-point coordinates overflow beyond some ten thousand pixels


@dataclass(frozen=True, kw_only=True)
class Canvas:
    """A picture that is painted in place."""

    picture: Floats
    """(H, W, 3) float32 in [0, 1]."""
    floor_y: float
    """Row where the floor meets the wall or the horizon, px."""
    metre_px: float
    """Pixels per metre where the person stands."""
    rng: np.random.Generator

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width, px."""
        return self.picture.shape[0], self.picture.shape[1]

    def noise(self, rows: int, columns: int) -> Floats:
        """Smooth noise over the picture, (H, W) about -1 to 1, with that many cells."""
        grid = self.rng.normal(0.0, 0.6, (rows, columns)).astype(np.float32)
        height, width = self.shape
        return cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC)

    def fill_gradient(self, stops: tuple[tuple[float, Floats], ...]) -> None:
        """Fill with a vertical gradient; each stop is a row and its colour (3,)."""
        rows = np.arange(self.shape[0])
        positions, colours = zip(*stops, strict=True)
        table = np.stack([np.interp(rows, positions, [c[i] for c in colours]) for i in range(3)], -1)
        self.picture[:] = table[:, None]

    def box(self, x0: float, y0: float, x1: float, y1: float, colour: Floats) -> None:
        """Fill a rectangle, clipped to the picture."""
        height, width = self.shape
        left, right = int(np.clip(x0, 0, width)), int(np.clip(x1, 0, width))
        top, bottom = int(np.clip(y0, 0, height)), int(np.clip(y1, 0, height))
        self.picture[top:bottom, left:right] = colour

    def polygon(self, points: list[tuple[float, float]], colour: Floats) -> None:
        """Fill a polygon with smooth edges."""
        corners = np.clip(np.array(points, np.float32), -_FAR_PX, _FAR_PX).astype(np.int32)
        cv2.fillPoly(self.picture, [corners], [float(c) for c in colour], lineType=cv2.LINE_AA)

    def blob(self, x: float, y: float, radius: float, colour: Floats) -> None:
        """Fill a disc with a smooth edge."""
        centre = (int(np.clip(x, -_FAR_PX, _FAR_PX)), int(np.clip(y, -_FAR_PX, _FAR_PX)))
        cv2.circle(self.picture, centre, max(int(radius), 1), [float(c) for c in colour], -1, cv2.LINE_AA)

    def lay_ground(self, near: Floats, far: Floats, grain: float) -> None:
        """Paint the floor below `floor_y`, from the colour `far` at its edge to `near` at the camera."""
        height, _ = self.shape
        top = int(np.clip(self.floor_y, 0, height))
        if top >= height:
            return
        depth = np.linspace(0.0, 1.0, height - top, dtype=np.float32)[:, None, None]
        texture = 1.0 + grain * (self.noise(40, 24) + self.noise(90, 50))[top:, :, None]
        self.picture[top:] = (far + (near - far) * depth) * texture


def rgb(*values: float) -> Floats:
    """A colour, (3,) float32."""
    return np.array(values, np.float32)
