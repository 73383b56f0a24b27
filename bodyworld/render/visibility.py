"""Visible parts of the people of a photo, read off the drawn surface: keypoints, person boxes and face boxes."""

import numpy as np

from bodyworld.render.arrays import Floats
from bodyworld.render.figure import Figure
from bodyworld.render.head import nose_tip
from bodyworld.render.rasteriser import Surface, View
from bodyworld.render.skull import EAR_T, EYE_T, eye_azimuth, head_point
from bolid_pipeline.pose.skeleton import KEYPOINT_NAMES

_REACH_M = {"shoulder": 0.075, "elbow": 0.05, "wrist": 0.04, "hip": 0.15, "knee": 0.07, "ankle": 0.06}
"""Largest depth of a joint below the visible skin at which it still counts as seen, for an average body."""
_HEAD_REACH_M = 0.022


def find_keypoints(figure: Figure, view: View, surface: Surface) -> Floats:
    """(17, 3) float32 keypoints in COCO order: x_px, y_px, and 1 if visible, else 0.

    A keypoint is visible inside the picture, on the side that faces the camera, where nothing nearer covers it.
    """
    result = np.zeros((len(KEYPOINT_NAMES), 3), np.float32)
    depth, owners = surface.depth_map(), surface.owner_map()
    for row, (point, reach, is_away) in enumerate(_keypoint_sites(figure)):
        x, y = (float(v) for v in view.to_px(point))
        column, line = int(np.floor(x)), int(np.floor(y))
        is_inside = 0 <= column < surface.width and 0 <= line < surface.height
        is_open = is_inside and not is_away
        if is_open and owners[line, column] != 0:
            margin = 1.6 * reach + 0.02
            is_open = bool(depth[line, column] <= point[2] + margin)
        result[row] = x, y, float(is_open)
    return result


def _keypoint_sites(figure: Figure) -> list[tuple[Floats, float, bool]]:
    """For each keypoint: its camera-space point, reach of the skin in front of it in metres, True if it faces away."""
    skeleton, identity = figure.skeleton, figure.identity
    sites: list[tuple[Floats, float, bool]] = []
    for name in KEYPOINT_NAMES:
        side, _, joint = name.partition("_")
        sign = 1.0 if side == "left" else -1.0
        if name == "nose":
            sites.append((nose_tip(skeleton, identity), _HEAD_REACH_M, np.cos(skeleton.head_yaw) < -0.1))
        elif joint in ("eye", "ear"):
            azimuth = sign * (eye_azimuth(identity) if joint == "eye" else 1.70)
            point = head_point(identity, skeleton, azimuth, EYE_T if joint == "eye" else EAR_T, 0.0)
            limit = 0.10 if joint == "eye" else -0.25
            sites.append((point, _HEAD_REACH_M, bool(np.cos(azimuth + skeleton.head_yaw) < limit)))
        else:
            scale = skeleton.size.height / 1.7 * (0.6 + 0.4 * skeleton.size.girth)
            sites.append((skeleton.joints[name], _REACH_M[joint] * scale, False))
    return sites


def find_person_box(surface: Surface, owner: int) -> Floats:
    """(4,) float32 x0, y0, x1, y1 around what is seen of a person; zeros for one who is not seen."""
    mask = surface.owner_map() == owner
    columns, rows = np.flatnonzero(mask.any(0)), np.flatnonzero(mask.any(1))
    if not rows.size:
        return np.zeros(4, np.float32)
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], np.float32)


def find_face_box(figure: Figure, view: View, surface: Surface) -> Floats | None:
    """Box of the face, or None when it is turned away, covered, or mostly outside the picture."""
    skeleton, identity = figure.skeleton, figure.identity
    if figure.scene.face_cover != "none" or np.cos(skeleton.head_yaw) < -0.35:
        return None
    azimuths = [a for a in np.radians(np.arange(-80, 81, 16)) if np.cos(a + skeleton.head_yaw) > 0.0]
    points = np.array(
        [head_point(identity, skeleton, a, t) for a in azimuths for t in (0.02, 0.25, 0.5, 0.84)]
    )
    if not len(points):
        return None
    pixels = view.to_px(points)
    whole = np.array([*pixels.min(0), *pixels.max(0)], np.float32)
    limit = np.array([surface.width, surface.height] * 2, np.float32)
    box = np.clip(whole, 0.0, limit)
    area, shown = ((b[2] - b[0]) * (b[3] - b[1]) for b in (whole, box))
    if area <= 0 or shown < 0.6 * area:
        return None
    columns, rows = (np.clip(pixels[:, i].astype(int), 0, int(limit[i]) - 1) for i in (0, 1))
    nearest = surface.depth_map()[rows, columns]
    hidden = (nearest > points[:, 2] + 0.07).mean()
    return box if hidden < 0.55 else None
