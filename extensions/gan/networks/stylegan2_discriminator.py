"""StyleGAN2's discriminator: from pictures to one number each, larger for what looks real."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from .filters import blur_before_down, outer_taps
from .layers import EqualizedLinear, activated
from .mapping import MappingNetwork
from .stylegan2 import channels_at, resolutions


def minibatch_stddev(x: Tensor, group: int = 4, features: int = 1) -> Tensor:
    """Append the standard deviation over groups of samples as ``features`` maps: [N,C,H,W] -> [N,C+F,H,W] (Karras et
    al. 2018, section 3). Sample n is in a group with n + N/G, n + 2 N/G ...
    """
    batch, channels, height, width = x.shape
    group = min(group, batch)
    if batch % group or channels % features:
        raise ValueError(f"minibatch_stddev: {batch} samples in groups of {group}, {channels} channels in {features}")
    y = x.float().reshape(group, -1, features, channels // features, height, width)
    deviation = (y.var(0, unbiased=False) + 1e-8).sqrt().mean((2, 3, 4))  # [N/G,F]
    maps = deviation.repeat(group, 1)[:, :, None, None].expand(-1, -1, height, width)
    return torch.cat([x, maps.to(x.dtype)], 1)


class EqualizedConv(nn.Module):
    """A convolution with weights at unit variance; ``down`` halves the size behind a low-pass."""

    resample_filter: Tensor

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        size: int,
        *,
        bias: bool = True,
        activate: bool = True,
        down: bool = False,
        clamp: float | None = None,
    ) -> None:
        super().__init__()
        self.activate, self.down, self.clamp, self.size = activate, down, clamp, size
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, size, size))
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None
        self.weight_gain = 1 / math.sqrt(in_channels * size * size)
        if down:
            self.register_buffer("resample_filter", outer_taps())

    def forward(self, x: Tensor, gain: float = 1.0) -> Tensor:
        """[N,I,H,W] -> [N,O,H,W] or half as large, times ``gain``."""
        weight = (self.weight * self.weight_gain).to(x.dtype)
        if self.down and self.size == 1:  # the places that the stride skips need no filter
            x = functional.conv2d(blur_before_down(x, self.resample_filter, 0, down=2), weight)
        elif self.down:
            x = functional.conv2d(blur_before_down(x, self.resample_filter, self.size // 2), weight, stride=2)
        else:
            x = functional.conv2d(x, weight, padding=self.size // 2)
        if self.activate:
            return activated(x, self.bias, gain=math.sqrt(2) * gain, clamp=self.clamp)
        x = x if self.bias is None else x + self.bias.to(x.dtype)[None, :, None, None]
        x = x * gain
        return x if self.clamp is None else x.clamp(-self.clamp * gain, self.clamp * gain)


class DiscriminatorBlock(nn.Module):
    """One resolution with a residual branch: [N,I,R,R] -> [N,O,R/2,R/2]."""

    def __init__(
        self, in_channels: int, middle: int, out_channels: int, image_channels: int, *, clamp: float | None
    ) -> None:
        super().__init__()
        if in_channels == 0:
            self.fromrgb = EqualizedConv(image_channels, middle, 1, clamp=clamp)
            in_channels = middle
        self.conv0 = EqualizedConv(in_channels, middle, 3, clamp=clamp)
        self.conv1 = EqualizedConv(middle, out_channels, 3, down=True, clamp=clamp)
        self.skip = EqualizedConv(in_channels, out_channels, 1, bias=False, activate=False, down=True)

    def forward(self, x: Tensor) -> Tensor:
        if hasattr(self, "fromrgb"):
            x = self.fromrgb(x)
        beside = self.skip(x, gain=math.sqrt(0.5))
        x = self.conv1(self.conv0(x), gain=math.sqrt(0.5))
        return x + beside


class DiscriminatorEpilogue(nn.Module):
    """[N,C,4,4] -> [N,1], or the projection on ``cmap`` [N,M] of a class."""

    def __init__(self, channels: int, cmap_dim: int, *, group: int, clamp: float | None) -> None:
        super().__init__()
        self.group, self.cmap_dim = group, cmap_dim
        self.conv = EqualizedConv(channels + (1 if group else 0), channels, 3, clamp=clamp)
        self.fc = EqualizedLinear(channels * 16, channels, activate=True)
        self.out = EqualizedLinear(channels, cmap_dim or 1)

    def forward(self, x: Tensor, cmap: Tensor | None) -> Tensor:
        if self.group:
            x = minibatch_stddev(x, self.group)
        x = self.out(self.fc(self.conv(x).flatten(1)))
        if cmap is None:
            return x
        return (x * cmap).sum(1, keepdim=True) / math.sqrt(self.cmap_dim)


class StyleGAN2Discriminator(nn.Module):
    """float32 [N,3,R,R] in -1..1, condition [N,c_dim] -> logits [N,1] (Karras et al. 2020, residual)."""

    def __init__(
        self,
        resolution: int,
        *,
        c_dim: int = 0,
        channels: int = 3,
        channel_base: int = 32768,
        channel_max: int = 512,
        conv_clamp: float | None = None,
        group: int = 4,
        mapping_layers: int = 8,
    ) -> None:
        super().__init__()
        self.resolution, self.c_dim = resolution, c_dim
        self.sizes = resolutions(resolution)[:0:-1]
        width = {size: channels_at(size, channel_base, channel_max) for size in resolutions(resolution)}
        for size in self.sizes:
            before = width[size] if size < resolution else 0
            block = DiscriminatorBlock(before, width[size], width[size // 2], channels, clamp=conv_clamp)
            setattr(self, f"b{size}", block)
        cmap_dim = width[4] if c_dim else 0
        if c_dim:
            self.mapping = MappingNetwork(0, c_dim, cmap_dim, 0, layers=mapping_layers)
        self.b4 = DiscriminatorEpilogue(width[4], cmap_dim, group=group, clamp=conv_clamp)

    def forward(self, images: Tensor, condition: Tensor | None = None) -> Tensor:
        if images.ndim != 4 or images.shape[-1] != self.resolution:
            raise ValueError(f"discriminator: expected [N,C,{self.resolution},{self.resolution}], got {images.shape}")
        x = images
        for size in self.sizes:
            x = getattr(self, f"b{size}")(x)
        cmap = self.mapping(None, condition) if self.c_dim else None
        logits: Tensor = self.b4(x, cmap)
        return logits
