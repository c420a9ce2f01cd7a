"""One face for every generator that draws from z: from seeds and classes to points, from points to pictures.

A point is what walks, mixing and edits work on: w, one row a layer, where there is a mapping network; else z itself.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from extensions.gan.formats.loading import Loaded
from extensions.gan.networks.layers import Noise, NoiseMode
from extensions.gan.networks.mapping import truncated

_TRUNCATED_AT = 2.0
"""BigGAN's z is a normal variable cut off there (Brock et al. 2019, section 3.1)."""
_NOISE_SEED_OFFSET = 2**31


class Held(nn.Module):
    """What the cache keeps of a model: the network and what it is."""

    def __init__(self, loaded: Loaded) -> None:
        super().__init__()
        self.network, self.family, self.config = loaded.network, loaded.family, dict(loaded.config)


def seeded(seed: int) -> torch.Generator:
    """On the processor: one seed, one latent, whatever the device."""
    return torch.Generator().manual_seed(seed % 2**63)


@dataclass(frozen=True)
class Generator:
    """A generator that is leased."""

    held: Held

    @property
    def network(self) -> nn.Module:
        return self.held.network

    @property
    def family(self) -> str:
        return self.held.family

    @property
    def resolution(self) -> int:
        return int(self.network.resolution)

    @property
    def mapped(self) -> bool:
        """Whether points are w."""
        return self.family.startswith("stylegan")

    @property
    def layers(self) -> int:
        """Rows of a point."""
        return int(self.network.num_ws) if self.mapped else 1

    @property
    def classes(self) -> int:
        """0 where it knows none."""
        return int(self.network.c_dim)

    @property
    def class_names(self) -> list[str]:
        """As far as the file tells them."""
        names = self.held.config.get("labels")
        return [str(name) for name in names] if isinstance(names, list) else []

    @property
    def device(self) -> torch.device:
        return next(self.network.parameters()).device

    def z(self, seeds: Sequence[int]) -> Tensor:
        """float32 [N,z_dim] on the CPU: row i is that of seed i, in any batch."""
        return torch.cat([self.draw(1, seeded(seed)) for seed in seeds])

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """z as the network was trained on it: float32 [count,z_dim] on the CPU."""
        shape = (count, int(self.network.z_dim))
        if not self.family.startswith("biggan"):
            return torch.randn(shape, generator=generator)
        # Through the inverse of the cut-off normal's distribution: one number a value, none is drawn again.
        inside = math.erf(_TRUNCATED_AT / math.sqrt(2))
        uniform = torch.rand(shape, generator=generator, dtype=torch.float64) * 2 - 1
        return (math.sqrt(2) * torch.erfinv(uniform * inside)).float()

    def condition(self, classes: Sequence[int | None], seeds: Sequence[int]) -> Tensor | None:
        """One-hot float32 [N,classes]; None in ``classes`` draws one with the picture's seed."""
        if not self.classes:
            return None
        rows = []
        for chosen, seed in zip(classes, seeds, strict=True):
            index = chosen
            if index is None:
                index = int(torch.randint(self.classes, (1,), generator=seeded(seed + _NOISE_SEED_OFFSET)))
            rows.append(index)
        return torch.nn.functional.one_hot(torch.tensor(rows), self.classes).float()

    @torch.no_grad()
    def points(self, z: Tensor, condition: Tensor | None, psi: float = 1.0, cutoff: int | None = None) -> Tensor:
        """float32 [N,layers,D] on the device, truncated by ``psi``."""
        z = z.to(self.device)
        if not self.mapped:
            return psi * z[:, None]
        ws: Tensor = self.network.mapping(z, None if condition is None else condition.to(self.device))
        return self.truncated(ws, psi, cutoff)

    def truncated(self, points: Tensor, psi: float, cutoff: int | None = None) -> Tensor:
        """Points nearer to the centre."""
        return truncated(points, self.centre, psi, cutoff)

    @property
    def centre(self) -> Tensor:
        """float32 [D]: the mean of w, or zero."""
        if self.mapped:
            centre: Tensor = self.network.mapping.w_avg
            return centre
        return torch.zeros(int(self.network.z_dim), device=self.device)

    def noise(self, mode: str, seeds: Sequence[int]) -> Noise:
        """For one batch of ``pictures``."""
        kind: NoiseMode = "random" if mode == "random" else "none" if mode == "none" else "const"
        return Noise(kind, [seeded(seed + _NOISE_SEED_OFFSET) for seed in seeds] if kind == "random" else ())

    def pictures(
        self, points: Tensor, condition: Tensor | None = None, *, psi: float = 1.0, noise: Noise | None = None
    ) -> Tensor:
        """float32 [N,3,R,R], about -1..1. Points are truncated already: ``psi`` chooses BigGAN-deep's statistics."""
        points = points.to(self.device)
        if self.mapped:
            images: Tensor = self.network.synthesis(points, noise or Noise())
            return images
        z = points[:, 0]
        if not self.classes:
            return self.network(z)
        if condition is None:
            raise ValueError("this generator needs a class for each picture")
        condition = condition.to(self.device)
        return self.network(z, condition, psi) if self.family == "biggan_deep" else self.network(z, condition)


def to_uint8(images: Tensor) -> Tensor:
    """float [N,C,H,W] in about -1..1 -> uint8 [N,H,W,3] on the CPU; one channel becomes three."""
    if images.shape[1] == 1:
        images = images.expand(-1, 3, -1, -1)
    scaled = (images[:, :3].float() * 127.5 + 128).clamp(0, 255)
    return scaled.to(torch.uint8).permute(0, 2, 3, 1).cpu().contiguous()
