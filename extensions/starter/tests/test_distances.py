"""Distances between sets of features, against closed forms and a direct calculation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import sqrtm

from extensions.starter.distances import frechet_at_infinity, frechet_distance, kernel_distance, with_interval


def _normal(n: int, d: int, seed: int, shift: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) + shift


def test_frechet_distance_is_the_formula() -> None:
    a, b = _normal(300, 6, 1), _normal(200, 6, 2, 1.0)
    first, second = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = sqrtm(first @ second).real
    told = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(first + second - 2 * root)
    assert frechet_distance(a, b) == pytest.approx(told, rel=1e-6)
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-8)


def test_kernel_distance_is_the_sum_over_pairs() -> None:
    a, b = _normal(7, 3, 1), _normal(5, 3, 2)

    def k(x: np.ndarray, y: np.ndarray) -> float:
        return float((x @ y / 3 + 1) ** 3)

    xx = np.mean([k(x, y) for i, x in enumerate(a) for j, y in enumerate(a) if i != j])
    yy = np.mean([k(x, y) for i, x in enumerate(b) for j, y in enumerate(b) if i != j])
    xy = np.mean([k(x, y) for x in a for y in b])
    assert kernel_distance(a, b) == pytest.approx(xx + yy - 2 * xy)


def test_intervals_hold_the_value_and_shrink() -> None:
    rng = np.random.default_rng(3)
    real = rng.normal(size=(2000, 4))
    few, many = (with_interval(frechet_distance, real, rng.normal(size=(n, 4)) + 0.5) for n in (100, 1600))
    assert few.low < few.value < few.high
    assert many.high - many.low < few.high - few.low
    assert many.low < 1.0 < many.high


def test_infinity_takes_the_bias_away() -> None:
    rng = np.random.default_rng(4)
    real, made = rng.normal(size=(20_000, 16)), rng.normal(size=(600, 16))
    assert abs(frechet_at_infinity(real, made)) < frechet_distance(real, made) / 2
