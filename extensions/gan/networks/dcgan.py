"""DCGAN (Radford, Metz, Chintala 2016): from z to pictures, and from pictures to one number each.

Names of parameters are those of the usual example implementations, ``main.0.weight`` and so on.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .stylegan2 import resolutions


def initialize(module: nn.Module) -> None:
    """Weights from N(0, 0.02), batch normalization around 1 (section 4 of the paper). For ``Module.apply``."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)


class DCGANGenerator(nn.Module):
    """z [N,z_dim] -> float32 [N,3,R,R] in -1..1: fractionally strided convolutions from 4x4 on."""

    def __init__(self, resolution: int = 64, *, z_dim: int = 100, width: int = 64, channels: int = 3) -> None:
        super().__init__()
        self.resolution, self.z_dim, self.c_dim = resolution, z_dim, 0
        doublings = len(resolutions(resolution)) - 1
        maps = width * 2 ** (doublings - 1)
        layers: list[nn.Module] = [
            nn.ConvTranspose2d(z_dim, maps, 4, 1, 0, bias=False),
            nn.BatchNorm2d(maps),
            nn.ReLU(),
        ]
        for _ in range(doublings - 1):
            layers += [nn.ConvTranspose2d(maps, maps // 2, 4, 2, 1, bias=False), nn.BatchNorm2d(maps // 2), nn.ReLU()]
            maps //= 2
        layers += [nn.ConvTranspose2d(maps, channels, 4, 2, 1, bias=False), nn.Tanh()]
        self.main = nn.Sequential(*layers)
        self.apply(initialize)

    def forward(self, z: Tensor) -> Tensor:
        images: Tensor = self.main(z.reshape(z.shape[0], self.z_dim, 1, 1))
        return images


class DCGANDiscriminator(nn.Module):
    """float32 [N,3,R,R] in -1..1 -> logits [N,1]: strided convolutions down to 4x4."""

    def __init__(self, resolution: int = 64, *, width: int = 64, channels: int = 3) -> None:
        super().__init__()
        halvings = len(resolutions(resolution)) - 1
        layers: list[nn.Module] = [nn.Conv2d(channels, width, 4, 2, 1, bias=False), nn.LeakyReLU(0.2)]
        maps = width
        for _ in range(halvings - 1):
            layers += [nn.Conv2d(maps, 2 * maps, 4, 2, 1, bias=False), nn.BatchNorm2d(2 * maps), nn.LeakyReLU(0.2)]
            maps *= 2
        layers.append(nn.Conv2d(maps, 1, 4, 1, 0, bias=False))
        self.main = nn.Sequential(*layers)
        self.apply(initialize)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.main(images)
        return torch.flatten(logits, 1)
