"""StyleGAN3's generators (T: translation, R: rotation too): from z, or from w, to pictures without aliasing.

Names of parameters are those of the published weights.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from .filters import low_pass, upfirdn
from .layers import GAIN, SLOPE, EqualizedLinear, Noise, modulated_conv
from .mapping import MappingNetwork


@dataclass(frozen=True)
class Geometry:
    """How the layers of a synthesis sample: Karras et al. 2021, section 3.2 and appendix C.

    Lists have one entry a layer, the last that of ToRGB. Cutoffs and rates are in cycles and samples a picture.
    """

    cutoffs: tuple[float, ...]
    half_widths: tuple[float, ...]
    rates: tuple[int, ...]
    sizes: tuple[int, ...]
    channels: tuple[int, ...]


def geometry(
    resolution: int,
    *,
    channels: int = 3,
    channel_base: int = 32768,
    channel_max: int = 512,
    layers: int = 14,
    critical: int = 2,
    first_cutoff: float = 2.0,
    first_stopband: float = 2**2.1,
    last_stopband_rel: float = 2**0.3,
    margin: int = 10,
) -> Geometry:
    """Cutoffs grow geometrically to half the resolution, where the last ``critical`` layers stay."""
    last_cutoff = resolution / 2
    last_stopband = last_cutoff * last_stopband_rel
    steps = [min(i / (layers - critical), 1.0) for i in range(layers + 1)]
    cutoffs = [first_cutoff * (last_cutoff / first_cutoff) ** step for step in steps]
    stopbands = [first_stopband * (last_stopband / first_stopband) ** step for step in steps]
    rates = [2 ** math.ceil(math.log2(min(band * 2, resolution)) - 1e-9) for band in stopbands]
    widths = [max(band, rate / 2) - cutoff for band, rate, cutoff in zip(stopbands, rates, cutoffs, strict=True)]
    sizes = [rate + 2 * margin for rate in rates]
    sizes[-2:] = [resolution] * 2
    maps = [round(min(channel_base / 2 / cutoff, channel_max)) for cutoff in cutoffs]
    maps[-1] = channels
    return Geometry(tuple(cutoffs), tuple(widths), tuple(rates), tuple(sizes), tuple(maps))


class SynthesisInput(nn.Module):
    """w [N,D] -> x [N,C,S,S]: a spatially infinite map of Fourier features, moved and turned by w.

    ``transform`` [3,3] moves and turns them once more, for all pictures.
    """

    transform: Tensor
    freqs: Tensor
    phases: Tensor

    def __init__(self, w_dim: int, channels: int, size: int, rate: float, bandwidth: float) -> None:
        super().__init__()
        self.channels, self.size, self.rate, self.bandwidth = channels, size, rate, bandwidth
        freqs = torch.randn(channels, 2)
        radius = freqs.square().sum(1, keepdim=True).sqrt()
        # Uniform over the disc of the bandwidth: the radius of a normal pair is a Rayleigh variable.
        freqs = freqs / (radius * radius.square().exp().pow(0.25)) * bandwidth
        self.weight = nn.Parameter(torch.randn(channels, channels))
        self.affine = EqualizedLinear(w_dim, 4, weight_value=0.0)
        with torch.no_grad():
            self.affine.bias.copy_(torch.tensor([1.0, 0.0, 0.0, 0.0]))
        self.register_buffer("transform", torch.eye(3))
        self.register_buffer("freqs", freqs)
        self.register_buffer("phases", torch.rand(channels) - 0.5)

    def forward(self, w: Tensor) -> Tensor:
        cos, sin, right, down = self._placed(w).unbind(1)
        zero, one = torch.zeros_like(cos), torch.ones_like(cos)
        turn = torch.stack([cos, -sin, zero, sin, cos, zero, zero, zero, one], 1).view(-1, 3, 3)
        move = torch.stack([one, zero, -right, zero, one, -down, zero, zero, one], 1).view(-1, 3, 3)
        # Moving the picture moves its coordinates the other way.
        whole = turn @ move @ self.transform
        freqs = self.freqs @ whole[:, :2, :2]  # [N,C,2]
        phases = self.phases[:, None] + self.freqs @ whole[:, :2, 2:]  # [N,C,1]
        # Turned or scaled beyond what the layer's rate can hold, a feature fades.
        beyond = (freqs.norm(dim=2) - self.bandwidth) / (self.rate / 2 - self.bandwidth)
        amplitudes = (1 - beyond).clamp(0, 1)
        side = (torch.arange(self.size, device=w.device, dtype=torch.float32) + 0.5) / self.size * 2 - 1
        side = side * (0.5 * self.size / self.rate)
        places = torch.stack(torch.meshgrid(side, side, indexing="xy"), -1)  # [S,S,(x,y)]
        waves = torch.sin((places @ freqs.transpose(1, 2)[:, None] + phases[:, None, None, :, 0]) * (2 * math.pi))
        x = waves * amplitudes[:, None, None, :]  # [N,S,S,C]
        x = x @ (self.weight / math.sqrt(self.channels)).t()
        return x.permute(0, 3, 1, 2)

    def _placed(self, w: Tensor) -> Tensor:
        """[N,4]: cosine and sine of the turn, moves to the right and down."""
        t = self.affine(w)
        return t / t[:, :2].norm(dim=1, keepdim=True)


class SynthesisLayer(nn.Module):
    """Style, convolution, filtered nonlinearity: x [N,I,S,S], w [N,D] -> [N,O,S',S']."""

    magnitude_ema: Tensor
    up_filter: Tensor | None
    down_filter: Tensor | None

    def __init__(
        self, at: Geometry, index: int, w_dim: int, *, kernel: int, radial: bool, critical: bool, clamp: float | None
    ) -> None:
        super().__init__()
        before = max(index - 1, 0)
        self.torgb = index == len(at.rates) - 1
        self.clamp = clamp
        self.half = False
        in_channels, out_channels = at.channels[before], at.channels[index]
        rate_in, rate_out = at.rates[before], at.rates[index]
        # The nonlinearity is computed at twice the higher rate, where its new frequencies fit.
        between = max(rate_in, rate_out) * (1 if self.torgb else 2)
        kernel = 1 if self.torgb else kernel
        self.affine = EqualizedLinear(w_dim, in_channels, bias_value=1.0)
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(out_channels))
        self.register_buffer("magnitude_ema", torch.ones(()))
        self.up, self.down = between // rate_in, between // rate_out
        up_taps = 6 * self.up if self.up > 1 and not self.torgb else 1
        down_taps = 6 * self.down if self.down > 1 and not self.torgb else 1
        self.register_buffer("up_filter", low_pass(up_taps, at.cutoffs[before], 2 * at.half_widths[before], between))
        down_filter = low_pass(
            down_taps, at.cutoffs[index], 2 * at.half_widths[index], between, radial=radial and not critical
        )
        self.register_buffer("down_filter", down_filter)
        self.style_gain = 1 / math.sqrt(in_channels * kernel * kernel)
        needed = (at.sizes[index] - 1) * self.down + 1 + up_taps + down_taps - 2
        padding = needed - (at.sizes[before] + kernel - 1) * self.up
        first = (padding + self.up) // 2  # half a sample of the upsampled grid keeps the centre where it is
        self.padding = (first, padding - first, first, padding - first)

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        x = x.to(torch.float16 if self.half else torch.float32)
        styles = self.affine(w)
        if self.torgb:
            styles = styles * self.style_gain
        size = self.weight.shape[-1]
        x = modulated_conv(
            x,
            self.weight,
            styles,
            demodulate=not self.torgb,
            padding=size - 1,
            gain=self.magnitude_ema.rsqrt(),
        )
        x = x + self.bias.to(x.dtype)[None, :, None, None]
        return filtered_activation(
            x,
            self.up_filter,
            self.down_filter,
            up=self.up,
            down=self.down,
            padding=self.padding,
            gain=1.0 if self.torgb else GAIN,
            slope=1.0 if self.torgb else SLOPE,
            clamp=self.clamp,
        )


def filtered_activation(
    x: Tensor,
    up_filter: Tensor | None,
    down_filter: Tensor | None,
    *,
    up: int,
    down: int,
    padding: tuple[int, int, int, int],
    gain: float,
    slope: float,
    clamp: float | None,
) -> Tensor:
    """Upsample, leaky ReLU, downsample (Karras et al. 2021, section 3.1): the nonlinearity of a signal that stands for
    a continuous one. ``padding`` is in samples of the upsampled grid. x [N,C,S,S] -> [N,C,S',S'].
    """
    one = torch.ones(1, device=x.device)
    x = upfirdn(x, one if up_filter is None else up_filter, up=up, padding=padding, gain=float(up * up))
    if slope != 1.0:
        x = functional.leaky_relu(x, slope)
    x = x * gain
    if clamp is not None:
        x = x.clamp(-clamp, clamp)
    return (
        x if down_filter is None and down == 1 else upfirdn(x, one if down_filter is None else down_filter, down=down)
    )


class SynthesisNetwork(nn.Module):
    """w [N,num_ws,D] -> float32 [N,3,R,R] in about -1..1."""

    def __init__(
        self,
        w_dim: int,
        resolution: int,
        channels: int = 3,
        *,
        channel_base: int = 32768,
        channel_max: int = 512,
        layers: int = 14,
        critical: int = 2,
        kernel: int = 3,
        radial: bool = False,
        conv_clamp: float | None = 256.0,
        output_scale: float = 0.25,
        first_cutoff: float = 2.0,
        first_stopband: float = 2**2.1,
        last_stopband_rel: float = 2**0.3,
        margin: int = 10,
    ) -> None:
        super().__init__()
        self.w_dim, self.resolution, self.output_scale = w_dim, resolution, output_scale
        self.num_ws = layers + 2
        at = geometry(
            resolution,
            channels=channels,
            channel_base=channel_base,
            channel_max=channel_max,
            layers=layers,
            critical=critical,
            first_cutoff=first_cutoff,
            first_stopband=first_stopband,
            last_stopband_rel=last_stopband_rel,
            margin=margin,
        )
        self.geometry = at
        self.input = SynthesisInput(w_dim, at.channels[0], at.sizes[0], at.rates[0], at.cutoffs[0])
        self.layer_names: list[str] = []
        for i in range(layers + 1):
            layer = SynthesisLayer(
                at, i, w_dim, kernel=kernel, radial=radial, critical=i >= layers - critical, clamp=conv_clamp
            )
            name = f"L{i}_{at.sizes[i]}_{at.channels[i]}"
            setattr(self, name, layer)
            self.layer_names.append(name)

    def use_half(self, count: int = 4) -> None:
        """Compute the layers of the ``count`` highest octaves of rates in float16."""
        for name, rate in zip(self.layer_names, self.geometry.rates, strict=True):
            getattr(self, name).half = count > 0 and rate * 2**count > self.resolution

    def forward(self, ws: Tensor, noise: Noise | None = None) -> Tensor:
        """``noise`` is taken for the sake of one interface: StyleGAN3 has none."""
        if ws.ndim != 3 or ws.shape[1:] != (self.num_ws, self.w_dim):
            raise ValueError(f"synthesis: expected w [N,{self.num_ws},{self.w_dim}], got {list(ws.shape)}")
        each = ws.float().unbind(1)
        x = self.input(each[0])
        for name, w in zip(self.layer_names, each[1:], strict=True):
            x = getattr(self, name)(x, w)
        return x.float() * self.output_scale


class StyleGAN3Generator(nn.Module):
    """z [N,z_dim] -> float32 [N,3,R,R]: ``mapping`` of two layers and ``synthesis``."""

    def __init__(
        self,
        resolution: int,
        *,
        z_dim: int = 512,
        c_dim: int = 0,
        w_dim: int = 512,
        mapping_layers: int = 2,
        channels: int = 3,
        channel_base: int = 32768,
        channel_max: int = 512,
        layers: int = 14,
        critical: int = 2,
        kernel: int = 3,
        radial: bool = False,
        conv_clamp: float | None = 256.0,
        output_scale: float = 0.25,
        first_cutoff: float = 2.0,
        first_stopband: float = 2**2.1,
        last_stopband_rel: float = 2**0.3,
        margin: int = 10,
    ) -> None:
        super().__init__()
        self.z_dim, self.c_dim, self.w_dim, self.resolution = z_dim, c_dim, w_dim, resolution
        self.synthesis = SynthesisNetwork(
            w_dim,
            resolution,
            channels,
            channel_base=channel_base,
            channel_max=channel_max,
            layers=layers,
            critical=critical,
            kernel=kernel,
            radial=radial,
            conv_clamp=conv_clamp,
            output_scale=output_scale,
            first_cutoff=first_cutoff,
            first_stopband=first_stopband,
            last_stopband_rel=last_stopband_rel,
            margin=margin,
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
