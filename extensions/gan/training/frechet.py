"""Beside training: features of pictures -> the Frechet distance to those of the data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

Features = NDArray[np.float64]


@dataclass(frozen=True)
class Moments:
    """Mean [D] and covariance [D,D] in float64."""

    mean: Features
    covariance: Features

    @staticmethod
    def of(features: NDArray[np.float32]) -> Moments:
        """Of [N,D], N >= 2."""
        rows = np.asarray(features, np.float64)
        return Moments(rows.mean(0), np.atleast_2d(np.cov(rows, rowvar=False)))

    @property
    def spread(self) -> float:
        """The total variance: how different the pictures are."""
        return float(np.trace(self.covariance))


def frechet_distance(real: Moments, made: Moments) -> float:
    """|m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)) (Heusel et al. 2017): the trace of the root is that of the symmetric
    S1^(1/2) S2 S1^(1/2), whose eigenvalues are not negative.
    """
    values, vectors = linalg.eigh(real.covariance)
    root = (vectors * np.sqrt(values.clip(min=0))) @ vectors.T
    cross = np.sqrt(linalg.eigvalsh(root @ made.covariance @ root).clip(min=0)).sum()
    apart = real.mean - made.mean
    return float(apart @ apart + real.spread + made.spread - 2 * cross)
