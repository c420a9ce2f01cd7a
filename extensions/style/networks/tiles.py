"""Beside the networks: convolutions over large pictures, tile by tile, with the result of the whole.

Every tile is computed with a margin as wide as a convolution sees; at the picture's own edges there is none, so that
what pads them there is what pads them in the whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

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


def encoded(encode: Callable[[Tensor], Sequence[Tensor]], pictures: Tensor, tile_px: int) -> list[Tensor]:
    """``encode`` of [N,3,H,W], sides multiples of 8 -> activations [N,C,H/8,W/8], [N,C,H/4,W/4] ... from coarse to
    fine; 0: of the picture whole.
    """
    height, width = pictures.shape[-2:]
    if not tile_px or max(height, width) <= tile_px + ENCODER_MARGIN_PX:
        return list(encode(pictures))
    rows: list[list[Tensor]] = []
    for top, bottom, first_row, last_row in spans(height, tile_px, ENCODER_MARGIN_PX):
        row = []
        for left, right, first, last in spans(width, tile_px, ENCODER_MARGIN_PX):
            made = encode(pictures[:, :, top:bottom, left:right])
            strides = [(bottom - top) // one.shape[-2] for one in made]
            row.append(
                [
                    one[:, :, (first_row - top) // n : (last_row - top) // n, (first - left) // n : (last - left) // n]
                    for one, n in zip(made, strides, strict=True)
                ]
            )
        rows.append([torch.cat(parts, dim=3) for parts in zip(*row, strict=True)])
    return [torch.cat(parts, dim=2) for parts in zip(*rows, strict=True)]


def decoded(
    decode: Callable[[Tensor, Sequence[Tensor]], Tensor], activations: Sequence[Tensor], tile_px: int
) -> Tensor:
    """``decode`` of the coarsest [N,C,h,w] and the finer ones -> [N,3,8h,8w]."""
    coarse, *finer = activations
    height, width = coarse.shape[-2:]
    tile, margin = tile_px // STRIDE, DECODER_MARGIN_CELLS
    if not tile or max(height, width) <= tile + margin:
        return decode(coarse, finer)
    times = [one.shape[-2] // height for one in finer]
    rows = []
    for top, bottom, first_row, last_row in spans(height, tile, margin):
        row = []
        for left, right, first, last in spans(width, tile, margin):
            parts = [one[:, :, n * top : n * bottom, n * left : n * right] for one, n in zip(finer, times, strict=True)]
            made = decode(coarse[:, :, top:bottom, left:right], parts)
            ys = slice((first_row - top) * STRIDE, (last_row - top) * STRIDE)
            row.append(made[:, :, ys, (first - left) * STRIDE : (last - left) * STRIDE])
        rows.append(torch.cat(row, dim=3))
    return torch.cat(rows, dim=2)
