"""Natural scene statistics: a grey picture -> its normalised coefficients -> the shape of their distributions.

What BRISQUE and NIQE share. Sources: Mittal, Moorthy, Bovik, "No-Reference Image Quality Assessment in the Spatial
Domain", IEEE TIP 21(12), 2012; the fits by moments are of Sharifi and Leon-Garcia 1995 (GGD) and Lasmar et al. 2009
(AGGD). All in float64, so that a picture has one score on every machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import correlate1d
from scipy.special import gammaln

Array = NDArray[np.float64]
Edge = Literal["constant", "nearest"]

SHIFTS = ((0, 1), (1, 0), (1, 1), (-1, 1))
"""Of the neighbours whose products are looked at: to the right, below, and on the two diagonals."""

_SHAPES = np.arange(200, 10001) / 1000
"""The shapes that a fit chooses from: 0.2 to 10 in steps of 0.001, as the authors' programs do."""
_WINDOW, _SIGMA = 7, 7 / 6


def grey(rgb: NDArray[np.uint8]) -> Array:
    """uint8 [H,W,3] -> float64 [H,W] in 0..255: luma in whole numbers, as the authors' programs read pictures."""
    return np.floor(rgb.astype(np.float64) @ np.array([0.298936, 0.587043, 0.114021]) + 0.5)


def _gaussian() -> Array:
    at = np.arange(_WINDOW) - _WINDOW // 2
    weights = np.exp(-(at**2) / (2 * _SIGMA**2))
    return weights / weights.sum()


@dataclass(frozen=True)
class Normalised:
    """``mscn``: mean-subtracted contrast-normalised coefficients; ``contrast``: the local standard deviation."""

    mscn: Array
    contrast: Array


def normalise(picture: Array, edge: Edge) -> Normalised:
    """float64 [H,W] in 0..255 -> (I - mu) / (sigma + 1) over a 7 x 7 Gaussian window, equations 1 to 3 of the paper.

    ``edge``: what lies beyond the picture; zeros (``constant``, BRISQUE) or its last pixels (``nearest``, NIQE).
    """
    weights = _gaussian()

    def blur(values: Array) -> Array:
        return correlate1d(correlate1d(values, weights, axis=0, mode=edge), weights, axis=1, mode=edge)

    mean = blur(picture)
    contrast = np.sqrt(np.abs(blur(picture**2) - mean**2))
    return Normalised((picture - mean) / (contrast + 1), contrast)


def halve(picture: Array) -> Array:
    """float64 [H,W] -> [ceil(H/2), ceil(W/2)]: bicubic (a = -1/2) over an antialiasing window twice as wide, mirrored
    at the edges: what MATLAB's ``imresize(picture, 0.5)`` gives, up to rounding.
    """
    return _halve_rows(_halve_rows(picture).T).T


def _halve_rows(picture: Array) -> Array:
    at = np.array([1.75, 1.25, 0.75, 0.25, 0.25, 0.75, 1.25, 1.75])  # distances of the eight taps, halved
    near, far = 1.5 * at**3 - 2.5 * at**2 + 1, -0.5 * at**3 + 2.5 * at**2 - 4 * at + 2
    weights = np.where(at <= 1, near, far)
    weights /= weights.sum()
    rows = -(-picture.shape[0] // 2)
    padded = np.pad(picture, ((3, 4 + picture.shape[0] % 2), (0, 0)), mode="symmetric")
    return np.asarray(sum(weight * padded[tap : tap + 2 * rows : 2] for tap, weight in enumerate(weights)))


@dataclass(frozen=True)
class Asymmetric:
    """An asymmetric generalised Gaussian for each row of samples: float64 [N] each, NaN where a side has no samples.

    ``left`` and ``right`` are standard deviations of the two sides.
    """

    shape: Array
    left: Array
    right: Array

    @property
    def mean(self) -> Array:
        """eta of equation 9: (beta_r - beta_l) Gamma(2/alpha) / Gamma(1/alpha)."""
        return (self.beta_right - self.beta_left) * np.exp(gammaln(2 / self.shape) - gammaln(1 / self.shape))

    @property
    def beta_left(self) -> Array:
        """The scale of the left side."""
        return self.left * np.exp((gammaln(1 / self.shape) - gammaln(3 / self.shape)) / 2)

    @property
    def beta_right(self) -> Array:
        """The scale of the right side."""
        return self.right * np.exp((gammaln(1 / self.shape) - gammaln(3 / self.shape)) / 2)


def _ratio() -> Array:
    """Gamma(2/a)^2 / (Gamma(1/a) Gamma(3/a)) of every shape: it grows with the shape."""
    return np.exp(2 * gammaln(2 / _SHAPES) - gammaln(1 / _SHAPES) - gammaln(3 / _SHAPES))


_RATIO = _ratio()


def _shape_of(ratio: Array) -> Array:
    """The shape whose ratio is the nearest; NaN for NaN."""
    known = np.nan_to_num(ratio, nan=0.0)
    above = np.clip(np.searchsorted(_RATIO, known), 1, len(_RATIO) - 1)
    nearest = np.where(known - _RATIO[above - 1] <= _RATIO[above] - known, above - 1, above)
    return np.where(np.isnan(ratio), np.nan, _SHAPES[nearest])


def fit_symmetric(samples: Array) -> tuple[Array, Array]:
    """float64 [N,M] -> shape and variance [N] of a generalised Gaussian around 0 for each row; NaN for rows of 0."""
    variance = (samples**2).mean(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        shape = _shape_of(np.abs(samples).mean(axis=1) ** 2 / variance)
    return shape, variance


def fit_asymmetric(samples: Array) -> Asymmetric:
    """float64 [N,M] -> an asymmetric generalised Gaussian for each row."""
    with np.errstate(divide="ignore", invalid="ignore"):
        left = np.sqrt((np.minimum(samples, 0) ** 2).sum(axis=1) / (samples < 0).sum(axis=1))
        right = np.sqrt((np.maximum(samples, 0) ** 2).sum(axis=1) / (samples > 0).sum(axis=1))
        skew = left / right
        ratio = np.abs(samples).mean(axis=1) ** 2 / (samples**2).mean(axis=1)
        ratio = ratio * (skew**3 + 1) * (skew + 1) / (skew**2 + 1) ** 2
    return Asymmetric(_shape_of(ratio), left, right)


def neighbour_products(mscn: Array, shift: tuple[int, int]) -> Array:
    """float64 [..., H,W] -> each coefficient times its neighbour; beyond the edge the other side begins, as in the
    authors' programs.
    """
    return np.asarray(mscn * np.roll(mscn, shift, axis=(-2, -1)))
