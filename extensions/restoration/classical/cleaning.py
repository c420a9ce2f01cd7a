"""Noise, JPEG marks, blur, fading and contrast without a network. Each takes and gives float32 [H,W,3] in 0..1."""

from __future__ import annotations

import cv2
import numpy as np

from extensions.restoration.pictures.arrays import Pixels
from extensions.restoration.pictures.colour import from_lab, to_lab
from extensions.restoration.pictures.degrading import BLUR_SIGMA_PX, NOISE_SIGMA

_ITERATIONS, _CAUTIOUS_ITERATIONS = 100, 15
"""Of deconvolution: many where the picture is blurred alone; they would make rests of noise and JPEG marks loud."""


def denoised(pixels: Pixels, strength: float) -> Pixels:
    """Non-local means (Buades, Coll and Morel 2005) for noise of the deviation that ``strength`` stands for."""
    if strength <= 0:
        return pixels
    h = NOISE_SIGMA * strength * 255 * 0.7
    bytes_ = (np.clip(pixels, 0, 1) * 255).round().astype(np.uint8)
    made = cv2.fastNlMeansDenoisingColored(bytes_, None, h, h, 5, 15)
    return made.astype(np.float32) / np.float32(255)


def deblocked(pixels: Pixels, strength: float) -> Pixels:
    """A bilateral filter (Tomasi and Manduchi 1998): steps as small as JPEG's go, edges stay."""
    if strength <= 0:
        return pixels
    return cv2.bilateralFilter(pixels, 7, 0.02 + 0.1 * strength, 2.5)


def sharpened(pixels: Pixels, strength: float, *, cleaned: bool = False) -> Pixels:
    """Richardson-Lucy deconvolution (1972, 1974) of a Gaussian as wide as ``strength`` stands for. ``cleaned``: whether
    noise or JPEG marks were taken off before.
    """
    if strength <= 0:
        return pixels
    sigma = BLUR_SIGMA_PX * strength
    seen = np.clip(pixels, 1e-3, 1)
    made = seen.copy()
    for _ in range(_CAUTIOUS_ITERATIONS if cleaned else _ITERATIONS):
        again = cv2.GaussianBlur(made, (0, 0), sigma, borderType=cv2.BORDER_REFLECT_101)
        ratio = seen / np.maximum(again, 1e-3)
        made = made * cv2.GaussianBlur(ratio, (0, 0), sigma, borderType=cv2.BORDER_REFLECT_101)
    return np.clip(made, 0, 1).astype(np.float32)


def unfaded(pixels: Pixels, strength: float) -> Pixels:
    """Each colour stretched so that its 0.5 and 99.5 per cent points become black and white."""
    low, high = (np.percentile(pixels, share, axis=(0, 1)).astype(np.float32) for share in (0.5, 99.5))
    full = np.clip((pixels - low) / np.maximum(high - low, np.float32(0.05)), 0, 1)
    return (pixels + (full - pixels) * np.float32(strength)).astype(np.float32)


def with_local_contrast(pixels: Pixels, strength: float) -> Pixels:
    """Contrast limited adaptive histogram equalization (Zuiderveld 1994) of the lightness."""
    if strength <= 0:
        return pixels
    lab = to_lab(pixels)
    light = (lab[..., 0] * 655.35).round().clip(0, 65535).astype(np.uint16)
    equal = cv2.createCLAHE(clipLimit=2.0, tileGridSize=(8, 8)).apply(light).astype(np.float32) / np.float32(655.35)
    lab[..., 0] += (equal - lab[..., 0]) * np.float32(strength)
    return from_lab(lab)
