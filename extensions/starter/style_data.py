"""Beside the training of style transfer: textures and drawings in their five manners -> crops and what they show."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .config import StyleConfig
from .data import HELD_OUT
from .drawing import Pixels, draw_all
from .world import draw, heads, sample
from .world.textures import DIRECTIONS, FAMILIES, SCALES, draw_texture, sample_texture

DRAWN = heads()["style"]
MANNERS = (*FAMILIES, *(f"drawn {name}" for name in DRAWN))
"""What the encoder tells apart: the textures' families, and the manners of drawing."""
HEADS: dict[str, tuple[str, ...]] = {"manner": MANNERS, "scale": SCALES, "direction": DIRECTIONS}


class Pool:
    """Pictures drawn once: ``textures`` and ``drawings``, uint8 [N,H,W,3], and int64 [N,3] of the heads, -1: none."""

    def __init__(self, textures: NDArray[np.uint8], drawings: NDArray[np.uint8], rows: NDArray[np.int64]) -> None:
        self.textures, self.drawings = textures, drawings
        self.pixels = np.concatenate([textures, drawings])
        self.rows = torch.from_numpy(rows)

    def crops(self, places: Tensor, side: int, generator: torch.Generator) -> Tensor:
        """Crops of the pictures at ``places``, float32 [N,3,side,side] in -1..1."""
        room = self.pixels.shape[1] - side + 1
        corners = torch.randint(0, room, (len(places), 2), generator=generator).tolist()
        cut = [
            self.pixels[place, y : y + side, x : x + side]
            for place, (y, x) in zip(places.tolist(), corners, strict=True)
        ]
        return torch.from_numpy(np.stack(cut)).permute(0, 3, 1, 2).float().div_(127.5).sub_(1)

    def some(self, count: int, textures: float, generator: torch.Generator) -> Tensor:
        """``count`` places of pictures, each with the chance ``textures`` of being one."""
        among = torch.rand(count, generator=generator) < textures
        first = torch.randint(0, len(self.textures), (count,), generator=generator)
        second = torch.randint(0, len(self.drawings), (count,), generator=generator) + len(self.textures)
        return torch.where(among, first, second)


def make_pool(part: StyleConfig, size: int, held_out: int = 0) -> Pool:
    """The pictures of training, or ``held_out`` of each kind that training never sees."""
    count, first = held_out or part.pool, HELD_OUT if held_out else 0
    seeds = range(first, first + count)
    textures = draw_all(seeds, size, texture)  # type: ignore[arg-type]
    drawings = draw_all(seeds, size, drawing)  # type: ignore[arg-type]
    rows = [_texture_row(seed) for seed in seeds]
    rows += [(MANNERS.index(f"drawn {sample(seed).style}"), -1, -1) for seed in seeds]
    return Pool(np.stack(textures), np.stack(drawings), np.array(rows, dtype=np.int64))


def _texture_row(seed: int) -> tuple[int, int, int]:
    made = sample_texture(seed)
    direction = DIRECTIONS.index(made.direction) if made.direction else -1
    return MANNERS.index(made.family), SCALES.index(made.scale), direction


def texture(seed: int, size: int) -> Pixels:
    """uint8 [size,size,3]."""
    return np.asarray(draw_texture(sample_texture(seed), size))


def drawing(seed: int, size: int) -> Pixels:
    """uint8 [size,size,3], in any of the five manners."""
    return np.asarray(draw(sample(seed), size))
