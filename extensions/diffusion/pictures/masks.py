"""Masks as pictures: where one comes from, how it is grown and softened, which region it asks for, and what stands
under it at first. Mode L throughout, 255 where the picture may change.
"""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image, ImageFilter, ImageOps
from torch.nn.functional import max_pool2d

Box = tuple[int, int, int, int]


def of_picture(picture: Image.Image) -> Image.Image:
    """A mask from any picture: how light it is, its transparent places black."""
    ground = Image.new("RGBA", picture.size, (0, 0, 0, 255))
    return Image.alpha_composite(ground, picture.convert("RGBA")).convert("L")


def of_colour(picture: Image.Image, colour: str, tolerance: int) -> Image.Image:
    """The places of ``picture`` (RGB) where no channel is further than ``tolerance`` from ``colour`` (#rrggbb)."""
    wanted = np.array([int(colour[place : place + 2], 16) for place in (1, 3, 5)])
    distance = np.abs(np.asarray(picture.convert("RGB")).astype(int) - wanted).max(axis=2)
    return Image.fromarray(((distance <= tolerance) * 255).astype(np.uint8))


def united(*masks: Image.Image) -> Image.Image:
    """What any of ``masks`` covers; they have one size."""
    return Image.fromarray(np.maximum.reduce([np.asarray(mask) for mask in masks]))


def grown(mask: Image.Image, radius: int) -> Image.Image:
    """``mask`` larger by ``radius`` px on all sides (a square's neighbourhood); smaller where it is negative."""
    if radius < 0:
        return ImageOps.invert(grown(ImageOps.invert(mask), -radius))
    if radius == 0:
        return mask
    values = torch.from_numpy(np.array(mask, dtype=np.float32))[None, None]
    for kernel, padding in (((2 * radius + 1, 1), (radius, 0)), ((1, 2 * radius + 1), (0, radius))):
        values = max_pool2d(values, kernel, stride=1, padding=padding)
    return Image.fromarray(values[0, 0].numpy().astype(np.uint8))


def softened(mask: Image.Image, blur: int) -> Image.Image:
    """``mask`` with an edge that fades out over ``blur`` px beyond it. Where it was, it stays whole; further out than
    that it is exactly 0.
    """
    if blur <= 0:
        return mask
    faded = grown(mask, blur // 2).filter(ImageFilter.GaussianBlur(blur / 3))
    inside = np.asarray(grown(mask, blur)) > 0
    return Image.fromarray(np.maximum(np.where(inside, np.asarray(faded), 0), np.asarray(mask)).astype(np.uint8))


def hard(mask: Image.Image) -> Image.Image:
    """255 wherever ``mask`` is above 0: all that may change has to be drawn."""
    return mask.point(lambda value: 255 if value else 0)


def region(mask: Image.Image, padding: int, ratio: float | None) -> Box | None:
    """The box around what ``mask`` covers, with ``padding`` px of its surroundings, as wide to high as ``ratio`` where
    the picture has the room. None where it covers nothing.
    """
    covered = mask.getbbox()
    if covered is None:
        return None
    left, top, right, bottom = covered
    left, top = max(0, left - padding), max(0, top - padding)
    right, bottom = min(mask.width, right + padding), min(mask.height, bottom + padding)
    if ratio is None:
        return left, top, right, bottom
    width = max(right - left, round((bottom - top) * ratio))
    height = max(bottom - top, round((right - left) / ratio))
    left, right = _around(left, right, width, mask.width)
    top, bottom = _around(top, bottom, height, mask.height)
    return left, top, right, bottom


def _around(low: int, high: int, length: int, room: int) -> tuple[int, int]:
    """``low..high`` widened evenly to ``length``, within 0..``room``."""
    length = min(length, room)
    start = min(max(0, low - (length - (high - low)) // 2), room - length)
    return start, start + length


def filled(picture: Image.Image, hole: Image.Image) -> Image.Image:
    """``picture`` with its ``hole`` filled by the colours around it, smoother towards the middle; other pixels stay.

    Pull-push over a pyramid (Gortler et al. 1996, "The Lumigraph", section 3.4): known colours are averaged into
    smaller pictures until no hole is left, and drawn back into the holes of the larger ones.
    """
    known = (np.asarray(hole) == 0).astype(np.float32)
    if known.min() == 1 or known.max() == 0:
        return picture
    colours = _pull_push(np.asarray(picture, dtype=np.float32), known)
    result = np.where(known[..., None] > 0, np.asarray(picture), np.clip(colours + 0.5, 0, 255).astype(np.uint8))
    return Image.fromarray(result)


def _pull_push(colours: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Float32 [H,W,3] and [H,W] in 0..1 -> colours with no hole."""
    height, width = weights.shape
    if weights.min() > 0 or max(height, width) == 1:
        return colours
    padding = (height % 2, width % 2)
    even = np.pad(weights, ((0, padding[0]), (0, padding[1])))
    weighted = np.pad(colours * weights[..., None], ((0, padding[0]), (0, padding[1]), (0, 0)))
    total = even.reshape(even.shape[0] // 2, 2, even.shape[1] // 2, 2).sum((1, 3))
    sums = weighted.reshape(even.shape[0] // 2, 2, even.shape[1] // 2, 2, 3).sum((1, 3))
    smaller = _pull_push(sums / np.maximum(total, 1e-8)[..., None], np.minimum(total, 1.0))
    bands = [
        np.asarray(
            Image.fromarray(np.ascontiguousarray(smaller[..., band])).resize(
                (even.shape[1], even.shape[0]), Image.Resampling.BILINEAR
            )
        )
        for band in range(3)
    ]
    larger = np.stack(bands, axis=-1)[:height, :width]
    return colours * weights[..., None] + larger * (1 - weights[..., None])


def of_latents(mask: Image.Image, size: tuple[int, int]) -> torch.Tensor:
    """float32 [1,1,h,w]: 1 for each latent under which ``mask`` covers a pixel. ``size`` is (h, w)."""
    values = torch.from_numpy(np.array(mask, dtype=np.float32))[None, None]
    return (torch.nn.functional.adaptive_max_pool2d(values, size) > 0).float()
