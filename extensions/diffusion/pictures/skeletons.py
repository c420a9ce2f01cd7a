"""Draws people's poses as the networks that are steered by them were trained to read them: OpenPose's limbs and colours
(Cao et al. 2019, "OpenPose", figure 5) on black. PIL alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

_ORDER = (0, -1, 6, 8, 10, 5, 7, 9, 12, 14, 16, 11, 13, 15, 2, 1, 4, 3)
"""OpenPose's 18 points among COCO's 17; its second, the neck, is halfway between the shoulders."""
_SHOULDERS = (5, 6)
_LIMBS = (
    (1, 2), (1, 5), (2, 3), (3, 4), (5, 6), (6, 7), (1, 8), (8, 9), (9, 10), (1, 11), (11, 12), (12, 13), (1, 0),
    (0, 14), (14, 16), (0, 15), (15, 17),
)  # fmt: skip
_COLOURS = (
    (255, 0, 0), (255, 85, 0), (255, 170, 0), (255, 255, 0), (170, 255, 0), (85, 255, 0), (0, 255, 0), (0, 255, 85),
    (0, 255, 170), (0, 255, 255), (0, 170, 255), (0, 85, 255), (0, 0, 255), (85, 0, 255), (170, 0, 255), (255, 0, 255),
    (255, 0, 170), (255, 0, 85),
)  # fmt: skip
_LIMB_SHARE = 0.6
"""Limbs are darker than points."""
_SURE = 0.3
_WIDTH_SHARE = 4 / 512
"""Half a limb's width, of the picture's shorter side."""


def drawn(size: tuple[int, int], poses: Sequence[np.ndarray]) -> Image.Image:
    """RGB at ``size``. A pose is float [17, 3]: x, y in pixels and how sure it is, in COCO's order."""
    picture = Image.new("RGB", size)
    pen = ImageDraw.Draw(picture)
    half = max(1.0, min(size) * _WIDTH_SHARE)
    for points in map(openpose_points, poses):
        for (start, end), colour in zip(_LIMBS, _COLOURS, strict=False):
            if min(points[start, 2], points[end, 2]) >= _SURE:
                dark = tuple(int(value * _LIMB_SHARE) for value in colour)
                ends = [tuple(map(float, points[place, :2])) for place in (start, end)]
                pen.line(ends, fill=dark, width=max(1, round(2 * half)))
        for (x, y, sure), colour in zip(points, _COLOURS, strict=True):
            if sure >= _SURE:
                pen.ellipse((x - half, y - half, x + half, y + half), fill=colour)
    return picture


def openpose_points(pose: np.ndarray) -> np.ndarray:
    """float [18, 3] in OpenPose's order, from COCO's [17, 3]."""
    shoulders = pose[list(_SHOULDERS)]
    neck = np.array([*shoulders[:, :2].mean(0), shoulders[:, 2].min()])
    return np.stack([neck if place < 0 else pose[place] for place in _ORDER])
