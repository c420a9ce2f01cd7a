"""Top of this room: a method by its name, several references with weights, strength and a mask."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .reinhard import covariance_map, reinhard
from .spaces import Colours, from_lab, from_opponent, to_lab, to_opponent
from .transport import histogram, sliced_transport

_SAMPLE = 65_536
"""Colours of a picture that a map is learnt from; all of it is moved."""
_MASK_INSIDE = 0.5

Spaces = tuple[Callable[[Colours], Colours], Callable[[Colours], Colours]]
SPACES: dict[str, Spaces] = {
    "lab": (to_lab, from_lab),
    "opponent": (to_opponent, from_opponent),
    "rgb": (lambda rgb: rgb, lambda rgb: rgb),
}


@dataclass(frozen=True)
class Transfer:
    """How colours are transferred: ``method`` is reinhard, covariance, histogram or transport; ``space`` one of
    SPACES.
    """

    method: str = "reinhard"
    space: str = "lab"
    strength: float = 1.0
    keep_lightness: bool = False
    steps: int = 20
    seed: int = 0

    def map(self, source: Colours, reference: Colours, pixels: Colours) -> Colours:
        """``pixels`` [...,3] by what takes ``source`` [N,3] to ``reference`` [M,3]. Raises ValueError."""
        if self.method == "reinhard":
            return reinhard(source, reference, pixels)
        if self.method == "covariance":
            return covariance_map(source, reference, pixels)
        if self.method == "histogram":
            return histogram(source, reference, pixels)
        if self.method == "transport":
            return sliced_transport(source, reference, pixels, steps=self.steps, seed=self.seed)
        raise ValueError(f"colour transfer: expected reinhard, covariance, histogram or transport, got {self.method!r}")


def transferred(
    picture: Colours,
    references: Sequence[Colours],
    transfer: Transfer,
    *,
    weights: Sequence[float] = (),
    mask: NDArray[np.float64] | None = None,
) -> Colours:
    """``picture`` float64 [H,W,3] in 0..1 with colours of ``references``, [h,w,3] each; in 0..1.

    Several references: each pixel goes to the weighted mean of where each would bring it, which for one channel is the
    Wasserstein barycentre (Rabin et al. 2011). ``mask`` [H,W] in 0..1: where it happens, and whose colours are looked
    at. Raises ValueError for weights that are not one each, negative or all nothing.
    """
    shares = normalised(weights, len(references))
    forward, back = SPACES[transfer.space]
    pixels = forward(picture)
    inside = picture.reshape(-1, 3) if mask is None else picture[mask > _MASK_INSIDE]
    if not len(inside):
        return picture
    source = forward(sampled(inside, transfer.seed))
    moved = np.zeros_like(pixels)
    for share, reference in zip(shares, references, strict=True):
        if share:
            moved += share * transfer.map(source, forward(sampled(reference.reshape(-1, 3), transfer.seed)), pixels)
    result = np.clip(back(moved), 0, 1)
    if transfer.keep_lightness:
        lab = to_lab(result)
        lab[..., 0] = to_lab(picture)[..., 0]
        result = np.clip(from_lab(lab), 0, 1)
    amount = transfer.strength if mask is None else transfer.strength * mask[..., None]
    return picture + (result - picture) * amount


def normalised(weights: Sequence[float], count: int) -> list[float]:
    """One share for each of ``count`` references, 1 in all; none given: equal ones. Raises ValueError."""
    given = list(weights) or [1.0] * count
    if len(given) != count or min(given, default=-1.0) < 0 or not sum(given) > 0:
        raise ValueError(f"expected {count} weights, none negative and not all 0, got {given}")
    return [weight / sum(given) for weight in given]


def sampled(colours: Colours, seed: int) -> Colours:
    """At most 65,536 of ``colours`` [N,3], the same ones for the same seed."""
    if len(colours) <= _SAMPLE:
        return colours
    return colours[np.sort(np.random.default_rng(seed).choice(len(colours), _SAMPLE, replace=False))]
