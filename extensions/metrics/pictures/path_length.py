"""Perceptual path length: a generator and a distance -> how much its pictures change along a path of latents.

Karras, Laine, Aila, "A Style-Based Generator Architecture for GANs", CVPR 2019, section 4.1; the number called ppl2 of
"Analyzing and Improving the Image Quality of StyleGAN", CVPR 2020, without the crop. Works on functions alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

READ_PX = 256
"""Larger pictures are reduced to this by the mean over boxes, as the paper's networks read them."""
TRIM_PERCENT = 1.0
"""Of the lengths, as many at each end are left out."""


@dataclass(frozen=True)
class Walk:
    """Which paths: in ``z`` or behind the mapping in ``w``; at their ends (``end``) or anywhere (``full``)."""

    space: Literal["z", "w"]
    sampling: Literal["full", "end"]
    epsilon: float = 1e-4
    crop: bool = False


def lerp(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    """[N, ...] -> [N, ...]: the straight way; ``t`` is [N]."""
    return a + (b - a) * _column(t, a)


def slerp(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    """[N, ...] -> [N, ...]: along the sphere (Shoemake 1985), and evenly from one norm to the other.

    StyleGAN's mapping does away with the norm; other generators were trained on points of about one.
    """
    flat_a, flat_b = a.flatten(1), b.flatten(1)
    norm_a, norm_b = (x.norm(dim=1, keepdim=True) for x in (flat_a, flat_b))
    unit_a, unit_b = flat_a / norm_a, flat_b / norm_b
    cosine = (unit_a * unit_b).sum(dim=1, keepdim=True).clamp(-1, 1)
    angle = t[:, None] * torch.acos(cosine)
    away = unit_b - cosine * unit_a
    away = away / away.norm(dim=1, keepdim=True).clamp_min(1e-12)
    direction = unit_a * torch.cos(angle) + away * torch.sin(angle)
    return (direction * (norm_a + (norm_b - norm_a) * t[:, None])).view_as(a)


def _column(t: Tensor, like: Tensor) -> Tensor:
    return t.view(-1, *[1] * (like.ndim - 1))


@dataclass(frozen=True)
class Pairs:
    """What one batch walks: z float32 [N, ...] at both ends and where on the path, [N] in 0..1."""

    start: Tensor
    end: Tensor
    at: Tensor


def steps(pairs: Pairs, walk: Walk, to_w: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
    """Two points of w an ``epsilon`` of the path apart, for each pair."""
    here, there = pairs.at, pairs.at + walk.epsilon
    if walk.space == "z":
        return to_w(slerp(pairs.start, pairs.end, here)), to_w(slerp(pairs.start, pairs.end, there))
    first, last = to_w(pairs.start), to_w(pairs.end)
    return lerp(first, last, here.to(first)), lerp(first, last, there.to(first))


def shown(images: Tensor, walk: Walk) -> Tensor:
    """float [N,3,H,W] as the distance is to see it: cropped to the face where that is asked for, then reduced by whole
    boxes to no less than 256 pixels. Never rounded: a rounding is larger than the step.
    """
    if walk.crop:
        edge = images.shape[2] // 8
        images = images[:, :, edge * 3 : edge * 7, edge * 2 : edge * 6]
    factor = min(images.shape[-2:]) // READ_PX
    return functional.avg_pool2d(images, factor) if factor > 1 else images


def lengths(
    pairs: Pairs,
    walk: Walk,
    to_w: Callable[[Tensor], Tensor],
    draw: Callable[[Tensor], Tensor],
    distance: Callable[[Tensor, Tensor], Tensor],
) -> NDArray[np.float64]:
    """float64 [N]: the distance of each step's pictures over epsilon squared.

    ``draw`` is called once with both points of every pair, so that whatever noise it adds is the same for both.
    """
    here, there = steps(pairs, walk, to_w)
    images = shown(draw(torch.cat([here, there])), walk)
    found = distance(images[: len(here)], images[len(here) :])
    return np.asarray(found.double().cpu().numpy() / walk.epsilon**2, np.float64)


def trimmed(values: NDArray[np.float64], percent: float = TRIM_PERCENT) -> NDArray[np.float64]:
    """The lengths without the smallest and the largest ``percent``, in their order; both bounds stay."""
    low = np.percentile(values, percent, method="lower")
    high = np.percentile(values, 100 - percent, method="higher")
    return values[(values >= low) & (values <= high)]
