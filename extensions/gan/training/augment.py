"""Beside a discriminator: pictures -> pictures changed by chance, so that few of them are not learned by heart.

float [N,3,H,W] in -1..1 on both sides; first derivatives alone pass.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional


def diff_augment(x: Tensor, generator: torch.Generator) -> Tensor:
    """DiffAugment (Zhao et al. 2020): colour, translation by up to an eighth, a square of half the side cut out."""
    n, _, height, width = x.shape

    def uniform() -> Tensor:
        return torch.rand((n, 1, 1, 1), generator=generator, device=x.device, dtype=x.dtype)

    x = x + (uniform() - 0.5)
    grey = x.mean(1, keepdim=True)
    x = (x - grey) * (2 * uniform()) + grey
    mean = x.mean((1, 2, 3), keepdim=True)
    x = (x - mean) * (uniform() + 0.5) + mean

    rows, columns = torch.arange(height, device=x.device)[None], torch.arange(width, device=x.device)[None]
    reach_y, reach_x = round(height / 8), round(width / 8)
    down = torch.randint(-reach_y, reach_y + 1, (n, 1), generator=generator, device=x.device)
    right = torch.randint(-reach_x, reach_x + 1, (n, 1), generator=generator, device=x.device)
    # One pixel of zeros around: what comes from beyond the picture is taken there.
    padded = functional.pad(x, (1, 1, 1, 1)).permute(0, 2, 3, 1)
    y = (rows + down + 1).clamp(0, height + 1)[:, :, None]
    z = (columns + right + 1).clamp(0, width + 1)[:, None, :]
    x = padded[torch.arange(n, device=x.device)[:, None, None], y, z].permute(0, 3, 1, 2)

    hole_y, hole_x = height // 2, width // 2
    top = torch.randint(0, height + 1 - height % 2, (n, 1), generator=generator, device=x.device) - hole_y // 2
    left = torch.randint(0, width + 1 - width % 2, (n, 1), generator=generator, device=x.device) - hole_x // 2
    in_rows = (rows >= top) & (rows < top + hole_y)
    in_columns = (columns >= left) & (columns < left + hole_x)
    hole = in_rows[:, None, :, None] & in_columns[:, None, None, :]
    return x * (~hole).to(x.dtype)


@dataclass
class Adaptive:
    """ADA (Karras et al. 2020): geometry and colour, each with probability ``p``, which rises while the discriminator's
    signs on real pictures say that it knows them (section 3.1). Resampled bilinearly with mirrored borders, where the
    paper filters with wavelets.
    """

    p: float = 0.0
    target: float = 0.6
    pictures_to_one: float = 500_000
    """Over which p goes from 0 to 1 at most."""

    def update(self, sign: float, batch: int) -> None:
        """``sign``: the mean of the signs of logits of real pictures."""
        step = math.copysign(batch / self.pictures_to_one, sign - self.target)
        self.p = min(1.0, max(0.0, self.p + step))

    def __call__(self, x: Tensor, generator: torch.Generator) -> Tensor:
        if self.p <= 0:
            return x
        return self._colour(self._geometry(x, generator), generator)

    def _chance(self, n: int, generator: torch.Generator) -> Tensor:
        return torch.rand(n, generator=generator, device=generator.device) < self.p

    def _geometry(self, x: Tensor, generator: torch.Generator) -> Tensor:
        n, device = x.shape[0], x.device

        def uniform(low: float, high: float) -> Tensor:
            return torch.rand(n, generator=generator, device=device) * (high - low) + low

        def normal(deviation: float) -> Tensor:
            return torch.randn(n, generator=generator, device=device) * deviation

        def chosen(value: Tensor, neutral: float) -> Tensor:
            return torch.where(self._chance(n, generator), value, torch.full_like(value, neutral))

        flip = chosen(torch.where(uniform(0, 1) < 0.5, -1.0, 1.0), 1.0)
        quarter = chosen((uniform(0, 4).floor() * (math.pi / 2)), 0.0)
        turn = chosen(uniform(-math.pi, math.pi), 0.0)
        scale = chosen(torch.exp2(normal(0.2)), 1.0)
        stretch = chosen(torch.exp2(normal(0.2)), 1.0)
        shift_x = chosen(uniform(-0.25, 0.25), 0.0) + chosen(normal(0.25), 0.0)
        shift_y = chosen(uniform(-0.25, 0.25), 0.0) + chosen(normal(0.25), 0.0)
        angle = quarter + turn
        cosine, sine = torch.cos(angle), torch.sin(angle)
        wide, high = flip / (scale * stretch), stretch / scale
        matrix = torch.stack(
            [
                torch.stack([cosine * wide, -sine * wide, shift_x], 1),
                torch.stack([sine * high, cosine * high, shift_y], 1),
            ],
            1,
        )
        grid = functional.affine_grid(matrix, list(x.shape), align_corners=False)
        return functional.grid_sample(x, grid.to(x.dtype), padding_mode="reflection", align_corners=False)

    def _colour(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """An affine map of colours: brightness, contrast, luma turned over, hue, saturation."""
        n, device = x.shape[0], x.device
        axis = torch.full((3,), 1 / math.sqrt(3), device=device)
        onto = torch.outer(axis, axis)
        eye = torch.eye(3, device=device)
        cross = torch.tensor([[0.0, -1, 1], [1, 0, -1], [-1, 1, 0]], device=device) / math.sqrt(3)

        def normal(deviation: float) -> Tensor:
            return torch.randn(n, generator=generator, device=device) * deviation

        def chosen(value: Tensor, neutral: float) -> Tensor:
            return torch.where(self._chance(n, generator), value, torch.full_like(value, neutral))

        brightness = chosen(normal(0.2), 0.0)
        contrast = chosen(torch.exp2(normal(0.5)), 1.0)
        turned = chosen((torch.rand(n, generator=generator, device=device) < 0.5).float(), 0.0)
        hue = chosen((torch.rand(n, generator=generator, device=device) * 2 - 1) * math.pi, 0.0)
        saturation = chosen(torch.exp2(normal(1.0)), 1.0)

        def wide(value: Tensor) -> Tensor:
            return value[:, None, None]

        matrix = eye * wide(contrast)
        shift = (brightness * contrast)[:, None].expand(n, 3)
        luma = eye - 2 * wide(turned) * onto
        rotation = onto + wide(hue.cos()) * (eye - onto) + wide(hue.sin()) * cross
        vivid = onto + wide(saturation) * (eye - onto)
        all_ = vivid @ rotation @ luma
        shift = (all_ @ shift[:, :, None])[..., 0]
        mixed = torch.einsum("nij,njhw->nihw", (all_ @ matrix).to(x.dtype), x)
        return mixed + shift.to(x.dtype)[:, :, None, None]
