"""Resampling and modulated convolution against the explicit forms of their definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.signal
import scipy.special
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from extensions.gan.networks.filters import low_pass, outer_taps, upfirdn, upsample
from extensions.gan.networks.layers import Noise, modulated_conv
from extensions.gan.networks.stylegan3 import filtered_activation


def explicit_fir(x: np.ndarray, taps: np.ndarray, up: int, down: int, pad: tuple[int, int, int, int]) -> np.ndarray:
    """Zeros between samples, padding, full convolution by scipy, every ``down``-th sample of the valid part."""
    rows = []
    for picture in x.reshape(-1, *x.shape[2:]):
        wide = np.zeros((picture.shape[0] * up, picture.shape[1] * up))
        wide[::up, ::up] = picture
        left, right, top, bottom = pad
        wide = np.pad(wide, ((top, bottom), (left, right)))
        rows.append(scipy.signal.convolve2d(wide, taps, mode="valid")[::down, ::down])
    return np.stack(rows).reshape(*x.shape[:2], *rows[0].shape)


@settings(max_examples=40, deadline=None)
@given(
    up=st.integers(1, 4),
    down=st.integers(1, 3),
    size=st.integers(3, 7),
    taps=st.integers(1, 6),
    separable=st.booleans(),
    pad=st.tuples(*[st.integers(0, 4)] * 4),
    seed=st.integers(0, 99),
)
def test_upfirdn_is_the_explicit_filter(
    up: int, down: int, size: int, taps: int, separable: bool, pad: tuple[int, int, int, int], seed: int
) -> None:
    if min(size * up + pad[0] + pad[1], size * up + pad[2] + pad[3]) < taps:
        return
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn((2, 3, size, size), generator=generator, dtype=torch.float64)
    row = torch.randn(taps, generator=generator, dtype=torch.float64)
    square = torch.outer(row, row) if separable else torch.randn((taps, taps), generator=generator, dtype=torch.float64)
    found = upfirdn(x, row if separable else square, up=up, down=down, padding=pad, gain=2.0)
    expected = explicit_fir(x.numpy(), 2.0 * square.numpy(), up, down, pad)
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-10)


def test_upsampling_keeps_a_constant_and_the_mean() -> None:
    flat = torch.full((1, 1, 8, 8), 3.0)
    found = upsample(flat, outer_taps())
    assert found.shape == (1, 1, 16, 16)
    torch.testing.assert_close(found[:, :, 2:-2, 2:-2], torch.full((1, 1, 12, 12), 3.0))


@pytest.mark.parametrize(("taps", "cutoff", "width", "rate"), [(12, 2.0, 1.2, 32), (24, 7.3, 5.0, 128), (6, 3, 9, 16)])
def test_low_pass_is_the_windowed_sinc_of_scipy(taps: int, cutoff: float, width: float, rate: float) -> None:
    found = low_pass(taps, cutoff, width, rate)
    expected = scipy.signal.firwin(taps, cutoff, width=width, fs=rate)
    assert found is not None
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-6)


def test_radial_low_pass_is_the_jinc_of_the_paper() -> None:
    taps, cutoff, width, rate = 12, 2.0, 4.0, 32
    found = low_pass(taps, cutoff, width, rate, radial=True)
    places = (np.arange(taps) - (taps - 1) / 2) / rate
    radius = np.hypot(*np.meshgrid(places, places))
    beta = scipy.signal.kaiser_beta(scipy.signal.kaiser_atten(taps, width / (rate / 2)))
    window = np.kaiser(taps, beta)
    expected = scipy.special.j1(2 * cutoff * np.pi * radius) / (np.pi * radius) * np.outer(window, window)
    assert found is not None
    np.testing.assert_allclose(found.numpy(), expected / expected.sum(), atol=1e-7)


def explicit_modulation(
    x: torch.Tensor, weight: torch.Tensor, styles: torch.Tensor, demodulate: bool, up: bool
) -> torch.Tensor:
    """Equations 1 and 3 of the paper, sample by sample, with a weight for each."""
    rows = []
    for one, style in zip(x, styles, strict=True):
        own = weight * style[None, :, None, None]
        if demodulate:
            own = own / torch.sqrt(own.square().sum((1, 2, 3), keepdim=True) + 1e-8)
        if up:
            wide = torch.zeros(1, x.shape[1], 2 * x.shape[2], 2 * x.shape[3], dtype=x.dtype)
            wide[:, :, ::2, ::2] = one
            # A true convolution of the zero-filled map, one sample larger on both sides, then the blur.
            full = functional.conv2d(wide, own.flip((2, 3)), padding=2)[:, :, :-1, :-1]
            taps = 4 * outer_taps().to(x.dtype)
            blurred = functional.conv2d(
                functional.pad(full, (1, 1, 1, 1)), taps[None, None].repeat(len(own), 1, 1, 1), groups=len(own)
            )
            rows.append(blurred)
        else:
            rows.append(functional.conv2d(one[None], own, padding=weight.shape[-1] // 2))
    return torch.cat(rows)


@pytest.mark.parametrize("demodulate", [True, False])
@pytest.mark.parametrize("up", [True, False])
def test_modulated_convolution_is_one_weight_a_sample(demodulate: bool, up: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn((3, 6, 5, 5), generator=generator)
    weight = torch.randn((4, 6, 3, 3), generator=generator)
    styles = 1 + torch.randn((3, 6), generator=generator)
    found = modulated_conv(x, weight, styles, demodulate=demodulate, up=up, taps=outer_taps())
    torch.testing.assert_close(found, explicit_modulation(x, weight, styles, demodulate, up), atol=2e-5, rtol=1e-4)


def test_modulated_convolution_in_half_precision_is_near_that_in_full() -> None:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn((2, 32, 8, 8), generator=generator)
    weight = 300 * torch.randn((16, 32, 3, 3), generator=generator)  # would leave float16 without its normalization
    styles = 300 * (1 + torch.randn((2, 32), generator=generator))
    whole = modulated_conv(x, weight, styles)
    half = modulated_conv(x.half(), weight, styles)
    assert half.dtype == torch.float16
    assert torch.isfinite(half).all()
    assert float((half.float() - whole).abs().max()) < 0.02 * float(whole.abs().max())


def test_noise_of_a_picture_is_its_own_in_any_batch() -> None:
    kept = torch.zeros(4, 4)
    together = Noise("random", [torch.Generator().manual_seed(seed) for seed in (5, 6)]).drawn(kept, 2)
    alone = Noise("random", [torch.Generator().manual_seed(6)]).drawn(kept, 1)
    assert together is not None
    assert alone is not None
    assert torch.equal(together[1:], alone)
    with pytest.raises(ValueError, match="one generator for each of 2"):
        Noise("random", []).drawn(kept, 2)


@pytest.mark.parametrize(("up", "down", "radial"), [(2, 2, False), (4, 2, False), (2, 4, True)])
def test_filtered_nonlinearity_is_up_activate_down(up: int, down: int, radial: bool) -> None:
    x = torch.randn((2, 3, 12, 12), generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    fu = low_pass(6 * up, 2.0, 3.0, 16)
    fd = low_pass(6 * down, 2.0, 3.0, 16, radial=radial)
    assert fu is not None
    assert fd is not None
    fu, fd = fu.double(), fd.double()
    padding = (7, 8, 7, 8)
    found = filtered_activation(x, fu, fd, up=up, down=down, padding=padding, gain=1.5, slope=0.2, clamp=2.0)
    wide = explicit_fir(x.numpy(), up * up * np.outer(fu, fu), up, 1, padding)
    bent = np.clip(1.5 * np.where(wide < 0, 0.2 * wide, wide), -2.0, 2.0)
    expected = explicit_fir(bent, fd.numpy() if radial else np.outer(fd, fd), 1, down, (0, 0, 0, 0))
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-9)
    assert math.isclose(float(fu.sum()), 1.0, abs_tol=1e-6)
