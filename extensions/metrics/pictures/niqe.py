"""NIQE: a picture -> the distance of its natural scene statistics from those of pristine pictures.

Mittal, Soundararajan, Bovik, "Making a 'Completely Blind' Image Quality Analyzer", IEEE Signal Processing Letters
20(3), 2013. Smaller is more natural; numbers of different pristine models do not compare.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .patches import patch_features
from .pristine import Pristine


def niqe(rgb: NDArray[np.uint8], model: Pristine) -> float:
    """uint8 [H,W,3] -> NIQE against ``model``: equation 10 of the paper. NaN where fewer than two patches have
    statistics, as in a flat picture. Raises ValueError for a picture that is too small.
    """
    height, width = rgb.shape[:2]
    if (height // model.patch_px) * (width // model.patch_px) < 2:
        raise ValueError(
            f"NIQE: expected at least two patches of {model.patch_px} pixels, got a picture of {width} x {height}"
        )
    features = patch_features(rgb, model.patch_px).features
    features = features[np.isfinite(features).all(axis=1)]
    if len(features) < 2:
        return float("nan")
    away = features.mean(axis=0) - model.mean
    spread = (np.cov(features, rowvar=False) + model.covariance) / 2
    return float(np.sqrt(away @ np.linalg.pinv(spread) @ away))
