"""Between files and steps: a PIL picture as float32 [H,W,3] in 0..1 (sRGB), and back."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels: TypeAlias = NDArray[np.float32]
"""float32 [H,W,3] in 0..1, or [H,W] where a function says so."""


def to_pixels(picture: Image.Image) -> Pixels:
    """Any mode -> float32 [H,W,3]; transparency is left out."""
    return np.asarray(picture.convert("RGB"), np.float32) / np.float32(255)


def to_picture(pixels: Pixels) -> Image.Image:
    """float32 [H,W,3] -> RGB, [H,W] -> L; values beyond 0..1 are cut."""
    return Image.fromarray((np.clip(pixels, 0, 1) * 255).round().astype(np.uint8))


def psnr_db(made: Pixels, truth: Pixels) -> float:
    """Peak signal-to-noise ratio of two pictures of one size; 100 where they are the same. Raises ValueError."""
    if made.shape != truth.shape:
        raise ValueError(f"psnr: expected two pictures of one size, got {made.shape} and {truth.shape}")
    error = float(np.mean(np.square(made.astype(np.float64) - truth)))
    return 100.0 if error < 1e-10 else -10 * float(np.log10(error))
