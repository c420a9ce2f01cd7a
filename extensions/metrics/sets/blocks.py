"""Pairs of two large sets, block by block: features [N,D] and [M,D] -> tables of products that fit in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .interval import Features

_VALUES = 16_000_000
"""Of one block's table: 128 MB."""
CPU = torch.device("cpu")


def exact_device(device: torch.device) -> torch.device:
    """Where float64 can be computed: not on Apple's."""
    return CPU if device.type == "mps" else device


def load(rows: NDArray[np.floating], device: torch.device) -> Tensor:
    """-> float64 on ``device``."""
    return torch.from_numpy(np.ascontiguousarray(rows, np.float64)).to(device)


def spans(count: int, other: int) -> Iterator[slice]:
    """Slices of ``count`` rows whose tables with ``other`` rows are no larger than a block."""
    step = max(1, min(count, _VALUES // max(1, other)))
    for start in range(0, count, step):
        yield slice(start, min(count, start + step))


def squared_distances(a: Tensor, b: Tensor, b_squared: Tensor) -> Tensor:
    """float64 [n,D], [M,D], [M] -> [n,M]. Products are taken of centred rows, so that little cancels."""
    table = torch.addmm(b_squared[None], a, b.T, alpha=-2)
    return table.add_(a.square().sum(1, keepdim=True)).clamp_(min=0)


def each_table(
    rows: Features,
    others: Features,
    use: Callable[[slice, Tensor], None],
    device: torch.device,
    check: Callable[[], None],
) -> None:
    """Hand the squared distances float64 [n,M] of every slice of ``rows`` to all ``others`` to ``use``."""
    device = exact_device(device)
    centre = torch.from_numpy(np.asarray(others, np.float64).mean(0)).to(device)
    b = load(others, device) - centre
    b_squared = b.square().sum(1)
    for span in spans(len(rows), len(others)):
        check()
        use(span, squared_distances(load(rows[span], device) - centre, b, b_squared))
