"""Gradients of training against finite differences and closed forms."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from extensions.gan.networks.layers import Noise
from extensions.gan.networks.losses import gradient_penalty, path_lengths, r1_penalty, relativistic_loss
from extensions.gan.networks.stylegan2 import StyleGAN2Generator
from extensions.gan.networks.vqgan import VQGAN


@pytest.fixture
def synthesis() -> torch.nn.Module:
    torch.manual_seed(0)
    network = StyleGAN2Generator(8, z_dim=4, w_dim=4, channel_base=32, channel_max=4).double().synthesis
    return network


def test_path_lengths_are_those_of_the_explicit_jacobian(synthesis: torch.nn.Module) -> None:
    """The definition of section 3.2: |J^T y| with J of a picture's values after each w, by central differences."""
    ws = torch.randn(1, synthesis.num_ws, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    ws.requires_grad_(True)
    images = synthesis(ws, Noise("none"))
    length = path_lengths(images, ws, torch.Generator().manual_seed(2))
    y = torch.randn(images.shape, generator=torch.Generator().manual_seed(2)).double() / 8
    rows = torch.zeros_like(ws)
    step = 2e-3  # modulation computes in 32 bits
    with torch.no_grad():
        for layer in range(ws.shape[1]):
            for axis in range(4):
                shift = torch.zeros_like(ws)
                shift[0, layer, axis] = step
                apart = synthesis(ws + shift, Noise("none")) - synthesis(ws - shift, Noise("none"))
                rows[0, layer, axis] = (apart / (2 * step) * y).sum()
    explicit = rows.square().sum(2).mean(1).sqrt()
    assert torch.allclose(length, explicit, rtol=3e-3)


def test_the_gradient_of_the_path_length_penalty_is_that_of_finite_differences(synthesis: torch.nn.Module) -> None:
    ws = torch.randn(2, synthesis.num_ws, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))

    def penalty() -> Tensor:
        points = ws.clone().requires_grad_(True)
        images = synthesis(points, Noise("none"))
        return (path_lengths(images, points, torch.Generator().manual_seed(2)) - 0.1).square().mean()

    weight = synthesis.b8.conv0.weight
    (gradient,) = torch.autograd.grad(penalty(), weight)
    for place in [(0, 0, 0, 0), (1, 2, 1, 1), (3, 1, 2, 0)]:
        values = []
        for sign in (1, -1):
            with torch.no_grad():
                weight[place] += sign * 2e-3
            values.append(float(penalty().detach()))
            with torch.no_grad():
                weight[place] -= sign * 2e-3
        assert float(gradient[place]) == pytest.approx((values[0] - values[1]) / 4e-3, rel=0.02, abs=1e-5)


def test_r1_of_a_quadratic_form_is_its_closed_form() -> None:
    """D(x) = x^T A x / 2 with A symmetric: the gradient is A x, and that of R1 with respect to A is known too."""
    torch.manual_seed(3)
    a = torch.randn(12, 12, dtype=torch.float64)
    a = ((a + a.t()) / 2).requires_grad_(True)
    x = torch.randn(5, 3, 2, 2, dtype=torch.float64, requires_grad=True)
    flat = x.flatten(1)
    value = r1_penalty(((flat @ a) * flat).sum(1, keepdim=True) / 2, x)
    moved = flat.detach() @ (a.detach() + a.detach().t()) / 2
    assert float(value.detach()) == pytest.approx(float(moved.square().sum(1).mean()))
    (gradient,) = torch.autograd.grad(value, a)
    outer = moved.t() @ flat.detach() / 5
    assert torch.allclose(gradient, outer + outer.t())


def test_the_gradient_penalty_of_a_plane_is_how_far_its_slope_is_from_one() -> None:
    slope = torch.full((3, 4, 4), 0.5, dtype=torch.float64)
    between = torch.randn(6, 3, 4, 4, dtype=torch.float64, requires_grad=True)
    logits = (between * slope).sum((1, 2, 3), keepdim=False)[:, None]
    assert float(gradient_penalty(logits, between).detach()) == pytest.approx((0.5 * math.sqrt(48) - 1) ** 2)


def test_the_relativistic_loss_knows_differences_alone() -> None:
    real, fake = torch.tensor([[2.0], [0.0]]), torch.tensor([[1.0], [3.0]])
    assert torch.allclose(relativistic_loss(fake, real), relativistic_loss(fake + 7, real + 7))
    assert float(relativistic_loss(real, real)) == pytest.approx(math.log(2))


def test_vqgan_passes_gradients_straight_through_its_codes() -> None:
    torch.manual_seed(0)
    network = VQGAN(16, widths=[8, 8], layers=1, latent_channels=4, codes=8, code_dim=4, groups=4)
    found: list[Tensor] = []
    network.model.quant_conv.register_forward_hook(lambda module, args, out: found.append(out) or out.retain_grad())
    images = torch.randn(2, 3, 16, 16)
    made, quantized = network(images)
    weight = torch.randn_like(made)
    (made * weight).sum().backward()
    values = quantized.values.detach().requires_grad_(True)
    decoded = network.model.decode(values, force_not_quantize=True).sample
    (expected,) = torch.autograd.grad((decoded * weight).sum(), values)
    assert found[0].grad is not None
    assert torch.allclose(found[0].grad, expected, atol=1e-6)
    assert expected.abs().sum() > 0
