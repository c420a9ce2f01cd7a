"""Below the numbers of ``analysis``: intervals by drawing raters again, since the answers of one rater are no
independent observations.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

REPLICATES = 1000
LEVEL = 0.95


def draws(raters: int, replicates: int = REPLICATES, seed: int = 0) -> Array:
    """float64 [replicates, raters]: how often each rater is in each sample of ``raters`` drawn with replacement."""
    if raters < 1:
        raise ValueError(f"draws: expected at least one rater, got {raters}")
    generator = np.random.default_rng(seed)
    return generator.multinomial(raters, np.full(raters, 1 / raters), size=replicates).astype(np.float64)


def percentiles(values: Array, level: float = LEVEL) -> tuple[float, float] | None:
    """The middle ``level`` of ``values``, NaN left out; None where nothing is left."""
    known = values[~np.isnan(values)]
    if not known.size:
        return None
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def interval(
    counts: Array, statistic: Callable[[Array], Array], *, replicates: int = REPLICATES, seed: int = 0
) -> tuple[float, float] | None:
    """The percentile interval of ``statistic``, a function of counts that are summed over raters.

    ``counts``: float64 [raters, k]. ``statistic``: [n, k] -> [n]. None for fewer than two raters, of whom nothing can
    be said.
    """
    if len(counts) < 2:
        return None
    return percentiles(statistic(draws(len(counts), replicates, seed) @ counts))
