"""Scores of sets against closed forms, generators whose answer is known, and the laws that every score obeys."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import sqrtm

from extensions.metrics.sets.classes import inception_score
from extensions.metrics.sets.frechet import Moments, Reference, at_infinity, frechet_distance, moments, with_interval
from extensions.metrics.sets.interval import Features, jackknife, of_means, share
from extensions.metrics.sets.kernel import cmmd, kernel_distance, unbiased_mmd
from extensions.metrics.sets.manifold import density_coverage, neighbours, precision_recall, radii


def normal(n: int, d: int, seed: int, shift: float = 0.0, scale: float = 1.0) -> Features:
    return np.random.default_rng(seed).normal(size=(n, d)) * scale + shift


SCORES: dict[str, Callable[[Features, Features], float]] = {
    "frechet": frechet_distance,
    "kernel": unbiased_mmd,
    "cmmd": lambda a, b: cmmd(a, b).value,
    "density": lambda a, b: density_coverage(a, b).density.value,
    "precision": lambda a, b: precision_recall(a, b).precision.value,
}
sets = st.builds(normal, st.integers(12, 40), st.just(5), st.integers(0, 1000), st.floats(-2, 2), st.floats(0.3, 3))
fast = settings(max_examples=15, deadline=None)


# The Frechet distance


def test_of_two_normal_distributions_it_is_the_closed_form() -> None:
    """Of axis-aligned ones it is |m1 - m2|^2 + sum (s1 - s2)^2 over standard deviations."""
    s1, s2 = np.array([1.0, 2.0, 0.5]), np.array([2.0, 0.1, 0.5])
    first, second = Moments(np.zeros(3), np.diag(s1**2), 9), Moments(np.array([3.0, 0, 4.0]), np.diag(s2**2), 9)
    told = 25 + ((s1 - s2) ** 2).sum()
    assert Reference(first).distance(second) == pytest.approx(told, rel=1e-12)


def test_of_large_samples_it_comes_near_the_closed_form() -> None:
    real, made = normal(200_000, 4, 1), normal(200_000, 4, 2, shift=0.5, scale=2.0)
    assert frechet_distance(real, made) == pytest.approx(4 * 0.25 + 4 * 1.0, rel=0.01)


def test_it_is_the_published_formula() -> None:
    rng = np.random.default_rng(1)
    mix = rng.normal(size=(8, 8))
    a, b = normal(300, 8, 2) @ mix, normal(200, 8, 3, 1.0) @ mix.T
    first, second = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    told = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(first + second - 2 * sqrtm(first @ second).real)
    assert frechet_distance(a, b) == pytest.approx(told, rel=1e-9)


def test_fewer_pictures_than_features_are_no_trouble() -> None:
    a, b = normal(20, 64, 1), normal(16, 64, 2)
    value = frechet_distance(a, b)
    assert value > 0
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-5)


def test_its_interval_is_that_of_leaving_groups_out() -> None:
    real, made = normal(500, 3, 1), normal(203, 3, 2, 0.4)
    told = with_interval(Reference(moments(real)), made)
    left = [frechet_distance(real, np.delete(made, np.s_[g::20], axis=0)) for g in range(20)]
    plain = jackknife(frechet_distance(real, made), left, (0, math.inf))
    assert (told.value, told.low, told.high) == pytest.approx((plain.value, plain.low, plain.high), rel=1e-9)


def test_its_interval_holds_the_truth_nineteen_times_in_twenty() -> None:
    reference = Reference(moments(normal(100_000, 3, 1)))
    hits = 0
    for seed in range(60):
        told = with_interval(reference, normal(2000, 3, 100 + seed, 0.5))
        hits += told.low < 0.75 < told.high
    assert 51 <= hits <= 60


def test_the_limit_takes_the_bias_away() -> None:
    real, made = normal(50_000, 24, 4), normal(1500, 24, 5)
    limit, plain = at_infinity(Reference(moments(real)), made), frechet_distance(real, made)
    assert abs(limit.estimate.value) < plain / 4
    assert limit.slope > 0
    assert limit.sizes[-1] == 1500
    assert limit.values[-1] == pytest.approx(plain)


def test_the_interval_of_the_limit_holds_the_truth() -> None:
    reference, hits = Reference(moments(normal(50_000, 6, 1))), 0
    for seed in range(20):
        told = at_infinity(reference, normal(400, 6, 100 + seed, 0.3)).estimate
        hits += told.low < 0.09 * 6 < told.high
    assert 17 <= hits <= 20


def test_a_limit_without_an_interval_is_the_same_number() -> None:
    reference, made = Reference(moments(normal(500, 6, 1))), normal(300, 6, 2)
    with_, without = at_infinity(reference, made), at_infinity(reference, made, interval=False)
    assert (with_.estimate.value, with_.values) == (without.estimate.value, without.values)
    assert without.estimate.low == -np.inf


# Kernels


def test_the_kernel_distance_is_the_sum_over_pairs() -> None:
    a, b = normal(7, 3, 1), normal(5, 3, 2)

    def k(x: Features, y: Features) -> float:
        return float((x @ y / 3 + 1) ** 3)

    xx = np.mean([k(x, y) for i, x in enumerate(a) for j, y in enumerate(a) if i != j])
    yy = np.mean([k(x, y) for i, x in enumerate(b) for j, y in enumerate(b) if i != j])
    xy = np.mean([k(x, y) for x in a for y in b])
    assert unbiased_mmd(a, b) == pytest.approx(xx + yy - 2 * xy)


def test_over_subsets_it_has_no_bias() -> None:
    real = normal(4000, 6, 1)
    same = kernel_distance(real, normal(4000, 6, 2), subset_size=200)
    other = kernel_distance(real, normal(4000, 6, 3, 0.3), subset_size=200)
    assert same.estimate.low < 0 < same.estimate.high
    assert other.estimate.low > 0
    assert same.subset_size == 200


def test_cmmd_is_the_biased_estimator_on_the_sphere() -> None:
    a, b = normal(30, 4, 1), normal(50, 4, 2, 1.0)
    x, y = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (a, b))

    def mean(p: Features, q: Features) -> float:
        return float(np.exp(-np.square(p[:, None] - q[None]).sum(-1) / 200).mean())

    told = cmmd(a, b)
    assert told.value == pytest.approx(1000 * (mean(x, x) + mean(y, y) - 2 * mean(x, y)), rel=1e-9)
    left = np.delete(y, np.s_[3::20], axis=0)
    without = 1000 * (mean(x, x) + mean(left, left) - 2 * mean(x, left))
    assert told.low < without < told.high


# What lies within what


def test_a_perfect_generator_has_density_one_and_the_coverage_of_theory() -> None:
    told = density_coverage(normal(3000, 8, 1), normal(3000, 8, 2))
    assert told.density.low < 1 < told.density.high
    assert told.coverage.value == pytest.approx(1 - 0.5**5, abs=0.01)


def test_a_memorizing_generator_is_found_out() -> None:
    real = normal(300, 8, 1)
    copies = real[np.random.default_rng(2).permutation(300)[:40]]
    told = neighbours(real, copies)
    np.testing.assert_array_equal(real[told.nearest], copies)
    assert told.distance.max() == 0
    fresh = neighbours(real, normal(300, 8, 3))
    assert np.median(fresh.ratio) == pytest.approx(1, abs=0.15)
    narrow = density_coverage(real, np.repeat(real[:1], 300, axis=0))
    assert narrow.coverage.value < 0.1
    assert precision_recall(real, copies).precision.value == 1


def test_a_ball_reaches_to_the_kth_other_and_holds_its_edge() -> None:
    line = np.array([[0.0], [1.0], [3.0], [7.0]])
    np.testing.assert_allclose(np.sqrt(radii(line, 2)), [3, 2, 3, 6])
    on_the_edge = precision_recall(line, np.array([[13.0], [13.1], [99.0]]), k=2)
    assert on_the_edge.precision.value == pytest.approx(1 / 3)


def test_of_far_sets_nothing_lies_within() -> None:
    real, made = normal(100, 4, 1), normal(100, 4, 2, 100.0)
    told, others = precision_recall(real, made), density_coverage(real, made)
    assert told.precision.value == told.recall.value == others.density.value == others.coverage.value == 0
    assert told.precision.high > 0


def test_blocks_do_not_change_what_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    real, made = normal(90, 4, 1), normal(70, 4, 2)
    whole = precision_recall(real, made), density_coverage(real, made), neighbours(real, made)
    monkeypatch.setattr("extensions.metrics.sets.blocks._VALUES", 200)
    parts = precision_recall(real, made), density_coverage(real, made), neighbours(real, made)
    assert whole[:2] == parts[:2]
    np.testing.assert_array_equal(whole[2].nearest, parts[2].nearest)


# The inception score


def test_a_perfect_classifier_scores_the_number_of_classes() -> None:
    sure = np.where(np.eye(10)[np.arange(1000) % 10] > 0, 1000.0, 0.0)
    assert inception_score([sure], seed=None).estimate.value == pytest.approx(10, rel=1e-9)


def test_it_is_one_where_all_is_alike_and_bounded_by_the_split() -> None:
    alike = np.tile(normal(1, 10, 1), (100, 1))
    assert inception_score([alike]).estimate.value == pytest.approx(1)
    sure = np.where(np.eye(500)[:100] > 0, 1000.0, 0.0)
    assert inception_score([sure], splits=10).estimate.value == pytest.approx(10)


def test_of_several_heads_it_is_the_geometric_mean() -> None:
    a, b = normal(400, 5, 1, scale=3), normal(400, 7, 2, scale=3)
    told, one, other = (inception_score(heads, splits=1).estimate.value for heads in ([a, b], [a], [b]))
    assert told == pytest.approx(math.sqrt(one * other))


# Laws


@fast
@given(sets)
def test_a_set_is_no_distance_from_itself(one: Features) -> None:
    assert SCORES["frechet"](one, one) == pytest.approx(0, abs=1e-7 * (1 + np.square(one).sum() / len(one)))
    assert SCORES["cmmd"](one, one) == pytest.approx(0, abs=1e-9)
    assert SCORES["precision"](one, one) == 1


@fast
@given(sets, sets)
def test_distances_are_symmetric(one: Features, other: Features) -> None:
    for name in ("frechet", "kernel", "cmmd"):
        assert SCORES[name](one, other) == pytest.approx(SCORES[name](other, one), rel=1e-7, abs=1e-7), name


@fast
@given(sets, sets, st.integers(0, 99))
def test_the_order_of_pictures_does_not_matter(one: Features, other: Features, seed: int) -> None:
    mixed = np.random.default_rng(seed).permutation(other)
    for name, score in SCORES.items():
        assert score(one, mixed) == pytest.approx(score(one, other), rel=1e-7, abs=1e-7), name


@given(st.integers(0, 50), st.integers(1, 50))
def test_shares_lie_within_their_interval_and_it_within_zero_and_one(count: int, more: int) -> None:
    told = share(min(count, more), more)
    assert 0 <= told.low <= told.value + 1e-12
    assert told.value - 1e-12 <= told.high <= 1


def test_the_interval_of_one_value_says_that_nothing_is_known() -> None:
    assert of_means([3.0]).low == -math.inf
