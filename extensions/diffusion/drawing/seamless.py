"""Pictures that repeat without a seam: convolutions whose padding comes from the opposite edge, for one run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch.nn.functional import conv2d, pad

AXES = ("none", "both", "x", "y")


@contextmanager
def wrapped(modules: Iterable[torch.nn.Module], axes: str) -> Iterator[None]:
    """Within, every padded convolution of ``modules`` wraps around along ``axes``. They must be leased exclusively;
    afterwards they are as they were.
    """
    layers = [
        layer
        for module in modules
        for layer in module.modules()
        if isinstance(layer, torch.nn.Conv2d) and any(_padding(layer)) and axes != "none"
    ]
    for layer in layers:
        layer._conv_forward = partial(_forward, layer, axes)  # type: ignore[method-assign]
    try:
        yield
    finally:
        for layer in layers:
            layer.__dict__.pop("_conv_forward", None)


def _padding(layer: torch.nn.Conv2d) -> tuple[int, int]:
    """Rows and columns of padding; ``same`` and the like are left alone."""
    return (0, 0) if isinstance(layer.padding, str) else (layer.padding[0], layer.padding[1])


def _forward(layer: torch.nn.Conv2d, axes: str, inputs: torch.Tensor, weight: Any, bias: Any) -> torch.Tensor:
    rows, columns = _padding(layer)
    inputs = pad(inputs, (columns, columns, 0, 0), mode="circular" if axes in ("both", "x") else "constant")
    inputs = pad(inputs, (0, 0, rows, rows), mode="circular" if axes in ("both", "y") else "constant")
    return conv2d(inputs, weight, bias, layer.stride, 0, layer.dilation, layer.groups)
