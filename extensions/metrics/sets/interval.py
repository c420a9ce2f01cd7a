"""How sure a score is: estimates over groups, subsets and shares -> 95% intervals, for all formulas of ``sets``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Features = NDArray[np.float64]
CONFIDENCE = 0.95
_Z = float(stats.norm.ppf(0.5 + CONFIDENCE / 2))


@dataclass(frozen=True)
class Estimate:
    """A number and its 95% interval; ``way`` says in a few words what the interval is over."""

    value: float
    low: float
    high: float
    way: str = ""

    def times(self, factor: float) -> Estimate:
        """In another unit."""
        return Estimate(self.value * factor, self.low * factor, self.high * factor, self.way)


def jackknife(value: float, left_out: Sequence[float], bounds: tuple[float, float] = (-math.inf, math.inf)) -> Estimate:
    """``value`` with the interval of a delete-a-group jackknife: ``left_out[g]`` is the score without group g.

    Kott 2001, *The delete-a-group jackknife*. Resampling with repeats, as a bootstrap does, would raise distances that
    depend on N; leaving out a few hardly does.
    """
    groups = len(left_out)
    values = np.asarray(left_out, np.float64)
    error = math.sqrt((groups - 1) / groups * float(np.square(values - values.mean()).sum()))
    width = float(stats.t.ppf(0.5 + CONFIDENCE / 2, groups - 1)) * error
    low, high = max(bounds[0], value - width), min(bounds[1], value + width)
    return Estimate(value, low, high, f"jackknife over {groups} groups of generated pictures")


def of_means(values: Sequence[float], value: float | None = None, way: str = "") -> Estimate:
    """Student's interval of the mean of independent estimates; around ``value`` where that was estimated better."""
    array = np.asarray(values, np.float64)
    centre = float(array.mean()) if value is None else value
    if len(array) < 2:
        return Estimate(centre, -math.inf, math.inf, way)
    width = float(stats.t.ppf(0.5 + CONFIDENCE / 2, len(array) - 1) * array.std(ddof=1) / math.sqrt(len(array)))
    return Estimate(centre, centre - width, centre + width, way)


def share(count: int, total: int, way: str = "") -> Estimate:
    """``count`` of ``total`` with Wilson's interval (1927), which stays within 0 and 1 and holds at both ends."""
    p, spread = count / total, _Z**2 / total
    centre = (p + spread / 2) / (1 + spread)
    width = math.sqrt(p * (1 - p) * spread + spread**2 / 4) / (1 + spread)
    return Estimate(p, max(0.0, centre - width), min(1.0, centre + width), way)
