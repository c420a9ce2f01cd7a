"""How pictures come to the size that a network reads; scores of papers differ by this alone (Parmar et al. 2022)."""

from __future__ import annotations

import functools

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.nn import functional

Pixels = NDArray[np.float32]


def bytes_of(picture: Image.Image) -> NDArray[np.uint8]:
    """RGB -> uint8 [3,H,W]."""
    return np.asarray(picture.convert("RGB"), np.uint8).transpose(2, 0, 1)


def tensorflow(picture: Image.Image, side: int) -> Pixels:
    """float32 [3,side,side] in 0..255: bilinear as TensorFlow 1 had it, without antialias, the corner of a pixel its
    place. What FID has been measured with since 2017.
    """
    pixels = bytes_of(picture).astype(np.float32)
    return _between(_between(pixels, 1, side), 2, side)


def clean(picture: Image.Image, side: int) -> Pixels:
    """float32 [3,side,side] in 0..255: Pillow's bicubic with antialias, each channel in floating point, not rounded
    (clean-fid, Parmar et al. 2022, section 4).
    """
    channels = [
        Image.fromarray(channel.astype(np.float32)).resize((side, side), Image.Resampling.BICUBIC)
        for channel in bytes_of(picture)
    ]
    return np.stack([np.asarray(channel) for channel in channels]).clip(0, 255)


def pytorch(picture: Image.Image, side: int, mode: str = "bilinear") -> Pixels:
    """float32 [3,side,side] in 0..255: torch's interpolation without antialias, the middle of a pixel its place."""
    pixels = torch.from_numpy(bytes_of(picture).astype(np.float32))[None]
    return functional.interpolate(pixels, size=(side, side), mode=mode, align_corners=False)[0].numpy()


@functools.lru_cache(maxsize=64)
def _places(length: int, side: int) -> tuple[NDArray[np.int64], NDArray[np.int64], Pixels]:
    at = np.arange(side, dtype=np.float32) * np.float32(length / side)
    low = at.astype(np.int64)
    return low, np.minimum(low + 1, length - 1), at - low.astype(np.float32)


def _between(pixels: Pixels, axis: int, side: int) -> Pixels:
    low, high, share = _places(pixels.shape[axis], side)
    share = share.reshape(-1, *(1,) * (pixels.ndim - 1 - axis))
    first, second = np.take(pixels, low, axis), np.take(pixels, high, axis)
    second -= first
    second *= share
    second += first
    return second
