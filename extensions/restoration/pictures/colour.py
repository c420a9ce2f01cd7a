"""Beside arrays: CIELAB under D65, in which lightness stands apart from colour, and the distance of two colours there.

Formulas: CIE 15:2004; sRGB by IEC 61966-2-1, whose matrix and white point are used unrounded where they are given so.
"""

from __future__ import annotations

import numpy as np

from .arrays import Pixels

_TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]],
    np.float32,
)
_FROM_XYZ = np.linalg.inv(_TO_XYZ.astype(np.float64)).astype(np.float32)
_WHITE = _TO_XYZ.sum(axis=1)
_EPSILON, _KAPPA = np.float32(216 / 24389), np.float32(24389 / 27)


def to_lab(pixels: Pixels) -> Pixels:
    """float32 [...,3] sRGB in 0..1 -> L in 0..100, a and b about -110..110."""
    linear = np.where(pixels <= 0.04045, pixels / 12.92, ((np.maximum(pixels, 0) + 0.055) / 1.055) ** 2.4)
    ratio = linear.astype(np.float32) @ _TO_XYZ.T / _WHITE
    f = np.where(ratio > _EPSILON, np.cbrt(ratio), (_KAPPA * ratio + 16) / 116)
    x, y, z = f[..., 0], f[..., 1], f[..., 2]
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1).astype(np.float32)


def from_lab(lab: Pixels) -> Pixels:
    """The reverse of ``to_lab``; colours outside sRGB are cut at its borders."""
    y = (lab[..., 0] + 16) / 116
    f = np.stack([y + lab[..., 1] / 500, y, y - lab[..., 2] / 200], axis=-1)
    cubed = f**3
    ratio = np.where(cubed > _EPSILON, cubed, (116 * f - 16) / _KAPPA)
    linear = np.clip((ratio * _WHITE).astype(np.float32) @ _FROM_XYZ.T, 0, 1)
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055).astype(np.float32)


def colour_distance(made: Pixels, truth: Pixels) -> float:
    """Mean CIE76 distance of two pictures of one size; about 2.3 is just noticeable."""
    return float(np.linalg.norm(to_lab(made) - to_lab(truth), axis=-1).mean())
