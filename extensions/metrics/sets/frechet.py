"""The Frechet distance of two sets of features, with its interval and its limit for N without end."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import linalg, stats

from .interval import CONFIDENCE, Estimate, Features, jackknife

_ROWS = 4096
"""That are taken into float64 at once: features may lie on disk."""
POINTS = 15
"""Of the line that the limit is read from; as many as Chong and Forsyth take."""
Check = Callable[[], None]


def _nothing() -> None:
    """No one waits."""


@dataclass(frozen=True)
class Moments:
    """What the distance needs of a set: its mean float64 [D], its covariance float64 [D,D] (over N - 1), and N."""

    mean: Features
    covariance: Features
    count: int


def mean_of(features: Features) -> Features:
    """float [N,D] -> float64 [D]."""
    total = np.zeros(features.shape[1])
    for start in range(0, len(features), _ROWS):
        total += np.asarray(features[start : start + _ROWS], np.float64).sum(0)
    return total / len(features)


def scatter(features: Features, centre: Features) -> Features:
    """float [N,D] -> float64 [D,D], the sum of (x - centre)(x - centre)^T."""
    total = np.zeros((features.shape[1],) * 2)
    for start in range(0, len(features), _ROWS):
        rows = np.asarray(features[start : start + _ROWS], np.float64) - centre
        total += rows.T @ rows
    return total


def moments(features: Features) -> Moments:
    """Of float [N,D], N >= 2, in two passes: nothing cancels."""
    mean = mean_of(features)
    return Moments(mean, scatter(features, mean) / (len(features) - 1), len(features))


class Reference:
    """One side of many distances: the root of its covariance is taken once."""

    def __init__(self, real: Moments) -> None:
        self.moments = real
        values, vectors = linalg.eigh(real.covariance)
        self._root = (vectors * np.sqrt(values.clip(min=0))) @ vectors.T
        self._trace = float(np.trace(real.covariance))

    def distance(self, made: Moments) -> float:
        """|m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)) of two normal distributions (Dowson and Landau 1982; as a score
        of generated pictures Heusel et al. 2017, section 1).

        The trace of the root is the sum of the roots of the eigenvalues of S1^(1/2) S2 S1^(1/2), which has those of
        S1 S2, is symmetric, and needs no root of a product that is almost singular.
        """
        shift = self.moments.mean - made.mean
        inner = self._root @ made.covariance @ self._root
        roots = np.sqrt(linalg.eigvalsh((inner + inner.T) / 2).clip(min=0)).sum()
        return float(shift @ shift + self._trace + np.trace(made.covariance) - 2 * roots)


def frechet_distance(real: Features, made: Features) -> float:
    """Of float [N,D] and float [M,D]."""
    return Reference(moments(real)).distance(moments(made))


def with_interval(reference: Reference, made: Features, check: Check = _nothing) -> Estimate:
    """The distance of ``made`` float [N,D], and its interval over the choice of generated pictures.

    20 groups, 10 where a picture has many features. What a group takes from the covariance is taken off it again, so
    that all groups together cost one further pass.
    """
    groups = min(20 if made.shape[1] <= 768 else 10, len(made) // 2)
    whole = moments(made)
    total = whole.covariance * (whole.count - 1)
    value = reference.distance(whole)
    left = []
    for g in range(groups):
        check()
        rows = made[g::groups]
        count = whole.count - len(rows)
        shift = -(mean_of(rows) - whole.mean) * len(rows) / count
        covariance = (total - scatter(rows, whole.mean) - count * np.outer(shift, shift)) / (count - 1)
        left.append(reference.distance(Moments(whole.mean + shift, covariance, count)))
    return jackknife(value, left, (0.0, math.inf))


@dataclass(frozen=True)
class Limit:
    """The line through distances at smaller N: ``sizes`` and ``values`` are its points, ``estimate`` its end."""

    estimate: Estimate
    sizes: tuple[int, ...]
    values: tuple[float, ...]
    slope: float


def at_infinity(reference: Reference, made: Features, seed: int = 0, check: Check = _nothing) -> Limit:
    """The distance that a line against 1/N gives for N without end (Chong and Forsyth 2020, section 4).

    Subsets of ``made`` float [N,D] are drawn without repeats, from a tenth of N (more than D where that can be) to N.
    The interval is that of the line alone.
    """
    n, d = made.shape
    lowest = max(2, min(max(n // 10, d + 1), n // 2))
    sizes = np.unique(np.linspace(lowest, n, POINTS).astype(int))
    rng = np.random.default_rng(seed)
    values = []
    for size in sizes:
        check()
        values.append(reference.distance(moments(made[np.sort(rng.permutation(n)[:size])])))
    line = stats.linregress(1 / sizes, values)
    width = float(stats.t.ppf(0.5 + CONFIDENCE / 2, max(1, len(sizes) - 2)) * line.intercept_stderr)
    end = float(line.intercept)
    estimate = Estimate(end, end - width, end + width, f"the line through {len(sizes)} sizes")
    return Limit(estimate, tuple(int(size) for size in sizes), tuple(values), float(line.slope))
