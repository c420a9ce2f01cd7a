"""Pictures with the statistics of natural scenes, and what spoils them, for tests."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

Pixels = NDArray[np.uint8]


def dead_leaves(seed: int, size_px: int = 256, count: int = 3000) -> Pixels:
    """uint8 [H,W,3]: discs that hide each other, radii distributed as 1/r^3, each with a grain of its own.

    Lee, Mumford, Huang, "Occlusion Models for Natural Images", IJCV 2001: such pictures have natural statistics.
    """
    rng = np.random.default_rng(seed)
    picture = np.full((size_px, size_px, 3), 128.0)
    rows, columns = np.mgrid[:size_px, :size_px]
    for _ in range(count):
        radius = 3 / np.sqrt(rng.uniform(0.0004, 1))
        y, x = rng.uniform(0, size_px, 2)
        top, left = max(0, int(y - radius)), max(0, int(x - radius))
        window = np.s_[top : int(y + radius) + 2, left : int(x + radius) + 2]
        inside = (rows[window] - y) ** 2 + (columns[window] - x) ** 2 < radius**2
        grain = rng.normal(0, rng.uniform(0, 6), (*inside.shape, 1))
        picture[window] = np.where(inside[..., None], rng.uniform(20, 235, 3) + grain, picture[window])
    return np.clip(gaussian_filter(picture, (0.5, 0.5, 0)), 0, 255).astype(np.uint8)


def blurred(picture: Pixels, sigma: float) -> Pixels:
    return np.asarray(gaussian_filter(picture.astype(float), (sigma, sigma, 0))).round().astype(np.uint8)


def noisy(picture: Pixels, sigma: float, seed: int = 0) -> Pixels:
    noise = np.random.default_rng(seed).normal(0, 1, picture.shape)
    return np.clip(picture + sigma * noise, 0, 255).round().astype(np.uint8)
