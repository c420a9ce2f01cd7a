"""BigGAN (Brock, Donahue, Simonyan 2019): from z and a class to pictures, and the projection discriminator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from .attention import SelfAttention


@dataclass(frozen=True)
class Widths:
    """Feature maps in units of the width: what enters and leaves each block of the generator, from 4x4 on."""

    into: tuple[int, ...]
    out: tuple[int, ...]


WIDTHS: Mapping[int, Widths] = {
    32: Widths((4, 4, 4), (4, 4, 4)),
    64: Widths((16, 16, 8, 4), (16, 8, 4, 2)),
    128: Widths((16, 16, 8, 4, 2), (16, 8, 4, 2, 1)),
    256: Widths((16, 16, 8, 8, 4, 2), (16, 8, 8, 4, 2, 1)),
    512: Widths((16, 16, 8, 8, 4, 2, 1), (16, 8, 8, 4, 2, 1, 1)),
}
"""Of the paper's appendix B, and the usual ones for small pictures."""


def widths_for(resolution: int) -> Widths:
    """Raises ValueError for a size that BigGAN has no architecture of."""
    if resolution not in WIDTHS:
        raise ValueError(f"BigGAN: expected a resolution of {', '.join(map(str, WIDTHS))}, got {resolution}")
    return WIDTHS[resolution]


class ConditionalBatchNorm(nn.Module):
    """x [N,C,H,W], condition [N,D] -> [N,C,H,W]: batch normalization whose gain and bias are linear in a condition."""

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int, condition_dim: int, *, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        self.gain = nn.Linear(condition_dim, channels, bias=False)
        self.bias = nn.Linear(condition_dim, channels, bias=False)
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        x = functional.batch_norm(x, self.running_mean, self.running_var, None, None, self.training, 0.1, self.eps)
        return x * (1 + self.gain(condition))[:, :, None, None] + self.bias(condition)[:, :, None, None]


class GeneratorBlock(nn.Module):
    """x [N,I,H,W], condition [N,D] -> [N,O,2H,2W], residual."""

    def __init__(self, in_channels: int, out_channels: int, condition_dim: int) -> None:
        super().__init__()
        self.bn1 = ConditionalBatchNorm(in_channels, condition_dim)
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.bn2 = ConditionalBatchNorm(out_channels, condition_dim)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        self.conv_sc = nn.Conv2d(in_channels, out_channels, 1)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        h = functional.interpolate(functional.relu(self.bn1(x, condition)), scale_factor=2)
        h = self.conv1(h)
        h = self.conv2(functional.relu(self.bn2(h, condition)))
        # A 1x1 convolution and nearest upsampling may change places; this order has a quarter of the work.
        return h + functional.interpolate(self.conv_sc(x), scale_factor=2)


class BigGANGenerator(nn.Module):
    """z [N,z_dim], condition [N,classes] (one-hot, or a mixture) -> float32 [N,3,R,R] in -1..1.

    z is split: the first part makes the 4x4 map, each other joins the class in one block's normalizations.
    """

    def __init__(
        self,
        resolution: int = 128,
        *,
        width: int = 96,
        z_dim: int = 120,
        classes: int = 1000,
        shared_dim: int = 128,
        attention: int = 64,
        channels: int = 3,
    ) -> None:
        super().__init__()
        plan = widths_for(resolution)
        self.resolution, self.c_dim = resolution, classes
        self.parts = len(plan.into) + 1
        part = z_dim // self.parts
        self.z_dim = part * self.parts
        self.part = part
        self.shared = nn.Embedding(classes, shared_dim)
        self.linear = nn.Linear(part, plan.into[0] * width * 16)
        self.blocks = nn.ModuleList()
        size = 4
        for into, out in zip(plan.into, plan.out, strict=True):
            size *= 2
            self.blocks.append(GeneratorBlock(into * width, out * width, shared_dim + part))
            if size == attention:
                self.blocks.append(SelfAttention(out * width))
        self.bn = nn.BatchNorm2d(plan.out[-1] * width)
        self.to_rgb = nn.Conv2d(plan.out[-1] * width, channels, 3, padding=1)
        self.apply(initialize)

    def forward(self, z: Tensor, condition: Tensor) -> Tensor:
        if z.shape[1:] != (self.z_dim,) or condition.shape != (z.shape[0], self.c_dim):
            raise ValueError(
                f"BigGAN: expected z [N,{self.z_dim}] and classes [N,{self.c_dim}], "
                f"got {list(z.shape)} and {list(condition.shape)}"
            )
        embedded = condition @ self.shared.weight
        first, *rest = z.split(self.part, 1)
        x = self.linear(first).unflatten(1, (-1, 4, 4))
        parts = iter(rest)
        for block in self.blocks:
            x = block(x) if isinstance(block, SelfAttention) else block(x, torch.cat([embedded, next(parts)], 1))
        return torch.tanh(self.to_rgb(functional.relu(self.bn(x))))


def initialize(module: nn.Module) -> None:
    """Orthogonal weights (section 3 of the paper). For ``Module.apply``."""
    if isinstance(module, nn.Conv2d | nn.Linear | nn.Embedding) and module.weight.device.type != "meta":
        nn.init.orthogonal_(module.weight)


class DiscriminatorBlock(nn.Module):
    """x [N,I,H,W] -> [N,O,H',W'], residual; ``down`` halves the size. The ``first`` has no activation in front."""

    def __init__(self, in_channels: int, out_channels: int, *, down: bool, first: bool = False) -> None:
        super().__init__()
        self.down, self.first = down, first
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        self.conv_sc = nn.Conv2d(in_channels, out_channels, 1) if down or in_channels != out_channels else None

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv1(x if self.first else functional.relu(x))
        h = self.conv2(functional.relu(h))
        # The mean over areas and a 1x1 convolution may change places.
        if self.down:
            h, x = functional.avg_pool2d(h, 2), functional.avg_pool2d(x, 2)
        return h + (x if self.conv_sc is None else self.conv_sc(x))


class BigGANDiscriminator(nn.Module):
    """float32 [N,3,R,R] in -1..1, class [N] -> logits [N,1] (projection: Miyato and Koyama 2018)."""

    def __init__(
        self, resolution: int = 128, *, width: int = 96, classes: int = 1000, attention: int = 64, channels: int = 3
    ) -> None:
        super().__init__()
        plan = widths_for(resolution)
        self.resolution, self.c_dim = resolution, classes
        outs = [width * out for out in (*reversed(plan.out), plan.into[0])]
        self.blocks = nn.ModuleList()
        before, size = channels, resolution
        for place, out in enumerate(outs):
            down = size > 4
            self.blocks.append(DiscriminatorBlock(before, out, down=down, first=place == 0))
            size = size // 2 if down else size
            if size == attention:
                self.blocks.append(SelfAttention(out))
            before = out
        self.linear = nn.Linear(before, 1)
        self.embed = nn.Embedding(classes, before)
        self.apply(initialize)

    def forward(self, images: Tensor, classes: Tensor) -> Tensor:
        x = images
        for block in self.blocks:
            x = block(x)
        features = functional.relu(x).sum((2, 3))
        return self.linear(features) + (self.embed(classes) * features).sum(1, keepdim=True)


__all__: Sequence[str] = ["WIDTHS", "BigGANDiscriminator", "BigGANGenerator", "ConditionalBatchNorm", "widths_for"]
