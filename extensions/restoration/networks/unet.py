"""The one architecture of our own networks: a small residual U-Net on a picture whose pixels are folded into channels.

What a network is for, it is told at the start: how many channels come in and go out (``TASKS``).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

_SMOOTHER = (3, 3, 5, 9)
"""Sides of the mean filters that are applied one after another to a picture that is to be restored."""
_DETAIL = 6.0
"""How much larger than the picture itself its difference from the mean around each pixel enters."""


@dataclass(frozen=True)
class Task:
    """What one network takes and gives. ``residual``: of the first ``outputs`` channels of its input."""

    inputs: int
    outputs: int
    widths: tuple[int, ...]
    gain: float = 1.0
    """Of the last layer's output: how large a usual answer is, so that one rate of learning suits all tasks."""
    residual: bool = False
    """Whether the answer is added to the picture, and how far each place goes to its smoother copies is told too."""


TASKS = {
    # RGB, then how much noise and JPEG there is (0..1, the same everywhere) -> RGB, as blurred as it was
    "restorer": Task(5, 3, (24, 40, 64), gain=0.25, residual=True),
    # L / 100, hinted a and b / 110, where hints are (0 or 1) -> a and b / 110
    "colourizer": Task(4, 2, (24, 40, 56, 56), gain=0.3),
    # RGB -> the logit of a scratch
    "scratches": Task(3, 1, (16, 28, 40)),
}


class SmallUNet(nn.Module):
    """float32 [N,inputs,H,W] -> [N,outputs,H,W]; any size: edges are continued up to a multiple of ``multiple``."""

    def __init__(self, task: Task) -> None:
        super().__init__()
        self.task = task
        first, *deeper = task.widths
        self.multiple = 2 ** len(task.widths)
        self.stem = nn.Conv2d(8 * task.inputs, first, 3, padding=1)
        self.down = nn.ModuleList()
        self.encode = nn.ModuleList([_Block(first)])
        self.up = nn.ModuleList()
        self.decode = nn.ModuleList()
        width = first
        for wider in deeper:
            self.down.append(nn.Conv2d(width, wider, 2, stride=2))
            self.encode.append(_Block(wider))
            self.up.insert(0, nn.Conv2d(wider, width, 1))
            self.decode.insert(0, _Block(width))
            width = wider
        self.middle = _Block(width)
        answers = task.outputs + (len(_SMOOTHER) if task.residual else 0)
        self.last = nn.Conv2d(first, 4 * answers, 3, padding=1)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                # He et al. 2015; torch's own start leaves so little signal that the network stays almost linear.
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                nn.init.zeros_(layer.bias)
        nn.init.zeros_(self.last.weight)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        padded = functional.pad(x, (0, -width % self.multiple, 0, -height % self.multiple), mode="replicate")
        # Noise and lines are small beside what a picture shows: without this they are seen only after long training.
        mean = functional.avg_pool2d(padded, 3, stride=1, padding=1, count_include_pad=False)
        seen = torch.cat([padded * 2 - 1, (padded - mean) * _DETAIL], dim=1)
        h = self.encode[0](self.stem(functional.pixel_unshuffle(seen, 2)))
        kept = [h]
        for down, block in zip(self.down, self.encode[1:], strict=True):
            h = block(down(h))
            kept.append(h)
        h = self.middle(kept.pop())
        for up, block in zip(self.up, self.decode, strict=True):
            h = functional.interpolate(up(h), scale_factor=2, mode="nearest")
            h = block(h + kept.pop())
        out = functional.pixel_shuffle(self.last(h), 2)[..., :height, :width] * self.task.gain
        return _added(x[:, : self.task.outputs], out) if self.task.residual else out


def _added(picture: Tensor, out: Tensor) -> Tensor:
    """The picture, moved by ``out``'s last channels towards or away from copies of itself that are smoothed more and
    more, and by its first channels. A network that starts from filters learns in a tenth of the steps.
    """
    channels = picture.shape[1]
    made, smooth = picture + out[:, :channels], picture
    for place, side in enumerate(_SMOOTHER, start=channels):
        smooth = functional.avg_pool2d(smooth, side, stride=1, padding=side // 2, count_include_pad=False)
        made = made + out[:, place : place + 1] * (smooth - picture)
    return made


class _Block(nn.Module):
    """Two convolutions added to what they saw, and what the whole field says on average, added to every place."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        self.field = nn.Linear(width, width)
        nn.init.zeros_(self.field.weight)
        nn.init.zeros_(self.field.bias)
        self.gain = nn.Parameter(torch.full((1, width, 1, 1), 0.3))

    def forward(self, x: Tensor) -> Tensor:
        h = functional.silu(self.first(x))
        h = h + self.field(h.mean(dim=(2, 3)))[..., None, None]
        out: Tensor = x + self.gain * self.second(h)
        return out
