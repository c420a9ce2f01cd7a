"""BigGAN-deep (Brock, Donahue, Simonyan 2019, appendix B): from z and a class to pictures, and from those to logits.

The generator's normalizations keep statistics for 51 values of truncation. Its parameters are named as in the Hugging
Face layout, with the spectral norm folded.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

Layer = tuple[bool, int, int]
"""Whether it doubles the size, and its width before and after in units of the channel width."""

LAYERS_128: tuple[Layer, ...] = (
    (False, 16, 16),
    (True, 16, 16),
    (False, 16, 16),
    (True, 16, 8),
    (False, 8, 8),
    (True, 8, 4),
    (False, 4, 4),
    (True, 4, 2),
    (False, 2, 2),
    (True, 2, 1),
)
LAYERS_256: tuple[Layer, ...] = (
    *LAYERS_128[:4],
    (False, 8, 8),
    (True, 8, 8),
    (False, 8, 8),
    (True, 8, 4),
    *LAYERS_128[6:],
)
LAYERS_512: tuple[Layer, ...] = (*LAYERS_256[:-1], (True, 2, 1), (False, 1, 1), (True, 1, 1))


class TruncatedBatchNorm(nn.Module):
    """Batch normalization with statistics for each step of truncation from 0 to 1: x [N,C,H,W] -> [N,C,H,W].

    With a condition [N,D] its gain and bias are linear in it; else they are parameters.
    """

    running_means: Tensor
    running_vars: Tensor

    def __init__(self, channels: int, condition_dim: int | None, statistics: int, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.register_buffer("running_means", torch.zeros(statistics, channels))
        self.register_buffer("running_vars", torch.ones(statistics, channels))
        if condition_dim is None:
            self.weight = nn.Parameter(torch.ones(channels))
            self.bias = nn.Parameter(torch.zeros(channels))
        else:
            self.scale = nn.Linear(condition_dim, channels, bias=False)
            self.offset = nn.Linear(condition_dim, channels, bias=False)

    def forward(self, x: Tensor, step: int, condition: Tensor | None = None) -> Tensor:
        mean, var = self.running_means[step], self.running_vars[step]
        if condition is None:
            return functional.batch_norm(x, mean, var, self.weight, self.bias, False, 0.0, self.eps)
        x = functional.batch_norm(x, mean, var, None, None, False, 0.0, self.eps)
        return x * (1 + self.scale(condition))[:, :, None, None] + self.offset(condition)[:, :, None, None]


class GeneratorBlock(nn.Module):
    """A bottleneck of a quarter of the width; the shortcut drops the channels that it must lose."""

    def __init__(self, into: int, out: int, condition_dim: int, *, up: bool, statistics: int, eps: float) -> None:
        super().__init__()
        self.up, self.out = up, out
        middle = into // 4
        for place, channels in enumerate((into, middle, middle, middle)):
            setattr(self, f"bn_{place}", TruncatedBatchNorm(channels, condition_dim, statistics, eps))
        self.conv_0 = nn.Conv2d(into, middle, 1)
        self.conv_1 = nn.Conv2d(middle, middle, 3, padding=1)
        self.conv_2 = nn.Conv2d(middle, middle, 3, padding=1)
        self.conv_3 = nn.Conv2d(middle, out, 1)

    def forward(self, x: Tensor, condition: Tensor, step: int) -> Tensor:
        h = self.conv_0(functional.relu(self.bn_0(x, step, condition)))
        h = functional.relu(self.bn_1(h, step, condition))
        if self.up:
            h = functional.interpolate(h, scale_factor=2)
        h = self.conv_1(h)
        h = self.conv_2(functional.relu(self.bn_2(h, step, condition)))
        h = self.conv_3(functional.relu(self.bn_3(h, step, condition)))
        x = x[:, : self.out]
        return h + (functional.interpolate(x, scale_factor=2) if self.up else x)


class SelfAttention(nn.Module):
    """As ``attention.SelfAttention``, under this layout's names."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.snconv1x1_theta = nn.Conv2d(channels, channels // 8, 1, bias=False)
        self.snconv1x1_phi = nn.Conv2d(channels, channels // 8, 1, bias=False)
        self.snconv1x1_g = nn.Conv2d(channels, channels // 2, 1, bias=False)
        self.snconv1x1_o_conv = nn.Conv2d(channels // 2, channels, 1, bias=False)
        self.gamma = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        queries = self.snconv1x1_theta(x).flatten(2)
        keys = functional.max_pool2d(self.snconv1x1_phi(x), 2).flatten(2)
        values = functional.max_pool2d(self.snconv1x1_g(x), 2).flatten(2)
        weights = (queries.transpose(1, 2) @ keys).softmax(-1)
        attended = (values @ weights.transpose(1, 2)).unflatten(2, x.shape[2:])
        return x + self.gamma * self.snconv1x1_o_conv(attended)


class _Body(nn.Module):
    def __init__(
        self, width: int, layers: Sequence[Layer], attention_at: int, condition_dim: int, statistics: int, eps: float
    ) -> None:
        super().__init__()
        self.width = width
        first = layers[0][1] * width
        self.gen_z = nn.Linear(condition_dim, 16 * first)
        self.layers = nn.ModuleList()
        for place, (up, into, out) in enumerate(layers):
            if place == attention_at:
                self.layers.append(SelfAttention(into * width))
            self.layers.append(
                GeneratorBlock(into * width, out * width, condition_dim, up=up, statistics=statistics, eps=eps)
            )
        last = layers[-1][2] * width
        self.bn = TruncatedBatchNorm(last, None, statistics, eps)
        self.conv_to_rgb = nn.Conv2d(last, last, 3, padding=1)

    def forward(self, condition: Tensor, step: int) -> Tensor:
        # The published weights lay the first map out with its channels last.
        x = self.gen_z(condition).unflatten(1, (4, 4, -1)).permute(0, 3, 1, 2).contiguous()
        for layer in self.layers:
            x = layer(x) if isinstance(layer, SelfAttention) else layer(x, condition, step)
        x = self.conv_to_rgb(functional.relu(self.bn(x, step)))
        return torch.tanh(x[:, :3])


class BigGANDeepGenerator(nn.Module):
    """z [N,z_dim], condition [N,classes] (one-hot, or a mixture), truncation -> float32 [N,3,R,R] in -1..1."""

    def __init__(
        self,
        *,
        layers: Sequence[Sequence[bool | int]] = LAYERS_128,
        z_dim: int = 128,
        classes: int = 1000,
        width: int = 128,
        attention_at: int = 8,
        statistics: int = 51,
        eps: float = 1e-4,
    ) -> None:
        super().__init__()
        plan = [(bool(up), int(into), int(out)) for up, into, out in layers]
        self.z_dim, self.c_dim, self.statistics = z_dim, classes, statistics
        self.resolution = 4 * 2 ** sum(up for up, _, _ in plan)
        self.embeddings = nn.Linear(classes, z_dim, bias=False)
        self.generator = _Body(width, plan, attention_at, 2 * z_dim, statistics, eps)

    def forward(self, z: Tensor, condition: Tensor, truncation: float = 1.0) -> Tensor:
        if z.shape[1:] != (self.z_dim,) or condition.shape != (z.shape[0], self.c_dim):
            raise ValueError(
                f"BigGAN-deep: expected z [N,{self.z_dim}] and classes [N,{self.c_dim}], "
                f"got {list(z.shape)} and {list(condition.shape)}"
            )
        # The nearest statistics; between two of them lies nothing that was measured.
        step = round(min(max(truncation, 0.0), 1.0) * (self.statistics - 1))
        images: Tensor = self.generator(torch.cat([z, self.embeddings(condition)], 1), step)
        return images


class DiscriminatorBlock(nn.Module):
    """A bottleneck of a quarter of the width; where channels are added, the shortcut keeps those that there are and a
    1x1 convolution makes the others: x [N,I,H,W] -> [N,O,H,W], or half as large.
    """

    def __init__(self, into: int, out: int, *, down: bool) -> None:
        super().__init__()
        self.down, middle = down, out // 4
        self.conv_0 = nn.Conv2d(into, middle, 1)
        self.conv_1 = nn.Conv2d(middle, middle, 3, padding=1)
        self.conv_2 = nn.Conv2d(middle, middle, 3, padding=1)
        self.conv_3 = nn.Conv2d(middle, out, 1)
        self.conv_sc = nn.Conv2d(into, out - into, 1) if out > into else None

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv_0(functional.relu(x))
        h = self.conv_2(functional.relu(self.conv_1(functional.relu(h))))
        h = functional.relu(h)
        if self.down:
            h, x = functional.avg_pool2d(h, 2), functional.avg_pool2d(x, 2)
        beside = x if self.conv_sc is None else torch.cat([x, self.conv_sc(x)], 1)
        return self.conv_3(h) + beside


class BigGANDeepDiscriminator(nn.Module):
    """float32 [N,3,R,R] in -1..1, class [N] -> logits [N,1] (projection: Miyato and Koyama 2018): the generator's
    layers mirrored. ``attention``: the size in pixels at which it attends.
    """

    def __init__(
        self,
        *,
        layers: Sequence[Sequence[bool | int]] = LAYERS_128,
        width: int = 128,
        classes: int = 1000,
        attention: int = 64,
        channels: int = 3,
    ) -> None:
        super().__init__()
        plan = [(bool(up), int(out) * width, int(into) * width) for up, into, out in reversed(layers)]
        self.c_dim, self.resolution = classes, 4 * 2 ** sum(down for down, _, _ in plan)
        self.conv_from_rgb = nn.Conv2d(channels, plan[0][1], 3, padding=1)
        self.blocks, size = nn.ModuleList(), self.resolution
        for place, (down, into, out) in enumerate(plan):
            self.blocks.append(DiscriminatorBlock(into, out, down=down))
            size = size // 2 if down else size
            ends = place + 1 == len(plan) or plan[place + 1][0]
            if size == attention and ends:
                self.blocks.append(SelfAttention(out))
        self.linear = nn.Linear(plan[-1][2], 1)
        self.embed = nn.Embedding(classes, plan[-1][2])

    def forward(self, images: Tensor, classes: Tensor) -> Tensor:
        """Raises ValueError for pictures of another size."""
        if images.shape[-2:] != (self.resolution, self.resolution):
            raise ValueError(f"BigGAN-deep: expected [N,C,{self.resolution},{self.resolution}], got {images.shape}")
        x = self.conv_from_rgb(images)
        for block in self.blocks:
            x = block(x)
        features = functional.relu(x).sum((2, 3))
        return self.linear(features) + (self.embed(classes) * features).sum(1, keepdim=True)
