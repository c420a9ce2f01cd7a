"""Where two pictures differ -> one picture: picture, reference and the error as heat, side by side with its scale."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

_GAP, _BAR, _FOOT = 4, 12, 16
_LEAST_FULL = 16.0
"""The error in 0..255 that the brightest colour stands for at least: what is smaller is not blown up to look bad."""
_STOPS = np.array([(0, 0, 4), (51, 16, 104), (136, 34, 106), (212, 72, 66), (251, 154, 6), (252, 255, 164)], np.float64)
"""Dark to bright in even steps of lightness, so that it reads in grey too."""


def heat_colours(values: NDArray[np.float64]) -> NDArray[np.uint8]:
    """float64 [H,W] in 0..1 -> uint8 [H,W,3]."""
    at = np.clip(values, 0, 1) * (len(_STOPS) - 1)
    low = np.minimum(at.astype(int), len(_STOPS) - 2)
    share = (at - low)[..., None]
    return (_STOPS[low] * (1 - share) + _STOPS[low + 1] * share).round().astype(np.uint8)


def error_of(picture: Image.Image, reference: Image.Image) -> NDArray[np.float64]:
    """RGB of one size -> float64 [H,W] in 0..255: the root of the mean square over channels at each pixel."""
    a, b = (np.asarray(one.convert("RGB"), np.float64) for one in (picture, reference))
    if a.shape != b.shape:
        raise ValueError(f"expected two pictures of one size, got {picture.size} and {reference.size}")
    return np.asarray(np.sqrt(((a - b) ** 2).mean(axis=2)))


def error_sheet(picture: Image.Image, reference: Image.Image) -> Image.Image:
    """Both and the error between them; below the error, what its brightest colour stands for."""
    error = error_of(picture, reference)
    full = max(_LEAST_FULL, float(np.percentile(error, 99.5)))
    width, height = picture.size
    sheet = Image.new("RGB", (3 * width + 2 * _GAP, height + _GAP + _BAR + _FOOT), "white")
    for place, one in enumerate((picture, reference, Image.fromarray(heat_colours(error / full)))):
        sheet.paste(one.convert("RGB"), (place * (width + _GAP), 0))
    left, top = 2 * (width + _GAP), height + _GAP
    scale = np.tile(np.linspace(0, 1, width), (_BAR, 1))
    sheet.paste(Image.fromarray(heat_colours(scale)), (left, top))
    draw = ImageDraw.Draw(sheet)
    draw.text((left, top + _BAR + 2), "0", fill=(38, 38, 42))
    draw.text((left + width, top + _BAR + 2), f"{full:.0f} of 255", fill=(38, 38, 42), anchor="ra")
    return sheet
