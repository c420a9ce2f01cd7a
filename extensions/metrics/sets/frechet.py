"""The Frechet distance of two sets of features, with its interval and its limit for N without end."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, stats

from .interval import CONFIDENCE, Estimate, Features, jackknife

_ROWS = 4096
"""That are taken into float64 at once: features may lie on disk."""
POINTS = 15
"""Of the line that the limit is read from; as many as Chong and Forsyth take."""
_FEW_FEATURES = 768
"""Up to which a distance takes milliseconds."""
Check = Callable[[], None]


def _nothing() -> None:
    """No one waits."""


@dataclass(frozen=True)
class Moments:
    """What the distance needs of a set: its mean float64 [D], its covariance float64 [D,D] (over N - 1), and N."""

    mean: Features
    covariance: Features
    count: int
    factor: Features | None = None
    """[D,N] whose product with its transpose is the covariance; of sets with fewer pictures than features."""


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
    mean, n = mean_of(features), len(features)
    factor = None
    if n < features.shape[1]:
        factor = (np.asarray(features, np.float64) - mean).T / math.sqrt(n - 1)
    return Moments(mean, scatter(features, mean) / (n - 1), n, factor)


class Reference:
    """One side of many distances: its covariance is factored once."""

    def __init__(self, real: Moments) -> None:
        self.moments = real
        self._trace = float(np.trace(real.covariance))

    @cached_property
    def _factor(self) -> Features:
        """[D,R], its product with its transpose is the covariance."""
        if self.moments.factor is not None:
            return self.moments.factor
        try:
            lower: Features = linalg.cholesky(self.moments.covariance, lower=True)
        except linalg.LinAlgError:  # a feature that never varies
            values, vectors = linalg.eigh(self.moments.covariance)
            return vectors * np.sqrt(values.clip(min=0))
        return lower

    def distance(self, made: Moments) -> float:
        """|m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)) of two normal distributions (Dowson and Landau 1982; as a score
        of generated pictures Heusel et al. 2017, section 1).

        The trace of the root is the sum of the roots of S1 S2's eigenvalues. With S1 = F F^T these are those of
        F^T S2 F, which is symmetric, as small as the smaller set, and needs no root of a product that is almost
        singular.
        """
        shift = self.moments.mean - made.mean
        if made.factor is not None:
            factor, covariance = made.factor, self.moments.covariance
        else:
            factor, covariance = self._factor, made.covariance
        inner = factor.T @ covariance @ factor
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
    groups = min(20 if made.shape[1] <= _FEW_FEATURES else 10, len(made) // 2)
    whole = moments(made)
    value = reference.distance(whole)
    left = []
    for g in range(groups):
        check()
        left.append(reference.distance(_without(made, whole, np.s_[g::groups])))
    return jackknife(value, left, (0.0, math.inf))


def _without(made: Features, whole: Moments, rows: slice) -> Moments:
    """The moments of ``made`` without ``rows``."""
    if whole.factor is not None:
        return moments(np.delete(made, rows, axis=0))
    gone = made[rows]
    count = whole.count - len(gone)
    shift = -(mean_of(gone) - whole.mean) * len(gone) / count
    total = whole.covariance * (whole.count - 1) - scatter(gone, whole.mean)
    return Moments(whole.mean + shift, (total - count * np.outer(shift, shift)) / (count - 1), count)


@dataclass(frozen=True)
class Limit:
    """The line through distances at smaller N: ``sizes`` and ``values`` are its points, ``estimate`` its end."""

    estimate: Estimate
    sizes: tuple[int, ...]
    values: tuple[float, ...]
    slope: float


def at_infinity(
    reference: Reference, made: Features, seed: int = 0, check: Check = _nothing, *, interval: bool = True
) -> Limit:
    """The distance that a line against 1/N gives for N without end (Chong and Forsyth 2020, section 4).

    Subsets of ``made`` float [N,D] are drawn without repeats, from a tenth of N (more than D where that can be) to N.
    The interval is over the choice of generated pictures: the line is drawn again without each of ten groups, from the
    same subsets without that group; of many features, where that takes long, from every third size alone. Which
    subsets were drawn is the line's own error, which is added in squares.
    """
    n, d = made.shape
    lowest = max(2, min(max(n // 10, d + 1), n // 2))
    sizes = np.unique(np.linspace(lowest, n, POINTS).astype(int))
    rng = np.random.default_rng(seed)
    orders = [rng.permutation(n) for _ in sizes]
    values = []
    for size, order in zip(sizes, orders, strict=True):
        check()
        values.append(reference.distance(moments(made[np.sort(order[:size])])))
    line = stats.linregress(1 / sizes, values)
    end = float(line.intercept)
    estimate = Estimate(end, -math.inf, math.inf, "none was asked for")
    if interval:
        used = np.arange(len(sizes))[:: 1 if d <= _FEW_FEATURES else 3]
        chosen = [(int(sizes[at]), orders[at]) for at in used]
        groups = min(10, n // 8)
        left = [_line_without(reference, made, chosen, (g, groups), check) for g in range(groups)]
        told = jackknife(end, left)
        own = float(stats.t.ppf(0.5 + CONFIDENCE / 2, max(1, len(sizes) - 2)) * line.intercept_stderr)
        width = math.hypot(told.high - end, own)
        way = f"{told.way}, each a line through {len(used)} sizes, and the line's own error"
        estimate = Estimate(end, end - width, end + width, way)
    return Limit(estimate, tuple(int(size) for size in sizes), tuple(values), float(line.slope))


def _line_without(
    reference: Reference,
    made: Features,
    subsets: Sequence[tuple[int, NDArray[np.intp]]],
    group: tuple[int, int],
    check: Check,
) -> float:
    """The end of the line through the subsets without the pictures of a group (g of so many)."""
    sizes, values = [], []
    for size, order in subsets:
        check()
        kept = order[:size]
        kept = np.sort(kept[kept % group[1] != group[0]])
        sizes.append(len(kept))
        values.append(reference.distance(moments(made[kept])))
    return float(stats.linregress(1 / np.asarray(sizes), values).intercept)
