"""StyleGAN2's generator: from z, or from w, to pictures. Names of parameters are those of the published weights."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from .filters import outer_taps, upsample
from .layers import EqualizedLinear, Noise, activated, modulated_conv
from .mapping import MappingNetwork

CLAMP = 256.0
"""Half precision: activations are held within it."""


def channels_at(resolution: int, base: int, most: int) -> int:
    """Feature maps at ``resolution`` px: half as many at each doubling."""
    return min(base // resolution, most)


def resolutions(size: int) -> list[int]:
    """4, 8 ... ``size``. Raises ValueError where that is no power of 2 from 4 on."""
    if size < 4 or size & (size - 1):
        raise ValueError(f"resolution: expected a power of 2 from 4 on, got {size}")
    return [2**i for i in range(2, size.bit_length())]


class SynthesisLayer(nn.Module):
    """Style, convolution, noise, bias, leaky ReLU: x [N,I,H,W], w [N,D] -> [N,O,H',W']."""

    noise_const: Tensor
    resample_filter: Tensor

    def __init__(
        self, in_channels: int, out_channels: int, w_dim: int, resolution: int, *, up: bool, clamp: float | None
    ) -> None:
        super().__init__()
        self.up, self.clamp = up, clamp
        self.affine = EqualizedLinear(w_dim, in_channels, bias_value=1.0)
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, 3, 3))
        self.noise_strength = nn.Parameter(torch.zeros(()))
        self.bias = nn.Parameter(torch.zeros(out_channels))
        self.register_buffer("resample_filter", outer_taps())
        self.register_buffer("noise_const", torch.randn(resolution, resolution))

    def forward(self, x: Tensor, w: Tensor, noise: Noise) -> Tensor:
        x = modulated_conv(x, self.weight, self.affine(w), up=self.up, taps=self.resample_filter)
        drawn = noise.drawn(self.noise_const, x.shape[0])
        if drawn is not None:
            x = x + (drawn * self.noise_strength).to(x.dtype)
        return activated(x, self.bias, clamp=self.clamp)


class ToRGB(nn.Module):
    """A style and a 1x1 convolution without demodulation: x [N,I,H,W], w [N,D] -> float32 [N,3,H,W]."""

    def __init__(self, in_channels: int, channels: int, w_dim: int, *, clamp: float | None) -> None:
        super().__init__()
        self.clamp = clamp
        self.affine = EqualizedLinear(w_dim, in_channels, bias_value=1.0)
        self.weight = nn.Parameter(torch.randn(channels, in_channels, 1, 1))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.style_gain = 1 / math.sqrt(in_channels)

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        y = modulated_conv(x, self.weight, self.affine(w) * self.style_gain, demodulate=False)
        y = y + self.bias.to(y.dtype)[None, :, None, None]
        return (y if self.clamp is None else y.clamp(-self.clamp, self.clamp)).float()


class SynthesisBlock(nn.Module):
    """One resolution: x and the picture so far -> both, twice as large (output skips)."""

    resample_filter: Tensor

    def __init__(
        self, in_channels: int, out_channels: int, w_dim: int, resolution: int, channels: int, *, clamp: float | None
    ) -> None:
        super().__init__()
        self.first = in_channels == 0
        self.half = False
        self.register_buffer("resample_filter", outer_taps())
        if self.first:
            self.const = nn.Parameter(torch.randn(out_channels, resolution, resolution))
        else:
            self.conv0 = SynthesisLayer(in_channels, out_channels, w_dim, resolution, up=True, clamp=clamp)
        self.conv1 = SynthesisLayer(out_channels, out_channels, w_dim, resolution, up=False, clamp=clamp)
        self.torgb = ToRGB(out_channels, channels, w_dim, clamp=clamp)
        self.num_conv = 1 if self.first else 2

    def forward(self, x: Tensor | None, image: Tensor | None, ws: list[Tensor], noise: Noise) -> tuple[Tensor, Tensor]:
        """``ws``: one w [N,D] for each convolution, and one for ToRGB."""
        dtype = torch.float16 if self.half else torch.float32
        if self.first:
            x = self.const.to(dtype)[None].expand(ws[0].shape[0], -1, -1, -1)
        else:
            assert x is not None
            x = self.conv0(x.to(dtype), ws[0], noise)
        x = self.conv1(x, ws[-2], noise)
        if image is not None:
            image = upsample(image, self.resample_filter)
        added = self.torgb(x, ws[-1])
        return x, added if image is None else image + added


class SynthesisNetwork(nn.Module):
    """w [N,num_ws,D] -> float32 [N,3,R,R] in about -1..1 (Karras et al. 2020)."""

    def __init__(
        self,
        w_dim: int,
        resolution: int,
        channels: int = 3,
        *,
        channel_base: int = 32768,
        channel_max: int = 512,
        conv_clamp: float | None = None,
    ) -> None:
        super().__init__()
        self.resolutions = resolutions(resolution)
        self.w_dim, self.resolution = w_dim, resolution
        before = 0
        for size in self.resolutions:
            width = channels_at(size, channel_base, channel_max)
            block = SynthesisBlock(before, width, w_dim, size, channels, clamp=conv_clamp)
            setattr(self, f"b{size}", block)
            before = width
        self.num_ws = 2 * len(self.resolutions)

    def blocks(self) -> list[SynthesisBlock]:
        return [getattr(self, f"b{size}") for size in self.resolutions]

    def use_half(self, count: int = 4) -> None:
        """Compute the ``count`` largest resolutions in float16, with their activations clamped."""
        for block in self.blocks()[len(self.resolutions) - count :] if count else []:
            if not block.first:
                block.half = True
                for layer in (block.conv0, block.conv1, block.torgb):
                    layer.clamp = layer.clamp or CLAMP

    def forward(self, ws: Tensor, noise: Noise | None = None) -> Tensor:
        if ws.ndim != 3 or ws.shape[1:] != (self.num_ws, self.w_dim):
            raise ValueError(f"synthesis: expected w [N,{self.num_ws},{self.w_dim}], got {list(ws.shape)}")
        noise = noise or Noise()
        x: Tensor | None = None
        image: Tensor | None = None
        place = 0
        for block in self.blocks():
            # ToRGB reads the w that the next block's first convolution reads.
            x, image = block(x, image, list(ws[:, place : place + block.num_conv + 1].unbind(1)), noise)
            place += block.num_conv
        assert image is not None
        return image


class StyleGAN2Generator(nn.Module):
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
        channel_base: int = 32768,
        channel_max: int = 512,
        conv_clamp: float | None = None,
    ) -> None:
        super().__init__()
        self.z_dim, self.c_dim, self.w_dim, self.resolution = z_dim, c_dim, w_dim, resolution
        self.synthesis = SynthesisNetwork(
            w_dim,
            resolution,
            channels,
            channel_base=channel_base,
            channel_max=channel_max,
            conv_clamp=conv_clamp,
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
