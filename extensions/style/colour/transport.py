"""Above the spaces: whole distributions of one picture for another, a channel at a time (histogram matching) or along
many directions (sliced optimal transport).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .spaces import Colours

_QUANTILES = 4096
"""Knots of a map of one channel; fewer where fewer values are there."""

Values = NDArray[np.float64]


def match_values(source: Values, reference: Values, values: Values) -> Values:
    """``values`` by the rising map that gives ``source`` [N] the distribution of ``reference`` [M]: the optimal
    transport in one dimension, quantile to quantile. What lies beyond the source's ends is moved as they are.

    Equal values stay equal: each goes to the middle of the quantiles that it takes up.
    """
    places, numbers = np.unique(source, return_counts=True)
    ends = np.cumsum(numbers)
    middles = (ends - numbers / 2) / ends[-1]
    if len(places) > _QUANTILES:
        chosen = np.unique(np.linspace(0, len(places) - 1, _QUANTILES).round().astype(int))
        places, middles = places[chosen], middles[chosen]
    targets = _quantiles(np.sort(reference), middles)
    moved = np.interp(values, places, targets)
    below, above = values < places[0], values > places[-1]
    moved = np.where(below, targets[0] + values - places[0], moved)
    return np.where(above, targets[-1] + values - places[-1], moved)


def histogram(source: Colours, reference: Colours, pixels: Colours) -> Colours:
    """``pixels`` [...,3] with each channel's distribution that of ``reference`` [M,3] (histogram specification)."""
    return np.stack(
        [match_values(source[:, c], reference[:, c], pixels[..., c]) for c in range(pixels.shape[-1])], axis=-1
    )


def directions(steps: int, seed: int) -> NDArray[np.float64]:
    """``steps`` random rotations [steps,3,3]; the first is none."""
    draws = np.random.default_rng(seed).normal(size=(steps, 3, 3))
    found = np.linalg.qr(draws)[0]
    if steps:
        found[0] = np.eye(3)
    return found


def sliced_transport(source: Colours, reference: Colours, pixels: Colours, *, steps: int, seed: int) -> Colours:
    """``pixels`` [...,3] moved as ``source`` [N,3] is until it has the distribution of ``reference`` [M,3].

    Each step turns colour space at random and matches the three axes (Pitie, Kokaram and Dahyot, Automated Colour
    Grading using Colour Distribution Transfer, 2007; Bonneel et al., Sliced and Radon Wasserstein Barycenters, 2015).
    """
    moving, moved = source, pixels
    for turn in directions(steps, seed):
        along, towards, carried = moving @ turn, reference @ turn, moved @ turn
        moved = histogram(along, towards, carried) @ turn.T
        moving = histogram(along, towards, along) @ turn.T
    return moved


def sliced_distance(a: Colours, b: Colours, *, slices: int = 64, seed: int = 0) -> float:
    """The sliced Wasserstein-2 distance of two sets of colours [N,3] and [M,3] (Bonneel et al. 2015, section 2.2)."""
    draws = np.random.default_rng(seed).normal(size=(slices, 3))
    quantiles = (np.arange(1024) + 0.5) / 1024
    found = []
    for direction in draws / np.linalg.norm(draws, axis=1, keepdims=True):
        ours, theirs = (np.sort(colours @ direction) for colours in (a, b))
        gap = _quantiles(ours, quantiles) - _quantiles(theirs, quantiles)
        found.append(float(np.mean(gap**2)))
    return float(np.sqrt(np.mean(found)))


def _quantiles(rising: Values, at: Values) -> Values:
    """The quantiles ``at`` 0..1 of sorted values, each of which stands in the middle of its share."""
    return np.interp(at, (np.arange(len(rising)) + 0.5) / len(rising), rising)
