"""What StyleGANs are made of: equalized layers, modulated convolution, noise. From activations to activations."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from .filters import upfirdn

SLOPE = 0.2
GAIN = math.sqrt(2)
"""After a leaky ReLU: keeps the second moment of a normal input."""

NoiseMode = Literal["const", "random", "none"]


def second_moment_normalized(x: Tensor) -> Tensor:
    """[N,D] -> [N,D] whose mean square is 1."""
    return x * (x.square().mean(1, keepdim=True) + 1e-8).rsqrt()


def activated(x: Tensor, bias: Tensor | None, *, gain: float = GAIN, clamp: float | None = None) -> Tensor:
    """Bias [C], leaky ReLU, ``gain``, and ``clamp`` (times the gain over sqrt 2) of x [N,C] or [N,C,H,W]."""
    if bias is not None:
        x = x + bias.to(x.dtype).reshape(1, -1, *(1,) * (x.ndim - 2))
    x = functional.leaky_relu(x, SLOPE) * gain
    return x if clamp is None else x.clamp(-clamp * gain / GAIN, clamp * gain / GAIN)


class EqualizedLinear(nn.Module):
    """[N, features_in] -> [N, features_out]; weights are kept at unit variance and scaled when used (Karras et al.
    2018, section 4.1), which with ``rate`` below 1 learns that much slower.
    """

    def __init__(
        self,
        features_in: int,
        features_out: int,
        *,
        activate: bool = False,
        bias_value: float = 0.0,
        rate: float = 1.0,
        weight_value: float = 1.0,
    ) -> None:
        super().__init__()
        self.activate = activate
        self.weight = nn.Parameter(torch.randn(features_out, features_in) * (weight_value / rate))
        self.bias = nn.Parameter(torch.full((features_out,), bias_value / rate))
        self.weight_gain = rate / math.sqrt(features_in)
        self.bias_gain = rate

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight.to(x.dtype) * self.weight_gain
        out = functional.linear(x, weight, self.bias.to(x.dtype) * self.bias_gain)
        return activated(out, None) if self.activate else out


@dataclass(frozen=True)
class Noise:
    """The noise that a synthesis adds. ``random`` draws from one generator a picture, so that a picture is the same
    alone and in a batch; ``const`` uses what the layers keep.
    """

    mode: NoiseMode = "const"
    generators: Sequence[torch.Generator] = field(default_factory=tuple)

    def drawn(self, kept: Tensor, batch: int) -> Tensor | None:
        """Of a layer that keeps float32 [H,W]: [H,W], or [batch,1,H,W]; None without noise."""
        if self.mode == "none":
            return None
        if self.mode == "const":
            return kept
        if len(self.generators) != batch:
            raise ValueError(f"random noise: expected one generator for each of {batch}, got {len(self.generators)}")
        # Generators are the processor's: one seed, one noise, whatever the device.
        rows = [torch.randn((1, *kept.shape), generator=generator) for generator in self.generators]
        return torch.stack(rows).to(kept.device, kept.dtype)


def modulated_conv(
    x: Tensor,
    weight: Tensor,
    styles: Tensor,
    *,
    demodulate: bool = True,
    up: bool = False,
    taps: Tensor | None = None,
    padding: int | None = None,
    gain: Tensor | None = None,
) -> Tensor:
    """Weight modulation and demodulation (Karras et al. 2020, section 2.2).

    x [N,I,H,W], weight [O,I,k,k], styles [N,I] -> [N,O,H',W']; with ``up`` twice as large, low-passed by ``taps``.
    ``gain`` (a scalar) scales the result. The styles multiply what goes in and the demodulation what comes out,
    which is the same as weights of its own for each sample, and takes one convolution for the whole batch.
    """
    in_channels, size = weight.shape[1:3]
    if styles.shape != (x.shape[0], in_channels) or x.shape[1] != in_channels:
        raise ValueError(
            f"modulated_conv: expected x [N,{in_channels},H,W] and styles [N,{in_channels}], "
            f"got {list(x.shape)} and {list(styles.shape)}"
        )
    weight, styles = weight.float(), styles.float()
    if demodulate and x.dtype == torch.float16:
        # The demodulation takes out any scale: small numbers do not leave what 16 bits hold.
        weight = weight / weight.abs().amax((1, 2, 3), keepdim=True)
        styles = styles / styles.abs().amax(1, keepdim=True)
        weight = weight / math.sqrt(in_channels * size * size)
    after = None
    if demodulate:
        energy = styles.square() @ weight.square().sum((2, 3)).t()  # [N,O]
        after = (energy + 1e-8).rsqrt()
    if gain is not None:
        after = gain * (torch.ones_like(styles[:, :1]) if after is None else after)
    x = x * styles.to(x.dtype)[:, :, None, None]
    weight = weight.to(x.dtype)
    if up:
        x = functional.conv_transpose2d(x, weight.transpose(0, 1), stride=2)
        assert taps is not None
        beside = taps.shape[-1] - 1 - size // 2 - (taps.shape[-1] - 2) // 2, (taps.shape[-1] - 2) // 2
        x = upfirdn(x, taps, padding=(*beside, *beside), gain=4.0)
    else:
        x = functional.conv2d(x, weight, padding=size // 2 if padding is None else padding)
    return x if after is None else x * after.to(x.dtype)[:, :, None, None]
