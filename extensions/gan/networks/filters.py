"""FIR filters on pictures: the resampling under every StyleGAN. From a signal and taps to a signal."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

Padding = tuple[int, int, int, int]
"""Left, right, top, bottom, in pixels; negative crops."""

BINOMIAL = (1.0, 3.0, 3.0, 1.0)
"""The low-pass of StyleGAN2."""


def outer_taps(taps: tuple[float, ...] = BINOMIAL) -> Tensor:
    """float32 [k,k]: the outer product of ``taps`` with itself, of sum 1."""
    row = torch.tensor(taps, dtype=torch.float32)
    square = torch.outer(row, row)
    return square / square.sum()


def upfirdn(
    x: Tensor, taps: Tensor, *, up: int = 1, down: int = 1, padding: Padding = (0, 0, 0, 0), gain: float = 1.0
) -> Tensor:
    """Zeros between the samples, padding, convolution with ``taps``, every ``down``-th sample; all channels alike.

    x [N,C,H,W], taps [k] (separable) or [k,k], -> [N,C,H',W'] with H' = ceil((H*up + padding - k + 1) / down).
    The taps are scaled by ``gain`` (of the picture, so each axis of a separable filter takes its root).
    """
    if taps.ndim == 1:
        along = taps * math.sqrt(gain)
        left, right, top, bottom = padding
        x = _one(x, along[None, :], (1, up), (1, down), (left, right, 0, 0))
        return _one(x, along[:, None], (up, 1), (down, 1), (0, 0, top, bottom))
    return _one(x, taps * gain, (up, up), (down, down), padding)


def _one(x: Tensor, taps: Tensor, up: tuple[int, int], down: tuple[int, int], padding: Padding) -> Tensor:
    """One two-dimensional filter, taps [kh,kw]; ``up`` and ``down`` are of the vertical and the horizontal axis."""
    channels = x.shape[1]
    height, width = taps.shape
    kernel = taps.to(x.dtype)[None, None].expand(channels, 1, height, width)
    left, right, top, bottom = padding
    if up == (1, 1):
        if (height, width) != (1, 1) or any(padding):
            x = functional.pad(x, (left, right, top, bottom))
        return functional.conv2d(x, kernel.flip((2, 3)), stride=down, groups=channels)
    # A transposed convolution is the convolution of the zero-filled signal, without multiplying the zeros; it gives
    # the full one, of which the padding keeps a part.
    full = functional.conv_transpose2d(x, kernel, stride=up, groups=channels)
    x = functional.pad(
        full,
        (
            left - width + 1,
            right - width + up[1],  # the zeros behind the last sample are not in the full convolution
            top - height + 1,
            bottom - height + up[0],
        ),
    )
    return x if down == (1, 1) else x[:, :, :: down[0], :: down[1]]


def upsample(x: Tensor, taps: Tensor, padding: int = 0) -> Tensor:
    """Twice as large, x [N,C,H,W], taps [k,k]: StyleGAN2's upsampling of pictures and features."""
    size = taps.shape[-1]
    before, after = padding + (size + 1) // 2, padding + (size - 2) // 2
    return upfirdn(x, taps, up=2, padding=(before, after, before, after), gain=4.0)


def blur_before_down(x: Tensor, taps: Tensor, padding: int, *, down: int = 1) -> Tensor:
    """The low-pass in front of a convolution of stride 2 with ``padding`` of its own; ``down`` 2 keeps every second."""
    size = taps.shape[-1]
    before, after = padding + (size - 1) // 2, padding + (size - 2) // 2
    return upfirdn(x, taps, down=down, padding=(before, after, before, after))


def kaiser_beta(taps: int, width: float) -> float:
    """Kaiser's shape parameter for ``taps`` taps and a transition as wide as ``width`` of Nyquist's frequency (Kaiser
    and Schafer 1980).
    """
    attenuation = 2.285 * (taps - 1) * math.pi * width + 7.95
    if attenuation > 50:
        return 0.1102 * (attenuation - 8.7)
    if attenuation > 21:
        return 0.5842 * (attenuation - 21) ** 0.4 + 0.07886 * (attenuation - 21)
    return 0.0


def low_pass(taps: int, cutoff: float, width: float, rate: float, *, radial: bool = False) -> Tensor | None:
    """A windowed low-pass (Karras et al. 2021, appendix C): float32 [taps], or [taps,taps] where ``radial``.

    ``cutoff`` and the width of the transition are in the unit of the sampling ``rate``. One tap is no filter: None.
    """
    if taps == 1:
        return None
    beta = kaiser_beta(taps, width / (rate / 2))
    window = torch.kaiser_window(taps, periodic=False, beta=beta, dtype=torch.float64)
    places = (torch.arange(taps, dtype=torch.float64) - (taps - 1) / 2) / rate
    if not radial:
        row = torch.sinc(2 * cutoff * places) * window
        return (row / row.sum()).float()
    radius = torch.hypot(places[:, None], places[None, :])
    # The two-dimensional sinc: its spectrum is a disc. At the centre, where no even filter has a tap, the limit.
    disc = torch.where(
        radius > 0,
        torch.special.bessel_j1(2 * cutoff * math.pi * radius) / (math.pi * radius.clamp(min=1e-12)),
        torch.full_like(radius, cutoff),
    )
    square = disc * torch.outer(window, window)
    return (square / square.sum()).float()
