"""Drawing world: a flat drawing -> the same drawing as line art, sketch, watercolour, pixels or halftone.

Flat drawings come supersampled, as the pen left them; every style is deterministic.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from PIL import Image, ImageChops, ImageFilter, ImageOps

# A flat picture is the mean of 3 x 3 pixels; what the other styles do to edges hides what is finer than 2 x 2.
SUPERSAMPLING = {"flat": 3, "sketch": 2, "watercolour": 2, "pixel": 2, "halftone": 2}

_PAPER, _PENCIL = (251, 248, 241), (58, 54, 66)
_PIXEL_CELLS = 48
_DOT_UNITS = 4.2


def lines(large: Image.Image, size: int) -> Image.Image:
    """RGB, supersampled -> L of size x size: 255 on paper, dark where neighbouring colours differ."""
    reach, side = max(1, round(large.width / 160)), large.width
    here = large.crop((reach, reach, side, side))
    left = large.crop((0, reach, side - reach, side))
    above = large.crop((reach, 0, side, side - reach))
    stronger = ImageChops.lighter(ImageChops.difference(here, left), ImageChops.difference(here, above))
    red, green, blue = stronger.split()
    edges = Image.new("L", large.size, 0)
    edges.paste(ImageChops.lighter(ImageChops.lighter(red, green), blue), (reach, reach))
    strong = edges.point([255 - max(0, min(255, 6 * (v - 12))) for v in range(256)])
    return _shrunk(strong, size)


def stylise(large: Image.Image, size: int, style: str, seed: int = 0) -> Image.Image:
    """RGB, supersampled -> RGB of size x size in this style (a value of AVATAR_SPEC["style"]).

    `seed` says where a watercolour's paper takes little pigment.
    """
    if style == "sketch":
        return ImageOps.colorize(lines(large, size), _PENCIL, _PAPER)
    flat = _shrunk(large, size)
    if style == "watercolour":
        return _watercolour(flat, lines(large, size), seed)
    if style == "pixel":
        return _pixel(large, size)
    if style == "halftone":
        return _halftone(flat)
    return flat


def _shrunk(large: Image.Image, size: int) -> Image.Image:
    """The mean of each square of pixels; `large` is a whole number of times as wide as `size`."""
    return large.reduce(large.width // size)


def _watercolour(flat: Image.Image, edges: Image.Image, seed: int) -> Image.Image:
    """Soft washes: pigment pools at edges, and paper shows through where the wash is thin."""
    soft = flat.filter(ImageFilter.BoxBlur(flat.width / 128))
    pools = edges.filter(ImageFilter.BoxBlur(flat.width / 180)).point([round(219 + 36 * v / 255) for v in range(256)])
    pigment = ImageChops.multiply(soft, Image.merge("RGB", (pools,) * 3))
    thin = ImageChops.offset(_wash(flat.width), *_offsets(seed, flat.width))
    return Image.composite(pigment, Image.new("RGB", flat.size, _PAPER), thin)


@lru_cache(maxsize=8)
def _wash(size: int) -> Image.Image:
    """L of size x size in 140..242: how much pigment each place of the paper took; without a seam when offset."""
    rng = np.random.RandomState(20)
    layers = np.zeros((size, size), np.float32)
    for cells, weight in ((5, 0.55), (14, 0.3), (64, 0.15)):
        # Two cells of the far side around the noise let the interpolation wrap.
        noise = Image.fromarray(np.pad((rng.rand(cells, cells) * 255).astype(np.uint8), 2, mode="wrap"))
        inner = (2, 2, cells + 2, cells + 2)
        layers += weight * np.asarray(noise.resize((size, size), Image.Resampling.BICUBIC, inner), np.float32)
    return Image.fromarray((140 + 0.4 * layers).astype(np.uint8))


def _offsets(seed: int, size: int) -> tuple[int, int]:
    """Columns and rows in 0..size-1, far apart for neighbouring seeds (Knuth's multiplicative hash)."""
    mixed = seed * 2654435761 % 2**32
    return mixed // 2**16 % size, mixed % 2**16 % size


def _pixel(large: Image.Image, size: int) -> Image.Image:
    """Square cells of a whole number of pixels, in few tones."""
    cell = max(2, round(size / _PIXEL_CELLS))
    count = -(-size // cell)
    small = large.resize((count, count), Image.Resampling.BOX).point([round(v / 17) * 17 for v in range(256)] * 3)
    return small.resize((count * cell, count * cell), Image.Resampling.NEAREST).crop((0, 0, size, size))


def _halftone(flat: Image.Image) -> Image.Image:
    """Printed dots at 45 degrees, each in a deeper tone of the colour beneath; darker places have larger dots."""
    colours = np.asarray(flat, np.float32)
    dark = 1 - colours @ np.array([0.299, 0.587, 0.114], np.float32) / 255
    ink = ((0.2 + 0.8 * dark - _dots(flat.width)) * 5 + 0.5).clip(0, 1)[..., None]
    return Image.fromarray((colours * (1 - 0.3 * ink) + 26 * (1 - ink)).clip(0, 255).astype(np.uint8))


@lru_cache(maxsize=8)
def _dots(size: int) -> np.ndarray:
    """float32 [size,size] in 0..1: the darkness from which each place of the screen is inked."""
    step = 2 * np.pi / (_DOT_UNITS * max(1.0, size / 128))
    y, x = np.mgrid[:size, :size].astype(np.float32) * np.float32(step * np.sqrt(0.5))
    dots: np.ndarray = (np.cos(x + y) + np.cos(x - y)) / 4 + 0.5
    return dots.astype(np.float32)
