"""Colour transfer keeps the laws that its papers state."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from extensions.style.colour.reinhard import covariance_map, reinhard
from extensions.style.colour.spaces import from_lab, from_opponent, to_lab, to_opponent
from extensions.style.colour.transfer import SPACES, Transfer, normalised, transferred
from extensions.style.colour.transport import histogram, match_values, sliced_distance, sliced_transport

Array = NDArray[np.float64]


def cloud(seed: int, count: int = 4000) -> Array:
    """Colours [count,3] in 0..1, skewed and correlated."""
    rng = np.random.default_rng(seed)
    mixing = rng.uniform(0, 1, (3, 3))
    return (rng.beta(*rng.uniform(0.8, 4, 2), (count, 3)) @ mixing) / mixing.sum(axis=0)


def picture(seed: int, side: int = 48) -> Array:
    return cloud(seed, side * side).reshape(side, side, 3)


def test_lab_of_the_corners_is_as_published() -> None:
    """sRGB's primaries in CIE L*a*b* for D65 (Lindbloom's calculator, sRGB matrix)."""
    rgb = np.array([[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1], [0, 0, 0]])
    known = [[53.24, 80.09, 67.20], [87.73, -86.18, 83.18], [32.30, 79.19, -107.86], [100, 0, 0], [0, 0, 0]]
    assert np.abs(to_lab(rgb) - np.array(known)).max() < 0.01


@given(st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_spaces_come_back(seed: int) -> None:
    rgb = cloud(seed, 64)
    assert np.abs(from_lab(to_lab(rgb)) - rgb).max() < 1e-9
    lifted = np.maximum(rgb, 1 / 255)
    assert np.abs(from_opponent(to_opponent(lifted)) - lifted).max() < 1e-9


@given(st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_reinhard_gives_mean_and_deviation(seed: int) -> None:
    ours, theirs = to_lab(cloud(seed, 200)), to_lab(cloud(seed + 1, 300))
    moved = reinhard(ours, theirs, ours)
    assert np.abs(moved.mean(axis=0) - theirs.mean(axis=0)).max() < 1e-9
    assert np.abs(moved.std(axis=0) - theirs.std(axis=0)).max() < 1e-9


@given(st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_the_linear_map_gives_the_covariance(seed: int) -> None:
    ours, theirs = cloud(seed, 200), cloud(seed + 1, 300)
    moved = covariance_map(ours, theirs, ours)
    assert np.abs(np.cov(moved.T, bias=True) - np.cov(theirs.T, bias=True)).max() < 1e-9
    assert np.abs(moved.mean(axis=0) - theirs.mean(axis=0)).max() < 1e-9


def test_of_one_colour_nothing_is_stretched() -> None:
    flat, theirs = np.full((50, 3), 0.4), cloud(3)
    for way in (reinhard, covariance_map, histogram):
        moved = way(flat, theirs, flat)
        assert np.isfinite(moved).all()
        assert np.ptp(moved, axis=0).max() < 1e-12
    assert np.abs(reinhard(flat, theirs, flat)[0] - theirs.mean(axis=0)).max() < 1e-9


def test_histograms_match() -> None:
    rng = np.random.default_rng(0)
    ours = rng.integers(0, 256, (64, 64, 3)).astype(float)
    theirs = (255 * rng.beta(2, 5, (80, 60, 3))).round()
    got = histogram(ours.reshape(-1, 3), theirs.reshape(-1, 3), ours)
    # One of the source's 256 values takes up some 1/256 of the quantiles, and lands in the middle of them.
    quantiles, width = np.linspace(0.01, 0.99, 99), 0.006
    for channel in range(3):
        found = np.quantile(got[..., channel], quantiles)
        low, high = (np.quantile(theirs[..., channel], quantiles + side) for side in (-width, width))
        assert (found >= low - 1).all()
        assert (found <= high + 1).all()


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=40), st.lists(st.floats(-5, 5), min_size=2, max_size=40))
@settings(max_examples=60, deadline=None)
def test_a_map_of_values_never_turns_around(ours: list[float], theirs: list[float]) -> None:
    values = np.linspace(-7, 7, 50)
    moved = match_values(np.array(ours), np.array(theirs), values)
    assert (np.diff(moved) >= -1e-9).all()
    inside = match_values(np.array(ours), np.array(theirs), np.array(ours))
    assert inside.min() >= min(theirs) - 1e-9
    assert inside.max() <= max(theirs) + 1e-9


def test_equal_sets_of_values_become_one_another() -> None:
    rng = np.random.default_rng(4)
    ours, theirs = rng.normal(size=500), rng.gamma(2, size=500)
    assert np.abs(np.sort(match_values(ours, theirs, ours)) - np.sort(theirs)).max() < 1e-12


def test_sliced_transport_comes_nearer_than_the_others() -> None:
    ours, theirs = cloud(10), cloud(21)
    before = sliced_distance(ours, theirs)
    linear = sliced_distance(reinhard(ours, theirs, ours), theirs)
    channels = sliced_distance(histogram(ours, theirs, ours), theirs)
    sliced = sliced_distance(sliced_transport(ours, theirs, ours, steps=20, seed=0), theirs)
    assert sliced < 0.1 * before
    assert sliced < 0.5 * min(linear, channels)


def test_sliced_distance_of_a_shift_is_known() -> None:
    ours = cloud(2)
    # The mean of (v.d)^2 over directions d is |v|^2 / 3.
    assert sliced_distance(ours, ours + np.array([0.3, 0, 0]), slices=1000) == pytest.approx(0.3 / 3**0.5, rel=0.05)


@pytest.mark.parametrize("method", ["reinhard", "covariance", "histogram", "transport"])
@pytest.mark.parametrize("space", list(SPACES))
def test_strength_mask_and_weights(method: str, space: str) -> None:
    base, one, other = picture(1), picture(5), picture(9)
    transfer = Transfer(method, space, steps=4)
    whole = transferred(base, [one], transfer)
    assert whole.shape == base.shape
    assert whole.min() >= 0
    assert whole.max() <= 1
    assert not np.allclose(whole, base)
    none = transferred(base, [one], Transfer(method, space, strength=0.0, steps=4))
    assert np.array_equal(none, base)
    mask = np.zeros(base.shape[:2])
    mask[:, :20] = 1
    part = transferred(base, [one], transfer, mask=mask)
    assert np.array_equal(part[:, 20:], base[:, 20:])
    assert not np.allclose(part[:, :20], base[:, :20])
    assert np.array_equal(transferred(base, [one, other], transfer, weights=[1, 0]), whole)
    assert np.array_equal(transferred(base, [one], transfer), whole)


def test_weights_are_shares_between_means() -> None:
    """Reinhard's map is linear in the reference's statistics: three quarters of one mean and a quarter of the other."""
    base = 0.4 + 0.1 * picture(1)
    one, other = 0.35 + 0.1 * picture(5), 0.5 + 0.1 * picture(9)
    mixed = transferred(base, [one, other], Transfer("reinhard", "rgb"), weights=[3, 1])
    expected = 0.75 * one.mean(axis=(0, 1)) + 0.25 * other.mean(axis=(0, 1))
    assert np.abs(mixed.mean(axis=(0, 1)) - expected).max() < 1e-9


def test_lightness_is_kept() -> None:
    base = 0.3 + 0.4 * picture(1)
    kept = transferred(base, [0.4 + 0.2 * picture(5)], Transfer("transport", keep_lightness=True))
    assert np.abs(to_lab(kept)[..., 0] - to_lab(base)[..., 0]).max() < 1.0
    assert not np.allclose(kept, base)


@pytest.mark.parametrize("weights", [[1.0], [1.0, -1.0], [0.0, 0.0]])
def test_weights_that_are_none_are_refused(weights: list[float]) -> None:
    with pytest.raises(ValueError, match="weights"):
        normalised(weights, 2)


def test_an_empty_mask_changes_nothing() -> None:
    base = picture(1)
    assert np.array_equal(transferred(base, [picture(2)], Transfer(), mask=np.zeros(base.shape[:2])), base)
