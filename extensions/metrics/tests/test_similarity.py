"""PSNR, SSIM and MS-SSIM: values of other programs, and what must hold for any two pictures."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter
from torch import Tensor

from extensions.metrics.pictures.similarity import WEIGHTS, ms_ssim, psnr, scales_of, ssim, ssim_map
from extensions.metrics.tests.leaves import Pixels, blurred, dead_leaves, noisy


def tensor(*pictures: Pixels) -> Tensor:
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 255


@pytest.fixture(scope="module")
def leaves() -> Pixels:
    return dead_leaves(5, 192, 800)


def test_the_numbers_of_other_programs(leaves: Pixels) -> None:
    """scikit-image 0.26 (gaussian_weights, sigma 1.5, biased variances) and pytorch-msssim 1.0, measured once.

    The latter means over channels after the product over scales, which makes the difference of 4e-6.
    """
    a, b = tensor(leaves), tensor(noisy(leaves, 12, 1))
    assert ssim(a, b).item() == pytest.approx(0.7208848887783784, abs=1e-6)
    assert psnr(a, b).item() == pytest.approx(26.568404898854894, abs=1e-5)
    assert ms_ssim(a, b).item() == pytest.approx(0.9694806010715009, abs=1e-5)


def test_ssim_is_what_its_formula_says(leaves: Pixels) -> None:
    """The formula once more, over windows of SciPy's."""
    a, b = (x.astype(np.float64) / 255 for x in (leaves, blurred(leaves, 1)))

    def mean(x: np.ndarray) -> np.ndarray:
        return np.asarray(gaussian_filter(x, (1.5, 1.5, 0), truncate=3.4))

    mu_a, mu_b = mean(a), mean(b)
    var_a, var_b, cov = mean(a * a) - mu_a**2, mean(b * b) - mu_b**2, mean(a * b) - mu_a * mu_b
    c1, c2 = 0.01**2, 0.03**2
    whole = (2 * mu_a * mu_b + c1) * (2 * cov + c2) / ((mu_a**2 + mu_b**2 + c1) * (var_a + var_b + c2))
    told = ssim_map(tensor(leaves), tensor(blurred(leaves, 1)))
    np.testing.assert_allclose(told[0].numpy(), whole[5:-5, 5:-5].mean(axis=2), atol=2e-7)


@given(st.integers(0, 10**6), st.integers(11, 40), st.integers(11, 40))
@settings(max_examples=25)
def test_laws(seed: int, height: int, width: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    a, b = (torch.rand((2, 3, height, width), generator=generator) for _ in range(2))
    assert torch.equal(ssim(a, a), torch.ones(2, dtype=torch.float64))
    assert torch.isinf(psnr(a, a)).all()
    assert torch.allclose(ssim(a, b), ssim(b, a), atol=1e-12)
    assert torch.equal(psnr(a, b), psnr(b, a))
    assert (ssim(a, b) < 1).all()
    scales = scales_of(height, width)
    assert torch.equal(ms_ssim(a, a, scales), torch.ones(2, dtype=torch.float64))
    assert torch.allclose(ms_ssim(a, b, scales), ms_ssim(b, a, scales), atol=1e-12)
    assert torch.equal(ssim(a, b), ssim(a.clone(), b.clone()))


@pytest.mark.parametrize("spoil", [blurred, noisy])
def test_worse_pictures_score_lower(leaves: Pixels, spoil: object) -> None:
    whole = tensor(leaves)
    steps = [tensor(spoil(leaves, amount)) for amount in (0.6, 1.2, 2.4, 4.8)]  # type: ignore[operator]
    for score in (ssim, ms_ssim, psnr):
        told = [score(whole, one).item() for one in steps]
        assert told == sorted(told, reverse=True)
        assert len(set(told)) == len(told)


def test_one_scale_is_ssim_and_pictures_of_a_batch_do_not_meet(leaves: Pixels) -> None:
    a, b = tensor(leaves, blurred(leaves, 2)), tensor(noisy(leaves, 20), leaves)
    assert torch.allclose(ms_ssim(a, b, 1), ssim(a, b))
    alone = torch.cat([ms_ssim(a[i : i + 1], b[i : i + 1]) for i in range(2)])
    assert torch.allclose(ms_ssim(a, b), alone, atol=1e-12)


def test_how_many_scales_a_picture_has() -> None:
    assert [scales_of(edge, 1000) for edge in (10, 11, 22, 44, 88, 175, 176, 999)] == [0, 1, 2, 3, 4, 4, 5, 5]
    assert sum(WEIGHTS) == pytest.approx(1, abs=2e-4)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (torch.zeros(1, 3, 16, 16), torch.zeros(1, 3, 16, 17)),
        (torch.zeros(3, 16, 16), torch.zeros(3, 16, 16)),
        (torch.zeros(1, 3, 16, 16, dtype=torch.uint8), torch.zeros(1, 3, 16, 16, dtype=torch.uint8)),
        (torch.zeros(1, 3, 10, 99), torch.zeros(1, 3, 10, 99)),
    ],
)
def test_what_cannot_be_compared_is_refused(a: Tensor, b: Tensor) -> None:
    with pytest.raises(ValueError, match="expected"):
        ssim(a, b)
