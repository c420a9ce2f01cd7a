"""Above the spaces: means and deviations of one picture for another (Reinhard et al., Color Transfer between Images,
2001), and their whole covariance (Pitie and Kokaram, The Linear Monge-Kantorovitch Linear Colour Mapping, 2007).
"""

from __future__ import annotations

import numpy as np

from .spaces import Colours

_FLAT = 1e-8
"""A deviation below this is none: such a channel is moved, and not stretched."""


def reinhard(source: Colours, reference: Colours, pixels: Colours) -> Colours:
    """``pixels`` [...,3] by the map that gives ``source`` [N,3] the mean and deviation of ``reference`` [M,3] in each
    channel (equations 10 and 11).
    """
    deviation = source.std(axis=0)
    scale = np.where(deviation > _FLAT, reference.std(axis=0) / np.maximum(deviation, _FLAT), 1.0)
    return (pixels - source.mean(axis=0)) * scale + reference.mean(axis=0)


def covariance_map(source: Colours, reference: Colours, pixels: Colours) -> Colours:
    """As ``reinhard``, with the whole covariance: the optimal transport between two Gaussians (section 3.4)."""
    ours, theirs = np.cov(source.T, bias=True), np.cov(reference.T, bias=True)
    floor = _FLAT * max(1.0, float(np.trace(ours)))
    root, inverse = _root(ours, floor)
    middle, _ = _root(root @ theirs @ root, 0.0)
    transport = inverse @ middle @ inverse
    return (pixels - source.mean(axis=0)) @ transport + reference.mean(axis=0)


def _root(matrix: Colours, floor: float) -> tuple[Colours, Colours]:
    """The square root of a symmetric matrix without negative eigenvalues, and its inverse; values not above ``floor``
    have none.
    """
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    roots = np.sqrt(np.maximum(values, 0))
    inverse = np.where(values > floor, 1 / np.maximum(roots, 1e-150), 0.0)
    return (vectors * roots) @ vectors.T, (vectors * inverse) @ vectors.T
