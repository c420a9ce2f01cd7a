"""A discriminator of patches (Isola et al. 2017), for VQGAN: from pictures to a map of numbers."""

from __future__ import annotations

from torch import Tensor, nn


class PatchDiscriminator(nn.Module):
    """float32 [N,3,R,R] in -1..1 -> logits [N,1,R',R'], each of a patch of the picture."""

    def __init__(self, *, width: int = 32, layers: int = 2, channels: int = 3) -> None:
        super().__init__()
        parts: list[nn.Module] = [nn.Conv2d(channels, width, 4, 2, 1), nn.LeakyReLU(0.2)]
        maps = width
        for place in range(layers):
            stride = 2 if place < layers - 1 else 1
            after = min(2 * maps, 8 * width)
            parts += [nn.Conv2d(maps, after, 4, stride, 1, bias=False), nn.GroupNorm(8, after), nn.LeakyReLU(0.2)]
            maps = after
        self.main = nn.Sequential(*parts, nn.Conv2d(maps, 1, 4, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.main(images)
        return logits
