"""BRISQUE: a picture -> 36 features -> a score by a support vector regression that the user names.

Mittal, Moorthy, Bovik, "No-Reference Image Quality Assessment in the Spatial Domain", IEEE TIP 21(12), 2012. The
published model is a libsvm file (``allmodel``) with the ranges of its features (``allrange``); both are text, and are
read here as data.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .errors import WrongFile
from .scene_statistics import SHIFTS, Array, fit_asymmetric, fit_symmetric, grey, halve, neighbour_products, normalise

FEATURES = 36
SMALLEST_PX = 16
"""The shorter edge of a picture that has statistics at both scales."""
_MOST_BYTES = 64 * 2**20


def brisque_features(rgb: NDArray[np.uint8]) -> Array:
    """uint8 [H,W,3] -> float64 [36]: 18 at the picture's scale and 18 at half of it, in the order of the paper's table.

    NaN for a picture that is flat. Raises ValueError for one with an edge below 16 pixels.
    """
    if min(rgb.shape[:2]) < SMALLEST_PX:
        raise ValueError(f"BRISQUE: expected at least {SMALLEST_PX} x {SMALLEST_PX} pixels, got {rgb.shape[:2]}")
    picture = grey(rgb)
    return np.concatenate([_features_at(picture), _features_at(halve(picture))])


def _features_at(picture: Array) -> Array:
    mscn = normalise(picture, "constant").mscn
    shape, variance = fit_symmetric(mscn.reshape(1, -1))
    features = [shape[0], variance[0]]
    for shift in SHIFTS:
        fit = fit_asymmetric(neighbour_products(mscn, shift).reshape(1, -1))
        features += [fit.shape[0], fit.mean[0], fit.left[0] ** 2, fit.right[0] ** 2]
    return np.array(features)


@dataclass(frozen=True)
class Ranges:
    """How svm-scale scales features: linearly from ``low``..``high`` [36] to ``lower``..``upper``."""

    lower: float
    upper: float
    low: Array
    high: Array

    def scaled(self, features: Array) -> Array:
        """float64 [36] -> float64 [36]; what lies beyond the range stays beyond it, as svm-scale leaves it."""
        share = (features - self.low) / (self.high - self.low)
        return self.lower + (self.upper - self.lower) * share


@dataclass(frozen=True)
class Regression:
    """A support vector regression with a Gaussian kernel: sum of ``weights`` exp(-gamma |x - sv|^2), less ``rho``."""

    gamma: float
    rho: float
    weights: Array
    """float64 [S]."""
    vectors: Array
    """float64 [S,36]."""
    ranges: Ranges

    def score(self, features: Array) -> float:
        """float64 [36] -> the score: with the published model about 0 (pristine) to 100 (badly distorted)."""
        distance = ((self.vectors - self.ranges.scaled(features)) ** 2).sum(axis=1)
        return float(self.weights @ np.exp(-self.gamma * distance) - self.rho)


def read_regression(model: Path, ranges: Path) -> Regression:
    """A libsvm model file and a range file of svm-scale. Raises WrongFile, OSError."""
    head, rows = _model_parts(_text(model), model)
    if head.get("svm_type") not in ("epsilon_svr", "nu_svr") or head.get("kernel_type") != "rbf":
        raise WrongFile(
            f"{model.name}: expected a support vector regression with an rbf kernel, got "
            f"{head.get('svm_type', 'no svm_type')} with {head.get('kernel_type', 'no kernel')}"
        )
    try:
        gamma, rho = float(head["gamma"]), float(head["rho"])
        weights = np.array([float(row[0]) for row in rows])
        vectors = np.zeros((len(rows), FEATURES))
        for place, row in enumerate(rows):
            for pair in row[1:]:
                index, _, value = pair.partition(":")
                vectors[place, _place(index)] = float(value)
    except (KeyError, ValueError, IndexError) as error:
        raise WrongFile(f"{model.name}: not a libsvm model of {FEATURES} features: {error}") from None
    if not len(rows):
        raise WrongFile(f"{model.name}: it has no support vectors")
    return Regression(gamma, rho, weights, vectors, read_ranges(ranges))


def read_ranges(path: Path) -> Ranges:
    """A range file of svm-scale: ``x``, the target range, then ``index low high`` a line. Raises WrongFile, OSError."""
    lines = [line.split() for line in _text(path).splitlines() if line.strip()]
    try:
        if lines[0] != ["x"]:
            raise ValueError("its first line is not 'x'")
        lower, upper = (float(value) for value in lines[1])
        low, high = np.full(FEATURES, np.nan), np.full(FEATURES, np.nan)
        for index, least, most in lines[2:]:
            low[_place(index)], high[_place(index)] = float(least), float(most)
    except (ValueError, IndexError) as error:
        raise WrongFile(f"{path.name}: not a range file of svm-scale: {error}") from None
    if not (high > low).all():
        raise WrongFile(f"{path.name}: expected a range for each of {FEATURES} features")
    return Ranges(lower, upper, low, high)


def _model_parts(text: str, path: Path) -> tuple[dict[str, str], list[list[str]]]:
    head: dict[str, str] = {}
    lines = text.splitlines()
    for number, line in enumerate(lines):
        if line.strip() == "SV":
            return head, [row.split() for row in lines[number + 1 :] if row.strip()]
        name, _, value = line.strip().partition(" ")
        head[name] = value
    raise WrongFile(f"{path.name}: not a libsvm model: it has no line 'SV'")


def _place(index: str) -> int:
    """libsvm counts features from 1."""
    place = int(index) - 1
    if not 0 <= place < FEATURES:
        raise ValueError(f"feature {index} of {FEATURES}")
    return place


def _text(path: Path) -> str:
    if path.stat().st_size > _MOST_BYTES:
        raise WrongFile(f"{path.name}: larger than {_MOST_BYTES // 2**20} MiB, so no file of libsvm's for BRISQUE")
    try:
        return path.read_text(encoding="ascii")
    except UnicodeDecodeError:
        raise WrongFile(f"{path.name}: not a text file of libsvm") from None
