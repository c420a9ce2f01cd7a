"""The way back into W: pictures -> w, and a critic that tells points of W apart."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from .stylegan2 import channels_at, resolutions


class PointEncoder(nn.Module):
    """float32 [N,3,R,R] in -1..1 -> w float32 [N,w_dim]: strided convolutions down to 4x4, then one product, each
    number normalized over the batch, so that no direction of W is left unused.
    """

    def __init__(self, resolution: int, w_dim: int, *, channel_base: int, channel_max: int) -> None:
        super().__init__()
        sizes = resolutions(resolution)[-2::-1]
        widths = [3, *(max(8, channels_at(size, channel_base, 2 * channel_max)) for size in sizes)]
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            norm = nn.GroupNorm(8 if after % 8 == 0 else 1, after)
            layers += [nn.Conv2d(before, after, 4, stride=2, padding=1), norm, nn.SiLU()]
        self.trunk = nn.Sequential(*layers, nn.Flatten())
        self.point = nn.Sequential(nn.Linear(widths[-1] * 16, w_dim), nn.BatchNorm1d(w_dim, affine=False))

    def forward(self, images: Tensor) -> Tensor:
        point: Tensor = self.point(self.trunk(images))
        return point


class PointCritic(nn.Module):
    """w [N,w_dim] -> logits [N,1], larger for what an encoder gave."""

    def __init__(self, w_dim: int, width: int = 256) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(w_dim, width),
            nn.LeakyReLU(0.2),
            nn.Linear(width, width),
            nn.LeakyReLU(0.2),
            nn.Linear(width, 1),
        )

    def forward(self, points: Tensor) -> Tensor:
        logits: Tensor = self.layers(points)
        return logits
