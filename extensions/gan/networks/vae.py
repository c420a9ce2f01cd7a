"""Variational autoencoder (Kingma and Welling 2014), convolutional: pictures <-> normal latents."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from .stylegan2 import channels_at, resolutions


class ResidualBlock(nn.Module):
    """x [N,I,H,W] -> [N,O,H,W]."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(min(8, in_channels), in_channels)
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.norm2 = nn.GroupNorm(min(8, out_channels), out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        self.skip = nn.Conv2d(in_channels, out_channels, 1) if in_channels != out_channels else None

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv1(functional.silu(self.norm1(x)))
        h = self.conv2(functional.silu(self.norm2(h)))
        return h + (x if self.skip is None else self.skip(x))


class VAE(nn.Module):
    """float32 [N,3,R,R] in -1..1 <-> latents [N,z_dim]."""

    def __init__(
        self, resolution: int = 64, *, z_dim: int = 128, channel_base: int = 2048, channel_max: int = 256
    ) -> None:
        super().__init__()
        self.resolution, self.z_dim, self.c_dim = resolution, z_dim, 0
        sizes = resolutions(resolution)
        widths = [max(8, channels_at(size, channel_base, channel_max)) for size in sizes]
        self.width = widths[0]
        encoder: list[nn.Module] = [nn.Conv2d(3, widths[-1], 3, padding=1)]
        for before, after in pairwise(reversed(widths)):
            encoder += [ResidualBlock(before, after), nn.AvgPool2d(2)]
        self.encoder = nn.Sequential(*encoder, ResidualBlock(self.width, self.width), nn.SiLU(), nn.Flatten())
        self.moments = nn.Linear(self.width * 16, 2 * z_dim)
        self.start = nn.Linear(z_dim, self.width * 16)
        decoder: list[nn.Module] = [ResidualBlock(self.width, self.width)]
        for before, after in pairwise(widths):
            decoder += [nn.Upsample(scale_factor=2), ResidualBlock(before, after)]
        self.decoder = nn.Sequential(
            *decoder, nn.GroupNorm(min(8, widths[-1]), widths[-1]), nn.SiLU(), nn.Conv2d(widths[-1], 3, 3, padding=1)
        )

    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance, [N,z_dim] each."""
        mean, log_variance = self.moments(self.encoder(images)).chunk(2, 1)
        return mean, log_variance.clamp(-20, 10)

    def forward(self, z: Tensor) -> Tensor:
        """Decode latents, those of N(0, 1) too: float32 [N,3,R,R] in -1..1."""
        return torch.tanh(self.decoder(self.start(z).unflatten(1, (self.width, 4, 4))))


def divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL of N(mean, variance) from N(0, 1), [N,D] each -> [N] (appendix B of the paper)."""
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1)
