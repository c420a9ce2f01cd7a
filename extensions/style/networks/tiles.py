"""Beside the networks: convolutions over large pictures, tile by tile, with the result of the whole.

Every tile is computed with a margin as wide as a convolution sees; at the picture's own edges there is none, so that
what pads them there is what pads them in the whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.nn import functional

STRIDE = 8
"""Pixels of a cell of the coarsest activations that are decoded."""
ENCODER_MARGIN_PX = 40
"""What a cell sees beyond its own pixels is at most 2 + 4 + 8 + 8 of them, for three halvings with two convolutions
before each; VGG-19 has four before the third: 16 more.
"""
DECODER_MARGIN_CELLS = 4

Span = tuple[int, int, int, int]


def spans(length: int, tile: int, margin: int) -> Iterator[Span]:
    """(from, to) of what is computed and (from, to) of what is kept of it, over 0..length."""
    for begin in range(0, length, tile):
        end = min(length, begin + tile)
        yield max(0, begin - margin), min(length, end + margin), begin, end


def padded(pictures: Tensor) -> Tensor:
    """[N,3,H,W] with sides that are multiples of 8: the right and lower edges are drawn out."""
    height, width = pictures.shape[-2:]
    return functional.pad(pictures, (0, -width % STRIDE, 0, -height % STRIDE), mode="replicate")


def encoded(encode: Callable[[Tensor], Tensor], pictures: Tensor, tile_px: int) -> Tensor:
    """``encode`` of [N,3,H,W], sides multiples of 8 -> [N,C,H/8,W/8]; 0: the picture whole."""
    return _tiled(encode, pictures, tile_px, ENCODER_MARGIN_PX, 1, STRIDE)


def decoded(decode: Callable[[Tensor], Tensor], activations: Tensor, tile_px: int) -> Tensor:
    """``decode`` of [N,C,h,w] -> [N,3,8h,8w]."""
    return _tiled(decode, activations, tile_px // STRIDE, DECODER_MARGIN_CELLS, STRIDE, 1)


def _tiled(
    compute: Callable[[Tensor], Tensor], source: Tensor, tile: int, margin: int, larger: int, smaller: int
) -> Tensor:
    height, width = source.shape[-2:]
    if not tile or max(height, width) <= tile + margin:
        return compute(source)
    rows = []
    for top, bottom, first_row, last_row in spans(height, tile, margin):
        row = []
        for left, right, first, last in spans(width, tile, margin):
            made = compute(source[:, :, top:bottom, left:right])
            ys = slice((first_row - top) * larger // smaller, (last_row - top) * larger // smaller)
            xs = slice((first - left) * larger // smaller, (last - left) * larger // smaller)
            row.append(made[:, :, ys, xs])
        rows.append(torch.cat(row, dim=3))
    return torch.cat(rows, dim=2)
