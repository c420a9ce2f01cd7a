"""Scores of a picture against a reference that trust the pixels: PSNR, SSIM, MS-SSIM.

Tensors are float [N,3,H,W] in 0..1 and are computed in float64 (on a device that has it, else on the CPU), so that
flat parts do not drown in rounding.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

K1, K2 = 0.01, 0.03
"""Of Wang et al. 2004: they keep flat parts finite."""
WINDOW_PX, SIGMA = 11, 1.5
WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Of the five scales, from fine to coarse: table 1 of Wang, Simoncelli, Bovik 2003."""


def _pair(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Both in float64. Raises ValueError unless they are float [N,C,H,W] of one shape."""
    if a.shape != b.shape or a.ndim != 4 or not (a.is_floating_point() and b.is_floating_point()):
        raise ValueError(
            f"expected two float [N,C,H,W] of one shape, got {a.dtype} {list(a.shape)} and {b.dtype} {list(b.shape)}"
        )
    if a.device.type == "mps":  # it has no float64
        a, b = a.cpu(), b.cpu()
    return a.double(), b.double()


def psnr(a: Tensor, b: Tensor) -> Tensor:
    """Peak signal to noise ratio in dB: float64 [N], infinite for equal pictures."""
    a, b = _pair(a, b)
    return -10 * torch.log10((a - b).square().mean(dim=(1, 2, 3)))


def _gaussian() -> list[float]:
    weights = [math.exp(-((at - WINDOW_PX // 2) ** 2) / (2 * SIGMA**2)) for at in range(WINDOW_PX)]
    return [weight / sum(weights) for weight in weights]


_KERNEL = _gaussian()


def _blurred(images: Tensor) -> Tensor:
    """The Gaussian mean around each pixel whose window lies within the picture.

    Sums of shifted pictures: in float64 many times faster than a convolution, which has no fast path there.
    """
    for axis in (-1, -2):
        length = images.shape[axis] - WINDOW_PX + 1
        blurred = images.narrow(axis, 0, length) * _KERNEL[0]
        for shift, weight in enumerate(_KERNEL[1:], start=1):
            blurred.add_(images.narrow(axis, shift, length), alpha=weight)
        images = blurred
    return images


def _terms(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """SSIM and its contrast-structure part for each pixel, float64 [N,C,H-10,W-10]."""
    n = len(a)
    if min(a.shape[-2:]) < WINDOW_PX:
        raise ValueError(f"SSIM: expected at least {WINDOW_PX} x {WINDOW_PX} pixels, got {list(a.shape[-2:])}")
    means = _blurred(torch.cat([a, b, a * a, b * b, a * b]))
    mean_a, mean_b, square_a, square_b, product = means.split(n)
    both = mean_a * mean_b
    squares = mean_a.square() + mean_b.square()
    c1, c2 = K1**2, K2**2
    structure = (2 * (product - both) + c2) / (square_a + square_b - squares + c2)
    return (2 * both + c1) / (squares + c1) * structure, structure


def ssim_map(a: Tensor, b: Tensor) -> Tensor:
    """SSIM around each pixel, the mean over channels: float64 [N,H-10,W-10]."""
    return _terms(*_pair(a, b))[0].mean(dim=1)


def ssim(a: Tensor, b: Tensor) -> Tensor:
    """Structural similarity: float64 [N], 1 for equal pictures.

    Wang, Bovik, Sheikh, Simoncelli, "Image Quality Assessment: From Error Visibility to Structural Similarity", IEEE
    TIP 13(4), 2004: 11 x 11 Gaussian window of deviation 1.5, biased variances, windows within the picture, the mean
    over channels. Raises ValueError below 11 pixels.
    """
    return ssim_map(a, b).mean(dim=(1, 2))


def scales_of(height_px: int, width_px: int) -> int:
    """How many of the five scales a picture of this size has: at the last, a window must fit. 0 where none does."""
    shorter, scales = min(height_px, width_px), 0
    while shorter >= WINDOW_PX and scales < len(WEIGHTS):
        shorter, scales = shorter // 2, scales + 1
    return scales


def ms_ssim(a: Tensor, b: Tensor, scales: int = len(WEIGHTS)) -> Tensor:
    """Multi-scale structural similarity: float64 [N].

    Wang, Simoncelli, Bovik, "Multi-scale structural similarity for image quality assessment", Asilomar 2003: 2 x 2
    means between scales; contrast and structure below zero count as zero. Five scales take 176 pixels; with fewer
    ``scales`` the weights of those that are left are scaled to one again, which is another score and is to be named so.
    Raises ValueError for a picture too small.
    """
    a, b = _pair(a, b)
    if not 1 <= scales <= scales_of(*a.shape[-2:]):
        raise ValueError(
            f"MS-SSIM: expected 1 to {len(WEIGHTS)} scales that the picture has, got {scales} for {list(a.shape[-2:])}"
        )
    total = sum(WEIGHTS[:scales])
    score = torch.ones(len(a), dtype=a.dtype, device=a.device)
    for scale in range(scales):
        whole, structure = _terms(a, b)
        part = whole if scale == scales - 1 else structure
        score = score * part.mean(dim=(1, 2, 3)).clamp_min(0) ** (WEIGHTS[scale] / total)
        if scale < scales - 1:
            a, b = functional.avg_pool2d(a, 2), functional.avg_pool2d(b, 2)
    return score
