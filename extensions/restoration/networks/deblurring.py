"""Beside ``own``: blur undone by the network that removes noise, as the prior of a deconvolution (Zhang et al. 2021,
"Plug-and-Play Image Restoration with Deep Denoiser Prior", section 4: half-quadratic splitting).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import nn

from extensions.restoration.pictures.arrays import Pixels
from extensions.restoration.pictures.degrading import BLUR_SIGMA_PX, NOISE_SIGMA

from .own import restored
from .tiles import Progress

_ROUNDS = 8
_TRUST = 0.23
"""The paper's lambda: how much the prior counts."""
_ROUNDED, _CLEANED = 0.003, 0.015
"""Standard deviations: what rounding to 8 bits and small errors leave, and what the removal of noise does."""
_START_ROUNDED, _START_CLEANED = 0.15, 0.06
"""Of the noise that the first round removes; a cleaned picture is near its end already."""


def deblurred(
    network: nn.Module, pixels: Pixels, strength: float, *, cleaned: bool, tile: int, progress: Progress
) -> Pixels:
    """float32 [H,W,3] in 0..1 without a Gaussian blur as wide as ``strength`` stands for. ``network``: the one of
    ``own.restored``. ``cleaned``: whether noise or JPEG marks were taken off before, whose rests must not be sharpened.
    """
    if strength <= 0:
        return pixels
    sigma_px = BLUR_SIGMA_PX * strength
    noise, start = (_CLEANED, _START_CLEANED) if cleaned else (_ROUNDED, _START_ROUNDED)
    wide = 4 * round(sigma_px) + 8
    pads = [min(wide, side - 1) for side in pixels.shape[:2]]
    seen = np.pad(pixels, [(pads[0], pads[0]), (pads[1], pads[1]), (0, 0)], mode="reflect")
    height, width = seen.shape[:2]
    blur = _transfer((height, width), sigma_px)[..., None]
    target = blur * np.fft.rfft2(seen, axes=(0, 1))
    made = seen
    for number, deviation in enumerate(np.geomspace(start, noise, _ROUNDS)):
        weight = np.float32(_TRUST * noise**2 / deviation**2)
        # Equation 6a: what blurs to the picture and is near the last round's.
        spectrum = (target + weight * np.fft.rfft2(made, axes=(0, 1))) / (blur * blur + weight)
        nearer = np.fft.irfft2(spectrum, s=(height, width), axes=(0, 1)).astype(np.float32)

        def tell(done: int, total: int, number: int = number) -> None:
            progress(number * total + done, _ROUNDS * total)

        # Equation 6b: without noise of that deviation.
        made = restored(network, nearer, (min(1.0, float(deviation) / NOISE_SIGMA), 0.0), tile, tell)
    return made[pads[0] : height - pads[0], pads[1] : width - pads[1]]


def _transfer(shape: tuple[int, int], sigma_px: float) -> NDArray[np.float32]:
    """What a Gaussian leaves of each frequency of ``numpy.fft.rfft2``, float32 [H,W//2+1]."""
    rows, columns = np.fft.fftfreq(shape[0])[:, None], np.fft.rfftfreq(shape[1])[None]
    passed: NDArray[np.float32] = np.exp(-2 * (np.pi * sigma_px) ** 2 * (rows**2 + columns**2)).astype(np.float32)
    return passed
