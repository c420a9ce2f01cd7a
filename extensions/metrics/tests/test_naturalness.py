"""Sharpness, colourfulness, BRISQUE's features and regression, NIQE and its pristine models."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.io import savemat

from extensions.metrics.pictures import scene_statistics as nss
from extensions.metrics.pictures.brisque import FEATURES, brisque_features, read_ranges, read_regression
from extensions.metrics.pictures.errors import WrongFile
from extensions.metrics.pictures.niqe import niqe
from extensions.metrics.pictures.patches import patch_features
from extensions.metrics.pictures.pristine import Pristine, bundled, fit, load, save
from extensions.metrics.pictures.simple import colourfulness, variance_of_laplacian
from extensions.metrics.tests.leaves import Pixels, blurred, dead_leaves, noisy

# fmt: off
PIQ = (
    4.534, 0.238454, 1.031, 0.015087, 0.060418, 0.071277, 1.025, 0.008716, 0.064048, 0.0704, 1.019, -0.031203,
    0.079894, 0.056993, 1.021, -0.032521, 0.081114, 0.057144, 3.488, 0.251799, 0.928, 0.101441, 0.031259, 0.10438,
    0.913, 0.093041, 0.034455, 0.102645, 0.892, 0.029587, 0.059146, 0.081988, 0.881, 0.011299, 0.068224, 0.077132,
)
# fmt: on
"""The features of dead_leaves(5, 192, 800) by piq 0.8, measured once, rounded to six places."""


@pytest.fixture(scope="module")
def leaves() -> Pixels:
    return dead_leaves(5, 192, 800)


@pytest.fixture(scope="module")
def model() -> Pristine:
    return fit("leaves", (dead_leaves(seed, 192, 800) for seed in range(100, 110)), patch_px=48)


# Sharpness and colourfulness


def test_sharpness_falls_with_blur_and_is_a_variance(leaves: Pixels) -> None:
    told = [variance_of_laplacian(blurred(leaves, sigma)) for sigma in (0.01, 0.7, 1.4, 3)]
    assert told == sorted(told, reverse=True)
    assert variance_of_laplacian(np.full((20, 20, 3), 77, np.uint8)) == pytest.approx(0, abs=1e-18)
    board = np.indices((8, 8)).sum(0) % 2 * 255
    assert variance_of_laplacian(np.repeat(board[..., None], 3, 2).astype(np.uint8)) == pytest.approx((4 * 255) ** 2)


def test_colourfulness_is_what_the_paper_says(leaves: Pixels) -> None:
    assert colourfulness(np.repeat(leaves[..., :1], 3, 2)) == 0
    half = np.zeros((10, 10, 3), np.uint8)
    half[:5, :, 0] = 100  # rg is 100 and 0, yb 50 and 0
    expected = np.hypot(50, 25) + 0.3 * np.hypot(50, 25)
    assert colourfulness(half) == pytest.approx(expected)
    grey = leaves.mean(axis=2, keepdims=True)
    paler = [colourfulness((grey + share * (leaves - grey)).astype(np.uint8)) for share in (1, 0.6, 0.3)]
    assert paler == sorted(paler, reverse=True)


# Statistics


@given(st.floats(0.4, 6), st.integers(0, 1000))
@settings(max_examples=20)
def test_a_symmetric_fit_finds_the_shape_it_was_drawn_from(shape: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    samples = rng.gamma(1 / shape, 1, 60_000) ** (1 / shape) * rng.choice([-1, 1], 60_000)
    found, variance = nss.fit_symmetric(samples[None])
    assert found[0] == pytest.approx(shape, rel=0.1)
    assert variance[0] == pytest.approx(samples.var(), rel=1e-3)


@given(st.floats(0.7, 4), st.floats(0.3, 3), st.integers(0, 1000))
@settings(max_examples=20)
def test_an_asymmetric_fit_finds_both_sides(shape: float, ratio: float, seed: int) -> None:
    """Each side is chosen as often as it is wide, as the density has it."""
    rng = np.random.default_rng(seed)
    size = rng.gamma(1 / shape, 1, 90_000) ** (1 / shape)
    samples = np.where(rng.random(90_000) < ratio / (1 + ratio), size * ratio, -size)
    found = nss.fit_asymmetric(samples[None])
    assert found.shape[0] == pytest.approx(shape, rel=0.1)
    assert found.right[0] / found.left[0] == pytest.approx(ratio, rel=0.06)
    assert found.beta_left[0] == pytest.approx(1, rel=0.12)
    assert found.mean[0] == pytest.approx(samples.mean(), abs=0.05 * samples.std())


def test_halving_keeps_flat_parts_and_ramps() -> None:
    flat = np.full((9, 12), 93.0)
    assert nss.halve(flat).shape == (5, 6)
    np.testing.assert_allclose(nss.halve(flat), 93)
    ramp = np.tile(np.arange(32.0), (32, 1))
    np.testing.assert_allclose(nss.halve(ramp)[4:-4, 4:-4], np.tile(np.arange(16) * 2 + 0.5, (16, 1))[4:-4, 4:-4])


# BRISQUE


def test_features_are_those_of_another_program(leaves: Pixels) -> None:
    np.testing.assert_allclose(brisque_features(leaves), PIQ, atol=1e-6)


def test_features_of_flat_and_small_pictures() -> None:
    assert np.isnan(brisque_features(np.full((32, 32, 3), 5, np.uint8))).any()
    with pytest.raises(ValueError, match="16"):
        brisque_features(np.zeros((15, 99, 3), np.uint8))


RANGE = "x\n-1 1\n" + "".join(f"{i + 1} {i} {i + 2 + i % 3}\n" for i in range(FEATURES))
MODEL = """svm_type epsilon_svr
kernel_type rbf
gamma 0.05
nr_class 2
total_sv 2
rho -3.5
SV
1.5 1:0.25 36:-1
-0.5 2:1
"""


def files(folder: Path, model: str = MODEL, ranges: str = RANGE) -> tuple[Path, Path]:
    (folder / "allmodel").write_text(model)
    (folder / "allrange").write_text(ranges)
    return folder / "allmodel", folder / "allrange"


def test_the_regression_is_libsvms(tmp_path: Path) -> None:
    regression = read_regression(*files(tmp_path))
    features = np.linspace(-1, 40, FEATURES)
    low, width = np.arange(FEATURES), 2 + np.arange(FEATURES) % 3
    scaled = -1 + 2 * (features - low) / width
    one, two = np.zeros(FEATURES), np.zeros(FEATURES)
    one[0], one[35], two[1] = 0.25, -1, 1
    expected = 3.5
    for weight, vector in ((1.5, one), (-0.5, two)):
        expected += weight * np.exp(-0.05 * ((scaled - vector) ** 2).sum())
    assert regression.score(features) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("model", "ranges", "says"),
    [
        (MODEL.replace("rbf", "linear"), RANGE, "rbf"),
        (MODEL.replace("epsilon_svr", "c_svc"), RANGE, "regression"),
        (MODEL.replace("36:-1", "37:-1"), RANGE, "37"),
        (MODEL.replace("gamma 0.05\n", ""), RANGE, "gamma"),
        (MODEL.partition("1.5 1:")[0], RANGE, "no support vectors"),
        ("hello", RANGE, "SV"),
        (MODEL, "y\n-1 1\n", "first line"),
        (MODEL, RANGE.replace("36 35 39\n", ""), "each of 36"),
        (MODEL, RANGE.replace("36 35 39", "36 39 35"), "each of 36"),
        (MODEL, RANGE.replace("36 35 39", "36 no 35"), "svm-scale"),
    ],
)
def test_files_that_are_none_are_named(tmp_path: Path, model: str, ranges: str, says: str) -> None:
    with pytest.raises(WrongFile, match=says):
        read_regression(*files(tmp_path, model, ranges))


def test_bytes_are_no_text_of_libsvms(tmp_path: Path) -> None:
    (tmp_path / "allrange").write_bytes(bytes(range(256)))
    with pytest.raises(WrongFile, match="text"):
        read_ranges(tmp_path / "allrange")


# NIQE


@pytest.mark.parametrize("spoil", [blurred, noisy])
def test_spoiled_pictures_are_less_natural(model: Pristine, spoil: object) -> None:
    for seed in (1, 2):
        clean = dead_leaves(seed, 192, 800)
        told = [niqe(clean, model), *(niqe(spoil(clean, s), model) for s in (2, 6))]  # type: ignore[operator]
        assert told == sorted(told)
        assert model.brisque_distance(clean) < model.brisque_distance(spoil(clean, 6))  # type: ignore[operator]


def test_niqe_is_the_distance_of_the_paper(model: Pristine, leaves: Pixels) -> None:
    features = patch_features(leaves, 48).features
    assert features.shape == (16, FEATURES)
    away = features.mean(0) - model.mean
    middle = (np.cov(features.T) + model.covariance) / 2
    assert niqe(leaves, model) == pytest.approx(np.sqrt(away @ np.linalg.pinv(middle) @ away), rel=1e-12)
    assert niqe(leaves, model) == niqe(leaves.copy(), model)
    ragged = np.pad(leaves, ((0, 30), (0, 7), (0, 0)))
    assert niqe(ragged, model) == niqe(leaves, model)


def test_pictures_without_statistics(model: Pristine) -> None:
    assert np.isnan(niqe(np.full((192, 192, 3), 9, np.uint8), model))
    with pytest.raises(ValueError, match="two patches of 48"):
        niqe(np.zeros((60, 90, 3), np.uint8), model)
    with pytest.raises(ValueError, match="more than that"):
        fit("few", [dead_leaves(1, 96, 100)], patch_px=48)


def test_a_model_is_kept_whole_and_in_the_same_bytes(model: Pristine, tmp_path: Path) -> None:
    one, two = tmp_path / "one.npz", tmp_path / "two.npz"
    save(model, one)
    save(load(one), two)
    assert one.read_bytes() == two.read_bytes()
    read = load(one)
    assert (read.name, read.patch_px, read.patches, read.pictures) == ("leaves", 48, model.patches, 10)
    np.testing.assert_array_equal(read.covariance, model.covariance)
    np.testing.assert_array_equal(read.brisque_mean, model.brisque_mean)


@pytest.mark.parametrize("names", [("mu_prisparam", "cov_prisparam"), ("pop_mu", "pop_cov")])
def test_published_parameters_are_read(model: Pristine, tmp_path: Path, names: tuple[str, str]) -> None:
    held = {names[0]: model.mean[None], names[1]: model.covariance}
    savemat(tmp_path / "modelparameters.mat", held)
    np.savez(tmp_path / "niqe_pris_params.npz", mu_pris_param=model.mean, cov_pris_param=model.covariance)
    for name in ("modelparameters.mat", "niqe_pris_params.npz"):
        read = load(tmp_path / name)
        np.testing.assert_array_equal(read.mean, model.mean)
        assert read.patch_px == 96
        with pytest.raises(ValueError, match="no BRISQUE features"):
            read.brisque_distance(dead_leaves(1, 96, 10))


def test_files_that_are_no_model_are_named(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    for content in (b"", b"PK\x03\x04broken", b"\x93NUMPY"):
        path.write_bytes(content)
        with pytest.raises(WrongFile, match=r"x\.npz"):
            load(path)
    np.savez(path, mean=np.zeros(3), covariance=np.zeros((3, 3)))
    with pytest.raises(WrongFile, match="36"):
        load(path)
    good = {"mean": np.zeros(36), "covariance": np.eye(36)}
    for about, further, says in (
        ('{"patch_px": 33}', {}, "33"),
        ('{"patch_px": "many"}', {}, "many"),
        ("{}", {"brisque_mean": np.zeros(2)}, "BRISQUE"),
    ):
        np.savez(path, **good, **further)
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr("about.json", about)
        with pytest.raises(WrongFile, match=says):
            load(path)
    held = io.BytesIO()
    np.save(held, np.array([{"run": "me"}], object), allow_pickle=True)
    path.write_bytes(held.getvalue())
    with pytest.raises(WrongFile, match=r"x\.npz"):
        load(path)


def test_the_bundled_models_say_what_they_are() -> None:
    photographs, drawings = bundled("photographs"), bundled("drawings")
    assert (photographs.patch_px, drawings.patch_px) == (96, 32)
    assert (photographs.pictures, drawings.pictures) == (8, 400)
    for model in (photographs, drawings):
        assert model.patches > 200
        assert np.linalg.eigvalsh(model.covariance).min() > 0
        assert niqe(dead_leaves(1, 192, 800), model) > 5  # neither photograph nor drawing
