"""BiSeNet: the parts of a photographed face, 19 classes of CelebAMask-HQ (Yu et al. 2018, over a ResNet-18).

Modules are named as in the published face-parsing weights, so that their state dict loads as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from webui.api import ModelError

SIZE, CLASSES = 512, 19
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class ConvBlock(nn.Module):
    """Convolution, norm, ReLU."""

    def __init__(self, before: int, after: int, kernel: int = 3, stride: int = 1, padding: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(before, after, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(after)

    def forward(self, x: Tensor) -> Tensor:
        return self.bn(self.conv(x)).relu()


class Basic(nn.Module):
    """ResNet's basic block (He et al. 2016)."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.BatchNorm2d(after)
        self.conv2, self.bn2 = nn.Conv2d(after, after, 3, 1, 1, bias=False), nn.BatchNorm2d(after)
        self.downsample: nn.Module | None = None
        if before != after or stride != 1:
            self.downsample = nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after))

    def forward(self, x: Tensor) -> Tensor:
        inner = self.bn2(self.conv2(self.bn1(self.conv1(x)).relu()))
        return (inner + (x if self.downsample is None else self.downsample(x))).relu()


class Resnet18(nn.Module):
    """float32 [N,3,H,W] -> features at an 8th, a 16th and a 32nd of the sides."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64)
        self.layer1 = nn.Sequential(Basic(64, 64, 1), Basic(64, 64, 1))
        self.layer2 = nn.Sequential(Basic(64, 128, 2), Basic(128, 128, 1))
        self.layer3 = nn.Sequential(Basic(128, 256, 2), Basic(256, 256, 1))
        self.layer4 = nn.Sequential(Basic(256, 512, 2), Basic(512, 512, 1))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x = functional.max_pool2d(self.bn1(self.conv1(x)).relu(), 3, 2, 1)
        eighth = self.layer2(self.layer1(x))
        sixteenth = self.layer3(eighth)
        return eighth, sixteenth, self.layer4(sixteenth)


class Attention(nn.Module):
    """Attention refinement."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.conv = ConvBlock(before, after)
        self.conv_atten = nn.Conv2d(after, after, 1, bias=False)
        self.bn_atten = nn.BatchNorm2d(after)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        return x * self.bn_atten(self.conv_atten(x.mean((2, 3), keepdim=True))).sigmoid()


class ContextPath(nn.Module):
    """Wide features, brought back to an 8th of the sides."""

    def __init__(self) -> None:
        super().__init__()
        self.resnet = Resnet18()
        self.arm16, self.arm32 = Attention(256, 128), Attention(512, 128)
        self.conv_head32, self.conv_head16 = ConvBlock(128, 128), ConvBlock(128, 128)
        self.conv_avg = ConvBlock(512, 128, 1, 1, 0)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        eighth, sixteenth, last = self.resnet(x)
        wide = self.arm32(last) + self.conv_avg(last.mean((2, 3), keepdim=True))
        wide = self.conv_head32(functional.interpolate(wide, sixteenth.shape[2:], mode="nearest"))
        wide = self.arm16(sixteenth) + wide
        return eighth, self.conv_head16(functional.interpolate(wide, eighth.shape[2:], mode="nearest"))


class Fusion(nn.Module):
    """Feature fusion."""

    def __init__(self) -> None:
        super().__init__()
        self.convblk = ConvBlock(256, 256, 1, 1, 0)
        self.conv1 = nn.Conv2d(256, 64, 1, bias=False)
        self.conv2 = nn.Conv2d(64, 256, 1, bias=False)

    def forward(self, fine: Tensor, wide: Tensor) -> Tensor:
        x = self.convblk(torch.cat([fine, wide], 1))
        return x + x * self.conv2(self.conv1(x.mean((2, 3), keepdim=True)).relu()).sigmoid()


class Output(nn.Module):
    """Features -> logits of the classes."""

    def __init__(self, before: int, middle: int) -> None:
        super().__init__()
        self.conv = ConvBlock(before, middle)
        self.conv_out = nn.Conv2d(middle, CLASSES, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv_out(self.conv(x))


class BiSeNet(nn.Module):
    """float32 [N,3,512,512], normalized as ImageNet -> logits float32 [N,19,512,512]."""

    def __init__(self) -> None:
        super().__init__()
        self.cp, self.ffm = ContextPath(), Fusion()
        # The two further outputs serve training alone; the published weights hold them.
        self.conv_out, self.conv_out16, self.conv_out32 = Output(256, 256), Output(128, 64), Output(128, 64)

    def forward(self, x: Tensor) -> Tensor:
        logits = self.conv_out(self.ffm(*self.cp(x)))
        return functional.interpolate(logits, x.shape[2:], mode="bilinear", align_corners=True)


def load_bisenet(weights: Mapping[str, Any]) -> BiSeNet:
    """The network in evaluation mode. Raises ModelError."""
    network = BiSeNet()
    kept = {n.removeprefix("module."): t.float() for n, t in weights.items()}
    # A classifier of ImageNet that some files keep has no use here.
    kept = {name: tensor for name, tensor in kept.items() if not name.startswith("cp.resnet.fc")}
    try:
        network.load_state_dict(kept)
    except RuntimeError as error:
        raise ModelError(f"The file is no BiSeNet for faces: {str(error)[:300]}") from error
    return network.eval().requires_grad_(False)


IN_OURS = (
    "background", "skin", "brow", "brow", "eye", "eye", "eyewear", "skin", "skin", "accessory", "nose", "mouth",
    "mouth", "mouth", "neck", "accessory", "clothes", "hair", "hat",
)  # fmt: skip
"""Its classes in order (skin, brows, eyes, glasses, ears, earring, nose, mouth, lips, neck, necklace, cloth, hair, hat)
-> our parts.
"""
