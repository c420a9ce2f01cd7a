"""StyleGAN's first generator: from z, or from w, to pictures (Karras et al. 2019)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from .filters import outer_taps, upfirdn
from .layers import EqualizedLinear, Noise, activated
from .mapping import MappingNetwork
from .stylegan2 import channels_at, resolutions

_BLUR = (1.0, 2.0, 1.0)


class Epilogue(nn.Module):
    """Noise, bias, leaky ReLU, then adaptive instance normalization: x [N,C,H,W], w [N,D] -> [N,C,H,W]."""

    noise_const: Tensor

    def __init__(self, channels: int, w_dim: int, resolution: int) -> None:
        super().__init__()
        self.noise_strength = nn.Parameter(torch.zeros(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.affine = EqualizedLinear(w_dim, 2 * channels)
        self.register_buffer("noise_const", torch.randn(resolution, resolution))

    def forward(self, x: Tensor, w: Tensor, noise: Noise) -> Tensor:
        drawn = noise.drawn(self.noise_const, x.shape[0])
        if drawn is not None:
            x = x + drawn * self.noise_strength[None, :, None, None]
        x = activated(x, self.bias, gain=1.0)
        x = functional.instance_norm(x, eps=1e-8)
        scale, offset = self.affine(w)[:, :, None, None].chunk(2, 1)
        return x * (scale + 1) + offset


class StyledConv(nn.Module):
    """A 3x3 convolution, with ``up`` on a picture twice as large and blurred, then an Epilogue."""

    blur: Tensor

    def __init__(self, in_channels: int, out_channels: int, w_dim: int, resolution: int, *, up: bool) -> None:
        super().__init__()
        self.up = up
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, 3, 3))
        self.weight_gain = math.sqrt(2 / (in_channels * 9))
        self.epilogue = Epilogue(out_channels, w_dim, resolution)
        if up:
            self.register_buffer("blur", outer_taps(_BLUR))

    def forward(self, x: Tensor, w: Tensor, noise: Noise) -> Tensor:
        if self.up:
            x = functional.interpolate(x, scale_factor=2, mode="nearest")
        x = functional.conv2d(x, self.weight * self.weight_gain, padding=1)
        if self.up:
            x = upfirdn(x, self.blur, padding=(1, 1, 1, 1))
        return self.epilogue(x, w, noise)


class SynthesisNetwork(nn.Module):
    """w [N,num_ws,D] -> float32 [N,3,R,R] in about -1..1. Grown to its last resolution: one ToRGB."""

    def __init__(
        self, w_dim: int, resolution: int, channels: int = 3, *, channel_base: int = 16384, channel_max: int = 512
    ) -> None:
        super().__init__()
        sizes = resolutions(resolution)
        self.w_dim, self.resolution, self.num_ws = w_dim, resolution, 2 * len(sizes)
        width = channels_at(4, channel_base, channel_max)
        self.const = nn.Parameter(torch.ones(width, 4, 4))
        self.first = Epilogue(width, w_dim, 4)
        layers = [StyledConv(width, width, w_dim, 4, up=False)]
        for size in sizes[1:]:
            before, width = width, channels_at(size, channel_base, channel_max)
            layers.append(StyledConv(before, width, w_dim, size, up=True))
            layers.append(StyledConv(width, width, w_dim, size, up=False))
        self.layers = nn.ModuleList(layers)
        self.torgb_weight = nn.Parameter(torch.randn(channels, width, 1, 1))
        self.torgb_bias = nn.Parameter(torch.zeros(channels))

    def forward(self, ws: Tensor, noise: Noise | None = None) -> Tensor:
        if ws.ndim != 3 or ws.shape[1:] != (self.num_ws, self.w_dim):
            raise ValueError(f"synthesis: expected w [N,{self.num_ws},{self.w_dim}], got {list(ws.shape)}")
        noise = noise or Noise()
        each = ws.unbind(1)
        x = self.first(self.const[None].expand(ws.shape[0], -1, -1, -1), each[0], noise)
        for layer, w in zip(self.layers, each[1:], strict=True):
            x = layer(x, w, noise)
        return functional.conv2d(x, self.torgb_weight / math.sqrt(x.shape[1]), self.torgb_bias)


class StyleGAN1Generator(nn.Module):
    """z [N,z_dim] -> float32 [N,3,R,R]: ``mapping`` and ``synthesis``."""

    def __init__(
        self,
        resolution: int,
        *,
        z_dim: int = 512,
        c_dim: int = 0,
        w_dim: int = 512,
        mapping_layers: int = 8,
        channels: int = 3,
        channel_base: int = 16384,
        channel_max: int = 512,
    ) -> None:
        super().__init__()
        self.z_dim, self.c_dim, self.w_dim, self.resolution = z_dim, c_dim, w_dim, resolution
        self.synthesis = SynthesisNetwork(
            w_dim, resolution, channels, channel_base=channel_base, channel_max=channel_max
        )
        self.num_ws = self.synthesis.num_ws
        self.mapping = MappingNetwork(z_dim, c_dim, w_dim, self.num_ws, layers=mapping_layers)

    def forward(
        self,
        z: Tensor,
        condition: Tensor | None = None,
        psi: float = 1.0,
        cutoff: int | None = None,
        noise: Noise | None = None,
    ) -> Tensor:
        images: Tensor = self.synthesis(self.mapping(z, condition, psi, cutoff), noise)
        return images
