"""Below every transfer: sRGB to spaces in which colours are compared, and back. All arrays are float64 [...,3]."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Colours = NDArray[np.float64]

_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
"""Linear sRGB -> XYZ, white D65 (IEC 61966-2-1)."""
_WHITE = _XYZ.sum(axis=1)
_EPSILON, _KAPPA = 216 / 24389, 24389 / 27
"""CIE 15: where the cube root of L*a*b* becomes a line, and the slope of that line."""

_LMS = np.array([[0.3811, 0.5783, 0.0402], [0.1967, 0.7244, 0.0782], [0.0241, 0.1288, 0.8444]])
"""RGB -> cone responses (Reinhard et al. 2001, equation 4)."""
_OPPONENT = np.diag([3**-0.5, 6**-0.5, 2**-0.5]) @ np.array([[1.0, 1, 1], [1, 1, -2], [1, -1, 0]])
"""log LMS -> l, alpha, beta (equation 6)."""
_DARKEST = 1 / 255
"""Stands for black, whose logarithm is not finite."""


def to_linear(rgb: Colours) -> Colours:
    """sRGB 0..1 -> linear light."""
    return np.where(rgb <= 0.04045, rgb / 12.92, ((np.maximum(rgb, 0) + 0.055) / 1.055) ** 2.4)


def to_srgb(linear: Colours) -> Colours:
    """Linear light -> sRGB; what is outside the gamut stays outside 0..1."""
    curved = 1.055 * np.maximum(linear, 0.0031308) ** (1 / 2.4) - 0.055
    return np.where(linear <= 0.0031308, linear * 12.92, curved)


def to_lab(rgb: Colours) -> Colours:
    """sRGB 0..1 -> CIE L*a*b*, L in 0..100."""
    ratio = to_linear(rgb) @ _XYZ.T / _WHITE
    root = np.where(ratio > _EPSILON, np.cbrt(ratio), (_KAPPA * ratio + 16) / 116)
    x, y, z = np.moveaxis(root, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def from_lab(lab: Colours) -> Colours:
    """CIE L*a*b* -> sRGB; what is outside the gamut stays outside 0..1."""
    y = (lab[..., 0] + 16) / 116
    root = np.stack([y + lab[..., 1] / 500, y, y - lab[..., 2] / 200], axis=-1)
    cube = root**3
    ratio = np.where(cube > _EPSILON, cube, (116 * root - 16) / _KAPPA)
    return to_srgb((ratio * _WHITE) @ np.linalg.inv(_XYZ).T)


def to_opponent(rgb: Colours) -> Colours:
    """sRGB 0..1 -> l alpha beta (Ruderman et al. 1998), as Reinhard et al. 2001 use it: of RGB as it is stored."""
    return np.log10(np.maximum(np.maximum(rgb, _DARKEST) @ _LMS.T, 1e-6)) @ _OPPONENT.T


def from_opponent(opponent: Colours) -> Colours:
    """l alpha beta -> sRGB; what is outside the gamut stays outside 0..1."""
    return 10 ** (opponent @ np.linalg.inv(_OPPONENT).T) @ np.linalg.inv(_LMS).T
