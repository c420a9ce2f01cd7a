"""Beside the loop: a network's work on held-out pictures, as one picture a person can judge."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from extensions.restoration.pictures.arrays import Pixels, to_picture
from extensions.restoration.pictures.colour import from_lab, to_lab
from extensions.restoration.pictures.degrading import Damage, degrade

_LEVELS = (0.5, 0.4)
_COUNT = 6


@torch.no_grad()
def sheet(task: str, model: nn.Module, pictures: Sequence[Pixels]) -> Image.Image:
    """What goes in above, what comes out in the middle, what was wanted below."""
    rows = [_row(task, model, picture, seed) for seed, picture in enumerate(pictures[:_COUNT])]
    return to_picture(np.concatenate([np.concatenate(row, axis=0) for row in rows], axis=1))


def _row(task: str, model: nn.Module, picture: Pixels, seed: int) -> tuple[Pixels, Pixels, Pixels]:
    if task == "colourizer":
        lab = to_lab(picture)
        nothing = np.zeros_like(lab)
        colours = _run(model, np.concatenate([lab[..., :1] / 100, nothing], axis=-1)) * np.float32(110)
        grey = from_lab(np.concatenate([lab[..., :1], nothing[..., :2]], axis=-1))
        return grey, from_lab(np.concatenate([lab[..., :1], colours], axis=-1)), picture
    if task == "scratches":
        made, where = degrade(picture, Damage(noise=0.1, jpeg=0.2, scratches=0.6), seed)
        found = 1 / (1 + np.exp(-_run(model, made)))
        return made, np.repeat(found, 3, axis=-1), np.repeat(where[..., None], 3, axis=-1).astype(np.float32)
    made, _ = degrade(picture, Damage(*_LEVELS), seed)
    maps = np.broadcast_to(np.float32(_LEVELS), (*picture.shape[:2], 2))
    return made, np.clip(_run(model, np.concatenate([made, maps], axis=-1)), 0, 1), picture


def _run(model: nn.Module, channels: Pixels) -> Pixels:
    """float32 [H,W,C] -> [H,W,outputs]."""
    tensor: Tensor = torch.from_numpy(np.ascontiguousarray(channels.transpose(2, 0, 1)[None]))
    return model(tensor)[0].permute(1, 2, 0).numpy()
