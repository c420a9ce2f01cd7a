"""The network for drawn faces, read as its training writes it: config.json beside model.safetensors.

The layout: an encoder of halving steps, a decoder to half of the picture's sides, one output for everything.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from webui.api import ModelError

STRIDE = 2
"""Pixels to a cell of the outputs."""
MULTIPLE = 16
"""What the sides of a picture must divide by."""


class DrawnFaces(nn.Module):
    """float32 [N,3,H,W] in -1..1 -> "parts" [N,P,h,w] and "landmarks" [N,L,h,w] as logits, "centre" [N,1,h,w] as logit,
    "size" [N,2,h,w] as log of width and height in pixels; h and w are half of H and W.
    """

    def __init__(self, channels: Sequence[int], parts: Sequence[str], landmarks: Sequence[str], size: int) -> None:
        super().__init__()
        self.parts, self.landmarks, self.size = tuple(parts), tuple(landmarks), size
        first, *rest = channels
        self.conv_in = _block(3, first, stride=2)
        down, before = [nn.Sequential(_block(first, first))], first
        for width in rest:
            down.append(nn.Sequential(_block(before, width, stride=2), _block(width, width)))
            before = width
        self.down = nn.ModuleList(down)
        self.wide = nn.Sequential(_block(before, before, dilation=2), _block(before, before, dilation=3))
        pairs = zip(reversed(channels[:-1]), reversed(channels[1:]), strict=True)
        self.up = nn.ModuleList(
            nn.ModuleList([nn.Conv2d(coarse, fine, 1), _block(fine, fine)]) for fine, coarse in pairs
        )
        self.conv_out = nn.Conv2d(first, len(parts) + 3 + len(landmarks), 1)

    def forward(self, pictures: Tensor) -> dict[str, Tensor]:
        x, kept = self.conv_in(pictures), []
        for level in self.down:
            x = level(x)
            kept.append(x)
        x = self.wide(x)
        for (narrow, block), skip in zip(self.up, reversed(kept[:-1]), strict=True):
            x = block(functional.interpolate(narrow(x), scale_factor=2, mode="nearest") + skip)
        outputs = self.conv_out(x).split((len(self.parts), 1, 2, len(self.landmarks)), 1)
        return dict(zip(("parts", "centre", "size", "landmarks"), outputs, strict=True))


def _block(before: int, after: int, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    layer = nn.Conv2d(before, after, 3, stride, dilation, dilation, bias=False)
    return nn.Sequential(layer, nn.GroupNorm(4, after), nn.SiLU())


def load_drawn(config: Path, weights: Mapping[str, Any]) -> DrawnFaces:
    """The network in evaluation mode. Raises ModelError."""
    try:
        about = json.loads(config.read_text(encoding="utf-8"))
        network = DrawnFaces(about["channels"], about["parts"], about["landmarks"], int(about["size"]))
        network.load_state_dict({name: tensor.float() for name, tensor in weights.items()})
    except (OSError, ValueError, LookupError, TypeError, RuntimeError) as error:
        raise ModelError(f"The network of faces in {config.parent.name} cannot be read: {error}") from error
    return network.eval().requires_grad_(False)


def places(heat: Tensor) -> Tensor:
    """Logits float32 [L,h,w] -> float32 [L,2]: the mean place (x, y) in cells within three of each map's maximum."""
    count, h, w = heat.shape
    flat = heat.flatten(1).softmax(1)
    x = torch.arange(w, device=heat.device, dtype=heat.dtype).repeat(h)
    y = torch.arange(h, device=heat.device, dtype=heat.dtype).repeat_interleave(w)
    best = flat.argmax(1, keepdim=True)
    flat = flat * (((x - x[best]).abs() <= 3) & ((y - y[best]).abs() <= 3))
    flat = flat / flat.sum(1, keepdim=True)
    return torch.stack([(flat * x).sum(1), (flat * y).sum(1)], 1).view(count, 2)
