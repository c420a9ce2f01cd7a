"""Two extensions that do not know one another compute the same distances: training's own measures, and the scores."""

from __future__ import annotations

import numpy as np
import pytest

from extensions.metrics.sets import frechet, kernel
from extensions.starter import distances


@pytest.mark.parametrize(("real", "made", "features"), [(300, 200, 6), (40, 30, 64)])
def test_both_have_the_same_numbers(real: int, made: int, features: int) -> None:
    rng = np.random.default_rng(1)
    mix = rng.normal(size=(features, features))
    a, b = rng.normal(size=(real, features)) @ mix, rng.normal(size=(made, features)) @ mix + 0.3
    assert frechet.frechet_distance(a, b) == pytest.approx(distances.frechet_distance(a, b), rel=1e-6)
    assert kernel.unbiased_mmd(a, b) == pytest.approx(distances.kernel_distance(a, b), rel=1e-9)
