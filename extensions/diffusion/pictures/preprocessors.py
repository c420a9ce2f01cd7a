"""From a picture to what a ControlNet was trained on: edges, lines, a coarse copy. No model and no download."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageFilter, ImageOps


def prepared(picture: Image.Image, name: str) -> Image.Image:
    """``picture`` (RGB) as ``name`` of the preprocessors makes it, RGB of the same size."""
    if name == "canny":
        return canny(picture).convert("RGB")
    if name == "lineart":
        return lines(picture).convert("RGB")
    if name == "sketch":
        return ImageOps.invert(lines(picture)).convert("RGB")
    if name == "tile":
        small = (max(1, picture.width // 8), max(1, picture.height // 8))
        return picture.resize(small, Image.Resampling.BOX).resize(picture.size, Image.Resampling.BICUBIC)
    if name == "grey":
        return picture.convert("L").convert("RGB")
    return ImageOps.invert(picture) if name == "invert" else picture


def lines(picture: Image.Image) -> Image.Image:
    """White lines on black, mode L: where a picture is darker than its surroundings, a difference of two Gaussians
    (Winnemöller 2011, "XDoG", equation 1, with p = 1), together with its edges.
    """
    grey = picture.convert("L")
    fine, coarse = (np.asarray(grey.filter(ImageFilter.GaussianBlur(radius)), np.float32) for radius in (0.7, 1.12))
    strokes = np.clip((coarse - fine - 2) * 24, 0, 255)
    edges = np.asarray(canny(picture, 60, 120), np.float32)
    return Image.fromarray(np.maximum(strokes, edges).astype(np.uint8))


def canny(picture: Image.Image, low: float = 100, high: float = 200) -> Image.Image:
    """Edges one pixel wide, white on black, mode L (Canny 1986). ``low`` and ``high`` are thresholds of the gradient's
    L1 norm over a 3x3 Sobel operator of 8-bit samples.
    """
    values = np.asarray(picture.convert("L").filter(ImageFilter.GaussianBlur(0.8)), np.float32)
    across, down = _sobel(values)
    strength = np.abs(across) + np.abs(down)
    thin = np.where(_is_ridge(strength, across, down), strength, 0)
    return Image.fromarray((_connected(thin > high, thin > low) * 255).astype(np.uint8))


def _sobel(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Derivatives along x and y, float32 [H,W] each."""
    around = np.pad(values, 1, mode="edge")
    height, width = values.shape

    def at(row: int, column: int) -> np.ndarray:
        return around[row : row + height, column : column + width]

    across = (at(0, 2) + 2 * at(1, 2) + at(2, 2)) - (at(0, 0) + 2 * at(1, 0) + at(2, 0))
    down = (at(2, 0) + 2 * at(2, 1) + at(2, 2)) - (at(0, 0) + 2 * at(0, 1) + at(0, 2))
    return across, down


def _is_ridge(strength: np.ndarray, across: np.ndarray, down: np.ndarray) -> np.ndarray:
    """Where the gradient is the largest along its own direction, in four sectors."""
    around = np.pad(strength, 1)
    height, width = strength.shape
    sector = np.round(np.arctan2(down, across) / (np.pi / 4)).astype(int) % 4
    steps = {0: (0, 1), 1: (1, 1), 2: (1, 0), 3: (1, -1)}
    ridge = np.zeros(strength.shape, bool)
    for place, (row, column) in steps.items():
        ahead = around[1 + row : 1 + row + height, 1 + column : 1 + column + width]
        behind = around[1 - row : 1 - row + height, 1 - column : 1 - column + width]
        ridge |= (sector == place) & (strength >= ahead) & (strength > behind)
    return ridge


def _connected(seeds: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    """The parts of ``allowed`` that touch ``seeds``, by eight neighbours."""
    reached = seeds & allowed
    while True:
        around = np.pad(reached, 1)
        height, width = reached.shape
        grown = np.logical_or.reduce(
            [around[row : row + height, column : column + width] for row in range(3) for column in range(3)]
        )
        grown &= allowed
        if (grown == reached).all():
            return reached
        reached = grown
