"""Projection of a picture into W or W+: the point whose picture is nearest (Karras et al. 2020, appendix D)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from extensions.gan.networks.layers import Noise

from .generator import Generator, seeded

_SAMPLES = 10_000
_RATE = 0.1
_NOISE_WEIGHT = 1e5
_DISTURBANCE = 0.05
"""Of w in the beginning, in standard deviations of w."""

Distance = Callable[[Tensor], Tensor]
"""Pictures float32 [1,3,R,R] in -1..1 -> how far from the wanted one, a scalar with gradient."""


@dataclass(frozen=True)
class GivenNoise(Noise):
    """Noise maps that are optimized, by the layer that they stand in for."""

    maps: Mapping[int, Tensor] = ()  # type: ignore[assignment]

    def drawn(self, kept: Tensor, batch: int) -> Tensor | None:
        return self.maps[id(kept)]


def rate_at(step: int, steps: int) -> float:
    """The learning rate: up over the first 5 %, down along a cosine over the last quarter."""
    t = step / steps
    down = 0.5 - 0.5 * math.cos(math.pi * min(1.0, (1 - t) / 0.25))
    return _RATE * down * min(1.0, t / 0.05)


def noise_regularization(maps: Sequence[Tensor]) -> Tensor:
    """How much the noise maps hold of the picture: the correlation of neighbours at every scale down to 8 px."""
    total = torch.zeros((), device=maps[0].device)
    for noise in maps:
        x = noise[None, None]
        while True:
            for axis in (2, 3):
                total = total + (x * x.roll(1, axis)).mean().square()
            if x.shape[-1] <= 8:
                break
            x = functional.avg_pool2d(x, 2)
    return total


def project(
    generator: Generator,
    distance: Distance,
    *,
    steps: int,
    each_layer: bool,
    optimize_noise: bool,
    seed: int,
    start: Tensor | None = None,
    report: Callable[[int, float, Tensor], None] = lambda step, loss, picture: None,
) -> tuple[Tensor, Tensor, float]:
    """(point [1,L,D], its picture [1,3,R,R], its distance). ``each_layer``: W+, a w for each layer; else one for all.

    ``report(step, loss, picture)`` hears of each step, and may raise.
    """
    network = generator.network
    with torch.inference_mode(False), torch.enable_grad():
        mean, deviation = spread(generator)
        rows = generator.layers if each_layer else 1
        first = mean if start is None else start.to(mean)
        w = first.expand(1, rows, mean.shape[-1]).clone().requires_grad_(True)
        maps = _maps(network) if optimize_noise else {}
        free = [tensor for tensor in maps.values() if tensor.shape[-1] >= 8]
        optimizer = torch.optim.Adam([w, *free], betas=(0.9, 0.999))
        noise: Noise = GivenNoise("const", maps=maps) if maps else Noise()
        random = seeded(seed)
        for step in range(steps):
            for group in optimizer.param_groups:
                group["lr"] = rate_at(step, steps)
            strength = deviation * _DISTURBANCE * max(0.0, 1 - step / steps / 0.75) ** 2
            moved = w + torch.randn(w.shape, generator=random).to(w) * strength
            picture = generator.pictures(moved.expand(1, generator.layers, -1), noise=noise)
            loss = distance(picture)
            total = loss + _NOISE_WEIGHT * noise_regularization(free) if free else loss
            optimizer.zero_grad(set_to_none=True)
            total.backward()
            optimizer.step()
            with torch.no_grad():
                for tensor in free:
                    tensor.sub_(tensor.mean()).div_(tensor.std(unbiased=False).clamp(min=1e-8))
            report(step + 1, float(loss.detach()), picture.detach())
        with torch.no_grad():
            point = w.detach().expand(1, generator.layers, -1).contiguous()
            picture = generator.pictures(point, noise=noise)
            return point, picture, float(distance(picture))


@torch.no_grad()
def spread(generator: Generator) -> tuple[Tensor, float]:
    """The mean of w [D] and its standard deviation as one number, over 10,000 points."""
    z = generator.draw(_SAMPLES, seeded(0))
    condition = generator.condition([None] * _SAMPLES, range(_SAMPLES))
    ws = generator.points(z, condition)[:, 0]
    mean = ws.mean(0)
    return mean, float((ws - mean).square().sum(1).mean().sqrt())


def _maps(network: torch.nn.Module) -> dict[int, Tensor]:
    """A copy of every noise map, by the identity of the layer's own."""
    found = {}
    for name, kept in network.named_buffers():
        if name.endswith("noise_const"):
            found[id(kept)] = kept.detach().clone().requires_grad_(kept.shape[-1] >= 8)
    return found


def layered_distance(layers: Callable[[Tensor], Sequence[Tensor]], wanted: Tensor, pixels: float) -> Distance:
    """Perceptual distance of a network's layers, each normalized over channels (Zhang et al. 2018), plus ``pixels``
    times the mean squared difference. ``wanted``: float32 [1,3,R,R] in -1..1.
    """
    target = [_normalized(layer).detach() for layer in layers(wanted)]

    def distance(picture: Tensor) -> Tensor:
        found = [_normalized(layer) for layer in layers(picture)]
        total = sum((a - b).square().sum(1).mean() for a, b in zip(found, target, strict=True))
        return total + pixels * functional.mse_loss(picture, wanted)

    return distance


def _normalized(layer: Tensor) -> Tensor:
    return layer / (layer.square().sum(1, keepdim=True).sqrt() + 1e-10)
