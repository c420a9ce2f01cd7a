"""Training's source: seeds -> batches of drawn pictures, masks, labels and captions as tensors."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from .world import SPEC, Avatar, draw_avatar, feature_mask, sample_avatar

# Seeds below are for training; evaluation draws its people from beyond, so the two never meet.
HELD_OUT = 1_000_000_000


def to_tensor(image: Image.Image) -> Tensor:
    """RGB or L picture -> float32 [C,H,W]: RGB in -1..1, L in 0..1."""
    array = torch.from_numpy(np.asarray(image).copy())
    if array.ndim == 2:
        return array[None].float().div_(255)
    return array.permute(2, 0, 1).float().div_(127.5).sub_(1)


def to_image(tensor: Tensor) -> Image.Image:
    """float [3,H,W] in -1..1 -> RGB picture."""
    array = tensor.detach().float().clamp(-1, 1).add(1).mul(127.5).round().byte().permute(1, 2, 0).cpu().numpy()
    return Image.fromarray(array)


def pictures(avatars: Iterable[Avatar], size: int) -> Tensor:
    """float32 [N,3,size,size] in -1..1."""
    return torch.stack([to_tensor(draw_avatar(a, size)) for a in avatars])


def masks(avatars: Iterable[Avatar], size: int) -> Tensor:
    """float32 [N,1,size,size] in 0..1: where the face's features are."""
    return torch.stack([to_tensor(feature_mask(a, size)) for a in avatars])


def labels(avatars: Iterable[Avatar]) -> dict[str, Tensor]:
    """Attribute -> int64 [N] indices into SPEC, -1 where not visible."""
    rows = [a.labels() for a in avatars]
    return {n: torch.tensor([r[n] for r in rows]) for n in SPEC}


def avatars_at(start: int, count: int) -> list[Avatar]:
    """The people of seeds start .. start + count - 1."""
    return [sample_avatar(s) for s in range(start, start + count)]


def grid(images: list[Image.Image], columns: int, gap: int = 4) -> Image.Image:
    """Pictures of one size on one white sheet, row by row."""
    side = images[0].width + gap
    sheet = Image.new("RGB", (columns * side, -(-len(images) // columns) * side), (255, 255, 255))
    for i, image in enumerate(images):
        sheet.paste(image, ((i % columns) * side, (i // columns) * side))
    return sheet
