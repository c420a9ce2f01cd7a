"""Skin of one tone into another: what has another colour, and light, stay as they are."""

from __future__ import annotations

import numpy as np

from .blending import Pixels
from .regions import Mask

_BRIGHTEST, _OTHER_COLOUR = 1.2, 40.0
"""Of skin: how much brighter than usual it still is, and how many grey levels of another hue make it none."""


def toned(source: Pixels, skin: Mask, goal: Pixels, wanted: Mask) -> Pixels:
    """``source`` with its median colour under ``skin`` as that of ``goal`` is under ``wanted``: uint8 [H,W,3].

    Skin in shadow is the same colour, darker, and moves by as much less; what has another colour (brows, beard, lips,
    the whites of eyes) stays as it is. Nothing changes where either mask is empty.
    """
    if not (skin > 0).any() or not (wanted > 0).any():
        return source
    values = source.astype(np.float32)
    have = np.median(source[skin > 0], 0).astype(np.float32)
    want = np.median(goal[wanted > 0], 0).astype(np.float32)
    share = values @ have / max(float(have @ have), 1.0)
    away = np.linalg.norm(values - share[..., None] * have, axis=2)
    weight = share.clip(0, _BRIGHTEST) * np.exp(-np.square(away / _OTHER_COLOUR))
    values += weight[..., None] * (want - have)
    return values.round().clip(0, 255).astype(np.uint8)
