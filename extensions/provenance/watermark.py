"""An invisible mark in the pixels: 32 bits of data and a check sum, spread over the middle frequencies of the picture.

The brightness, brought to 256 x 256 whatever the picture's size, is taken apart by a discrete cosine transform; each
of 96 coded bits is a sign along a carrier of its own over coefficients between 20 and 62 half waves a side (spread
spectrum: Cox et al. 1997). The picture's own part along a carrier is taken into account (Malvar and Florencio 2003),
and the result is measured after rounding and clipping, and mended. The carriers are no secret: who wants to remove the
mark can.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.fft import dctn, idctn

from . import golay

SIDE = 256
LEAST_PX = 96
"""Smaller pictures do not hold it."""
MARGIN = 26.0
"""How far along its carrier each bit lies after embedding, in grey levels times the square root of 65,536 pixels."""
_LOW, _HIGH = 20, 62
_WORDS = 4
_ROUNDS = 4
_LUMA = np.float64([0.299, 0.587, 0.114])
_SEED = 0x11FE

Plane = NDArray[np.float64]


@dataclass(frozen=True)
class Found:
    """What was read."""

    data: int
    """32 bits."""
    strength: float
    """Mean of the bits' values along their carriers: ``MARGIN`` where nothing happened to the picture."""


def embed(picture: Image.Image, data: int) -> Image.Image:
    """The picture with ``data``, 32 bits; alpha is kept. Raises ValueError for one that is too small."""
    if min(picture.size) < LEAST_PX:
        raise ValueError(f"watermark: expected {LEAST_PX} pixels a side or more, got {picture.width}x{picture.height}")
    wanted = _coded(data)
    rgb = np.asarray(picture.convert("RGB"), np.float64)
    made, added = rgb, np.zeros(rgb.shape[:2])
    for _ in range(_ROUNDS):
        told = _along(_canonical(made))
        missing = np.where(told * wanted < MARGIN, MARGIN * wanted - told, 0.0)
        if not missing.any():
            break
        added = added + _spread(missing, rgb.shape[0], rgb.shape[1])
        made = np.clip(np.round(rgb + added[..., None]), 0, 255)
    result = Image.fromarray(made.astype(np.uint8))
    if picture.mode in ("L", "LA"):
        result = result.convert("L")
    if "A" in picture.getbands():
        result.putalpha(picture.getchannel("A"))
    return result


def read(picture: Image.Image) -> Found | None:
    """The mark of a picture, as it is or mirrored; None where there is none. By chance one unmarked picture in 32,768
    seems to have one.
    """
    if min(picture.size) < 16:
        return None
    rgb = np.asarray(picture.convert("RGB"), np.float64)
    for view in (rgb, rgb[:, ::-1]):
        found = _decoded(_along(_canonical(view)))
        if found is not None:
            return found
    return None


def _coded(data: int) -> NDArray[np.float64]:
    """32 bits -> float [96] of -1 and 1: data and 16 bits of check sum in four Golay words, interleaved."""
    if not 0 <= data < 1 << 32:
        raise ValueError(f"watermark: expected 32 bits, got {data}")
    whole = data << 16 | _check(data)
    words = [golay.encode(whole >> 12 * place & 0xFFF) for place in range(_WORDS)]
    return np.stack(words, axis=1).reshape(-1).astype(np.float64)


def _decoded(soft: NDArray[np.float64]) -> Found | None:
    words = soft.reshape(golay.CODE_BITS, _WORDS).T
    whole = sum(golay.decode(word) << 12 * place for place, word in enumerate(words))
    data = whole >> 16
    if whole & 0xFFFF != _check(data):
        return None
    return Found(data, float((soft * _coded(data)).mean()))


def _check(data: int) -> int:
    return zlib.crc32(b"lifelike" + data.to_bytes(4, "big")) & 0xFFFF


def _canonical(rgb: Plane) -> Plane:
    """float [H,W,3] -> brightness float [256,256], each pixel a mean where the picture is larger."""
    luma = Image.fromarray((rgb @ _LUMA).astype(np.float32))
    return np.asarray(luma.resize((SIDE, SIDE), Image.Resampling.BICUBIC), np.float64)


def _along(plane: Plane) -> NDArray[np.float64]:
    """float [96]: the brightness along each carrier."""
    places, carriers = _carriers()
    return carriers @ dctn(plane, norm="ortho")[places]


def _spread(values: NDArray[np.float64], height: int, width: int) -> Plane:
    """float [96] -> what to add to the brightness, float [height,width]: the same waves at the picture's own size."""
    places, carriers = _carriers()
    waves = np.zeros((SIDE, SIDE))
    waves[places] = values @ carriers
    rows, columns = min(SIDE, height), min(SIDE, width)
    own = np.zeros((height, width))
    own[:rows, :columns] = waves[:rows, :columns]
    spread: Plane = idctn(own, norm="ortho") * np.sqrt(height * width) / SIDE
    return spread


@cache
def _carriers() -> tuple[tuple[NDArray[np.int64], NDArray[np.int64]], NDArray[np.float64]]:
    """Which coefficients, and float [96,coefficients] of norm 1, each coefficient in one carrier alone."""
    y, x = np.mgrid[0:SIDE, 0:SIDE]
    radius = np.hypot(y, x)
    places = np.nonzero((radius >= _LOW) & (radius < _HIGH))
    random = np.random.Generator(np.random.PCG64(_SEED))
    count = len(places[0])
    owner = random.permutation(count) % (_WORDS * golay.CODE_BITS)
    carriers = np.zeros((_WORDS * golay.CODE_BITS, count))
    carriers[owner, np.arange(count)] = random.choice([-1.0, 1.0], count)
    return places, carriers / np.linalg.norm(carriers, axis=1, keepdims=True)
