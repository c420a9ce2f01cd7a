"""Between pictures and NIQE: a picture -> the scene statistics of its patches; pristine models are fitted on them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .scene_statistics import SHIFTS, Array, fit_asymmetric, grey, halve, neighbour_products, normalise


@dataclass(frozen=True)
class Patches:
    """``features``: float64 [P,36], 18 at the picture's scale and 18 at half of it; ``sharpness``: float64 [P]."""

    features: Array
    sharpness: Array


def patch_features(rgb: NDArray[np.uint8], patch_px: int, *, overlap: float = 0.0) -> Patches:
    """The features of each patch of a uint8 [H,W,3] picture; what is left at its right and bottom is cut off.

    Raises ValueError where it holds no patch, or patches of an odd edge are asked for.
    """
    height, width = (edge // patch_px * patch_px for edge in rgb.shape[:2])
    if patch_px % 2 or not height or not width:
        raise ValueError(
            f"NIQE: expected patches of an even edge in a picture that holds one, got {patch_px} pixels in "
            f"{rgb.shape[1]} x {rgb.shape[0]}"
        )
    picture = grey(rgb)[:height, :width]
    step = max(2, round(patch_px * (1 - overlap)) // 2 * 2)
    whole = normalise(picture, "nearest")
    half = normalise(halve(picture), "nearest")
    features = np.hstack(
        [_features(_cut(whole.mscn, patch_px, step)), _features(_cut(half.mscn, patch_px // 2, step // 2))]
    )
    return Patches(features, _cut(whole.contrast, patch_px, step).mean(axis=(1, 2)))


def _cut(picture: Array, edge: int, step: int) -> Array:
    """float64 [H,W] -> [P,edge,edge], row by row."""
    windows = np.lib.stride_tricks.sliding_window_view(picture, (edge, edge))[::step, ::step]
    return windows.reshape(-1, edge, edge)


def _features(patches: Array) -> Array:
    """float64 [P,h,w] -> [P,18]: shape and mean scale of the coefficients, then shape, mean and both scales of the
    products with each neighbour.
    """
    count = len(patches)
    own = fit_asymmetric(patches.reshape(count, -1))
    columns = [own.shape, (own.beta_left + own.beta_right) / 2]
    for shift in SHIFTS:
        fit = fit_asymmetric(neighbour_products(patches, shift).reshape(count, -1))
        columns += [fit.shape, fit.mean, fit.beta_left, fit.beta_right]
    return np.stack(columns, axis=1)
