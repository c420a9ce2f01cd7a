"""Scores of one picture that need no model: its pixels -> sharpness and colourfulness."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import correlate

_LAPLACIAN = np.array([[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0]])

Array = NDArray[np.float64]


def luma(rgb: NDArray[np.uint8]) -> Array:
    """uint8 [H,W,3] -> float64 [H,W] in 0..255: the luma of ITU-R BT.601, not rounded."""
    return rgb.astype(np.float64) @ np.array([0.299, 0.587, 0.114])


def variance_of_laplacian(rgb: NDArray[np.uint8]) -> float:
    """uint8 [H,W,3] -> the variance of the luma's Laplacian (4-neighbour kernel), a measure of sharpness.

    Pech-Pacheco et al., "Diatom autofocusing in brightfield microscopy", ICPR 2000. Edge pixels see their mirror
    image. Of pictures of one size and subject a sharper one has more; noise adds to it too.
    """
    return float(correlate(luma(rgb), _LAPLACIAN, mode="mirror").var())


def colourfulness(rgb: NDArray[np.uint8]) -> float:
    """uint8 [H,W,3] -> the colourfulness M3 of Hasler and Suesstrunk, "Measuring colourfulness in natural images",
    Human Vision and Electronic Imaging 2003: 0 is grey, 15 slightly, 33 moderately, 59 quite, 109 extremely colourful.
    """
    red, green, blue = (rgb[..., channel].astype(np.float64) for channel in range(3))
    rg, yb = red - green, 0.5 * (red + green) - blue
    spread = np.hypot(rg.std(), yb.std())
    return float(spread + 0.3 * np.hypot(rg.mean(), yb.mean()))
