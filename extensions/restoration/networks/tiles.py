"""Below the networks: one over a picture of any size, tile by tile where it is large, tiles faded into each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from extensions.restoration.pictures.arrays import Pixels

Progress = Callable[[int, int], None]
OVERLAP_PX = 32


@torch.inference_mode()
def in_tiles(
    network: nn.Module, channels: Pixels, *, tile: int, progress: Progress, scale: int = 1, call: Any = None
) -> Pixels:
    """float32 [H,W,C] -> what the network makes of it, float32 [scale*H,scale*W,outputs]. ``tile`` 0: whole.

    ``call(part)`` is used in place of the network itself, where it takes more than one tensor. Raises Cancelled.
    """
    weight = next(network.parameters())
    whole = torch.from_numpy(np.ascontiguousarray(channels.transpose(2, 0, 1)[None], np.float32))
    height, width = channels.shape[:2]
    total: Tensor | None = None
    weights = torch.zeros(1, 1, height * scale, width * scale)
    places = [(rows, columns) for rows in spans(height, tile) for columns in spans(width, tile)]
    for number, ((top, bottom), (left, right)) in enumerate(places, start=1):
        part = whole[:, :, top:bottom, left:right].to(weight.device, weight.dtype)
        made = (call or network)(part).float().cpu()
        if total is None:
            total = torch.zeros(1, made.shape[1], height * scale, width * scale)
        fade = _fade(bottom - top, top > 0, bottom < height, scale)[:, None]
        fade = fade * _fade(right - left, left > 0, right < width, scale)[None]
        place = (..., slice(top * scale, bottom * scale), slice(left * scale, right * scale))
        total[place] += made * fade
        weights[place] += fade
        progress(number, len(places))
    assert total is not None
    result: Pixels = (total / weights)[0].permute(1, 2, 0).numpy()
    return result


def spans(length: int, tile: int) -> list[tuple[int, int]]:
    """Tiles along one side: even, at most ``tile`` long, neighbours sharing ``OVERLAP_PX`` or more."""
    tile = max(tile, 2 * OVERLAP_PX + 8) if tile > 0 else length
    if tile >= length:
        return [(0, length)]
    count = -(-(length - OVERLAP_PX) // (tile - OVERLAP_PX))
    return list(_starts(length, tile, count))


def _starts(length: int, tile: int, count: int) -> Iterator[tuple[int, int]]:
    for place in range(count):
        start = round(place * (length - tile) / (count - 1) / 8) * 8
        start = min(start, length - tile) if place < count - 1 else length - tile
        yield start, start + tile


def _fade(length: int, before: bool, after: bool, scale: int) -> Tensor:
    """Weights along one side of a tile: a ramp where a neighbour overlaps."""
    weights = torch.ones(length * scale)
    ramp = torch.linspace(1e-3, 1, OVERLAP_PX * scale)
    if before:
        weights[: OVERLAP_PX * scale] = torch.minimum(weights[: OVERLAP_PX * scale], ramp)
    if after:
        weights[-OVERLAP_PX * scale :] = torch.minimum(weights[-OVERLAP_PX * scale :], ramp.flip(0))
    return weights
