"""2DFAN: 68 landmarks of a photographed face by four stacked hourglasses (Bulat and Tzimiropoulos 2017).

Modules are named as in the published weights (2DFAN4), so that their state dict loads as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from webui.api import ModelError

SIZE, POINTS = 256, 68
REFERENCE_PX, LIFT = 195.0, 0.12
"""A face whose width and height add up to so many pixels fills the input as it was trained, its middle being this share
of the height above the box's.
"""


class Bottle(nn.Module):
    """The hierarchical block: three convolutions, each a part of the output (figure 2c of the paper's predecessor)."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        half, quarter = after // 2, after // 4
        self.bn1, self.conv1 = nn.BatchNorm2d(before), _conv3(before, half)
        self.bn2, self.conv2 = nn.BatchNorm2d(half), _conv3(half, quarter)
        self.bn3, self.conv3 = nn.BatchNorm2d(quarter), _conv3(quarter, quarter)
        self.downsample: nn.Module | None = None
        if before != after:
            self.downsample = nn.Sequential(nn.BatchNorm2d(before), nn.ReLU(), nn.Conv2d(before, after, 1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        first = self.conv1(self.bn1(x).relu())
        second = self.conv2(self.bn2(first).relu())
        third = self.conv3(self.bn3(second).relu())
        kept = x if self.downsample is None else self.downsample(x)
        return torch.cat([first, second, third], 1) + kept


class Hourglass(nn.Module):
    """Four halvings and back, with a block beside each."""

    def __init__(self, depth: int, width: int) -> None:
        super().__init__()
        self.depth = depth
        for level in range(1, depth + 1):
            for name in (f"b1_{level}", f"b2_{level}", f"b3_{level}"):
                self.add_module(name, Bottle(width, width))
        self.add_module("b2_plus_1", Bottle(width, width))

    def forward(self, x: Tensor) -> Tensor:
        return self._level(self.depth, x)

    def _level(self, level: int, x: Tensor) -> Tensor:
        block = self._modules
        low = block[f"b2_{level}"](functional.avg_pool2d(x, 2))  # type: ignore[misc]
        low = self._level(level - 1, low) if level > 1 else block["b2_plus_1"](low)  # type: ignore[misc]
        low = block[f"b3_{level}"](low)  # type: ignore[misc]
        return block[f"b1_{level}"](x) + functional.interpolate(low, scale_factor=2, mode="nearest")  # type: ignore[misc]


class Fan(nn.Module):
    """float32 [N,3,256,256] in 0..1 -> heat maps float32 [N,68,64,64] of the last hourglass."""

    def __init__(self, modules: int = 4, width: int = 256, points: int = POINTS) -> None:
        super().__init__()
        self.count = modules
        self.conv1, self.bn1 = nn.Conv2d(3, 64, 7, 2, 3), nn.BatchNorm2d(64)
        self.conv2, self.conv3, self.conv4 = Bottle(64, 128), Bottle(128, 128), Bottle(128, width)
        for i in range(modules):
            self.add_module(f"m{i}", Hourglass(4, width))
            self.add_module(f"top_m_{i}", Bottle(width, width))
            self.add_module(f"conv_last{i}", nn.Conv2d(width, width, 1))
            self.add_module(f"bn_end{i}", nn.BatchNorm2d(width))
            self.add_module(f"l{i}", nn.Conv2d(width, points, 1))
            if i < modules - 1:
                self.add_module(f"bl{i}", nn.Conv2d(width, width, 1))
                self.add_module(f"al{i}", nn.Conv2d(points, width, 1))

    def forward(self, x: Tensor) -> Tensor:
        part = self.get_submodule
        x = functional.avg_pool2d(self.conv2(self.bn1(self.conv1(x)).relu()), 2)
        x = self.conv4(self.conv3(x))
        heat = x
        for i in range(self.count):
            top = part(f"top_m_{i}")(part(f"m{i}")(x))
            top = part(f"bn_end{i}")(part(f"conv_last{i}")(top)).relu()
            heat = part(f"l{i}")(top)
            if i < self.count - 1:
                x = x + part(f"bl{i}")(top) + part(f"al{i}")(heat)
        return heat


def _conv3(before: int, after: int) -> nn.Conv2d:
    return nn.Conv2d(before, after, 3, padding=1, bias=False)


def load_fan(weights: Mapping[str, Any]) -> Fan:
    """The network in evaluation mode, of as many hourglasses as the file has. Raises ModelError."""
    weights = {name.removeprefix("module."): tensor for name, tensor in weights.items()}
    count = sum(name.startswith("l") and name.endswith(".weight") and name[1:-7].isdigit() for name in weights)
    try:
        network = Fan(count, int(weights["conv4.downsample.2.weight"].shape[0]), int(weights["l0.weight"].shape[0]))
        network.load_state_dict({name: tensor.float() for name, tensor in weights.items()})
    except (LookupError, RuntimeError) as error:
        raise ModelError(f"The file is no 2DFAN: {str(error)[:300]}") from error
    return network.eval().requires_grad_(False)


IN_OURS: Mapping[str, tuple[int, ...]] = {
    "left jaw": (0,), "left lower jaw": (4,), "chin": (8,), "right lower jaw": (12,), "right jaw": (16,),
    "left brow outer": (17,), "left brow middle": (19,), "left brow inner": (21,),
    "right brow inner": (22,), "right brow middle": (24,), "right brow outer": (26,), "nose": (33,),
    "left eye outer": (36,), "left eye top": (37, 38), "left eye inner": (39,), "left eye bottom": (40, 41),
    "left pupil": (36, 37, 38, 39, 40, 41),
    "right eye inner": (42,), "right eye top": (43, 44), "right eye outer": (45,), "right eye bottom": (46, 47),
    "right pupil": (42, 43, 44, 45, 46, 47),
    "mouth left": (48,), "mouth right": (54,), "upper lip": (62,), "lower lip": (66,),
}  # fmt: skip
"""Our landmark -> those of the 68 (iBUG's order) whose mean it is."""
