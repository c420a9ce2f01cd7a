"""Measures over sets of features: real and generated float64 [N,D] -> Frechet and kernel distances with intervals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Features = NDArray[np.float64]
Distance = Callable[[Features, Features], float]

_GROUPS = 20


@dataclass(frozen=True)
class Interval:
    """An estimate and its 95% interval."""

    value: float
    low: float
    high: float

    def rounded(self, digits: int = 4) -> dict[str, float]:
        return {"value": round(self.value, digits), "low": round(self.low, digits), "high": round(self.high, digits)}


def frechet_distance(real: Features, made: Features) -> float:
    """|m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)) of two normal distributions (Heusel et al. 2017).

    The trace of the root is the sum of the roots of S1 S2's eigenvalues, which are real and not negative.
    """
    means = real.mean(0) - made.mean(0)
    first, second = np.cov(real, rowvar=False), np.cov(made, rowvar=False)
    roots = np.sqrt(np.linalg.eigvals(first @ second).real.clip(min=0)).sum()
    return float(means @ means + np.trace(first) + np.trace(second) - 2 * roots)


def kernel_distance(real: Features, made: Features) -> float:
    """The unbiased squared maximum mean discrepancy with kernel (x.y / D + 1)^3 (Binkowski et al. 2018)."""
    d, n, m = real.shape[1], len(real), len(made)

    def kernel(x: Features, y: Features) -> Features:
        cubed: Features = (x @ y.T / d + 1) ** 3
        return cubed

    xx, yy = kernel(real, real), kernel(made, made)
    within = (xx.sum() - np.trace(xx)) / (n * (n - 1)) + (yy.sum() - np.trace(yy)) / (m * (m - 1))
    return float(within - 2 * kernel(real, made).mean())


def with_interval(distance: Distance, real: Features, made: Features) -> Interval:
    """The distance and its 95% interval over the choice of generated pictures: a jackknife that leaves out groups.

    Resampling with repeats, as a bootstrap does, would raise both distances; leaving groups out hardly does.
    """
    value, groups = distance(real, made), min(_GROUPS, len(made) // 2)
    left = np.array([distance(real, np.delete(made, np.s_[g::groups], axis=0)) for g in range(groups)])
    error = float(np.sqrt((groups - 1) / groups * ((left - left.mean()) ** 2).sum()))
    return Interval(value, value - 1.96 * error, value + 1.96 * error)


def frechet_at_infinity(real: Features, made: Features) -> float:
    """The Frechet distance that a line against 1/N gives for N without end (Chong and Forsyth 2020)."""
    rng = np.random.default_rng(0)
    sizes = np.unique(np.linspace(max(4, len(made) // 3), len(made), 8).astype(int))
    values = [frechet_distance(real, made[rng.permutation(len(made))[:n]]) for n in sizes]
    _, intercept = np.polyfit(1 / sizes, values, 1)
    return float(intercept)
