"""LPIPS: two pictures -> how different they look, by the layers of a network.

Zhang, Isola, Efros, Shechtman, Wang, "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric", CVPR
2018: activations of each layer are normalised over channels; their squared differences are weighted by channel, meant
over places and summed over layers. Weights of the trunks are those of ImageNet classifiers as torchvision publishes
them; the weights of channels are version 0.1 of the authors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from .errors import WrongFile

VERSION = "0.1"
_SHIFT, _SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
"""Of the authors: from -1..1 to what the classifiers were trained on."""
_EPSILON = 1e-10


@dataclass(frozen=True)
class Trunk:
    """A classifier's convolutions. ``taps``: the layers, counted as torchvision counts, whose output is compared."""

    name: str
    taps: tuple[int, ...]
    channels: tuple[int, ...]
    smallest_px: int
    """Of a picture's shorter edge."""


ALEX = Trunk("alex", (1, 4, 7, 9, 11), (64, 192, 384, 256, 256), 31)
VGG = Trunk("vgg", (3, 8, 15, 22, 29), (64, 128, 256, 512, 512), 16)
SQUEEZE = Trunk("squeeze", (1, 4, 7, 9, 10, 11, 12), (64, 128, 256, 384, 384, 512, 512), 17)
TRUNKS = {trunk.name: trunk for trunk in (ALEX, VGG, SQUEEZE)}


def _alex() -> list[nn.Module]:
    """Krizhevsky, "One weird trick for parallelizing convolutional neural networks", 2014."""
    layers: list[nn.Module] = [nn.Conv2d(3, 64, 11, stride=4, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2)]
    layers += [nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2)]
    for before, after in ((192, 384), (384, 256), (256, 256)):
        layers += [nn.Conv2d(before, after, 3, padding=1), nn.ReLU()]
    return layers


def _vgg() -> list[nn.Module]:
    """Simonyan and Zisserman, "Very Deep Convolutional Networks", 2015: configuration D."""
    layers: list[nn.Module] = []
    before = 3
    for stage, (count, after) in enumerate(((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))):
        layers += [nn.MaxPool2d(2, 2)] if stage else []
        for _ in range(count):
            layers += [nn.Conv2d(before, after, 3, padding=1), nn.ReLU()]
            before = after
    return layers


class Fire(nn.Module):
    """A 1 x 1 squeeze, then 1 x 1 and 3 x 3 side by side."""

    def __init__(self, before: int, squeezed: int, expanded: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(before, squeezed, 1)
        self.expand1x1 = nn.Conv2d(squeezed, expanded, 1)
        self.expand3x3 = nn.Conv2d(squeezed, expanded, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        squeezed = functional.relu(self.squeeze(x))
        return functional.relu(torch.cat([self.expand1x1(squeezed), self.expand3x3(squeezed)], 1))


def _squeeze() -> list[nn.Module]:
    """Iandola et al., "SqueezeNet", 2016: version 1.1."""

    def pool() -> nn.Module:
        return nn.MaxPool2d(3, 2, ceil_mode=True)

    layers: list[nn.Module] = [nn.Conv2d(3, 64, 3, stride=2), nn.ReLU()]
    layers += [pool(), Fire(64, 16, 64), Fire(128, 16, 64)]
    layers += [pool(), Fire(128, 32, 128), Fire(256, 32, 128)]
    layers += [pool(), Fire(256, 48, 192), Fire(384, 48, 192), Fire(384, 64, 256), Fire(512, 64, 256)]
    return layers


_LAYERS = {"alex": _alex, "vgg": _vgg, "squeeze": _squeeze}


def layer_distances(a: Sequence[Tensor], b: Sequence[Tensor], weights: Sequence[Tensor] | None = None) -> list[Tensor]:
    """The weighted squared difference of each layer: [N,C,H,W] pairs -> [N,H,W]. Without ``weights`` (each [C]) all
    channels weigh 1.
    """
    if len(a) != len(b) or (weights is not None and len(weights) != len(a)):
        raise ValueError(f"expected as many layers of both, and weights for each, got {len(a)} and {len(b)}")
    told = []
    for place, (one, other) in enumerate(zip(a, b, strict=True)):
        difference = (_normalised(one) - _normalised(other)).square()
        if weights is not None:
            difference = difference * weights[place].view(1, -1, 1, 1)
        told.append(difference.sum(dim=1))
    return told


def _normalised(layer: Tensor) -> Tensor:
    return layer / (layer.square().sum(dim=1, keepdim=True).sqrt() + _EPSILON)


def pooled(distances: Sequence[Tensor]) -> Tensor:
    """[N,H,W] of each layer -> [N]: the mean over places, the sum over layers."""
    return torch.stack([layer.mean(dim=(1, 2)) for layer in distances]).sum(dim=0)


def spread(distances: Sequence[Tensor], height: int, width: int) -> Tensor:
    """[N,H,W] of each layer -> [N,height,width]: where the pictures differ."""
    size = (height, width)
    return torch.stack(
        [
            functional.interpolate(one[:, None], size=size, mode="bilinear", align_corners=False)[:, 0]
            for one in distances
        ]
    ).sum(dim=0)


class Lpips(nn.Module):
    """float32 [N,3,H,W] in -1..1, twice -> float32 [N]: 0 for equal pictures."""

    def __init__(self, trunk: Trunk) -> None:
        super().__init__()
        self.trunk = trunk
        self.features = nn.Sequential(*_LAYERS[trunk.name]())
        self.channels = nn.ParameterList([torch.ones(count) for count in trunk.channels])
        self.register_buffer("shift", torch.tensor(_SHIFT).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("scale", torch.tensor(_SCALE).view(1, 3, 1, 1), persistent=False)

    def layers(self, images: Tensor) -> list[Tensor]:
        """The activations that are compared."""
        if images.ndim != 4 or images.shape[1] != 3 or min(images.shape[-2:]) < self.trunk.smallest_px:
            raise ValueError(
                f"LPIPS-{self.trunk.name}: expected [N,3,H,W] of at least {self.trunk.smallest_px} pixels, got "
                f"{list(images.shape)}"
            )
        x, taken = (images - self.shift) / self.scale, []
        for place, layer in enumerate(self.features):
            x = layer(x)
            if place in self.trunk.taps:
                taken.append(x)
        return taken

    def distances(self, a: Tensor, b: Tensor) -> list[Tensor]:
        """[N,h,w] of each layer."""
        layers = self.layers(torch.cat([a, b]))
        return layer_distances([x[: len(a)] for x in layers], [x[len(a) :] for x in layers], list(self.channels))

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return pooled(self.distances(a, b))


def trunk_of(shapes: Mapping[str, Sequence[int]]) -> Trunk | None:
    """Which trunk a file of these tensors holds, under any of its names; None for none."""
    named = {_own_name(name): tuple(shape) for name, shape in shapes.items()}
    if "features.3.squeeze.weight" in named:
        return SQUEEZE
    first = named.get("features.0.weight")
    if first == (64, 3, 11, 11):
        return ALEX
    return VGG if first == (64, 3, 3, 3) and named.get("features.28.weight") == (512, 512, 3, 3) else None


def _own_name(name: str) -> str:
    """torchvision: features.0.weight; lpips: net.slice1.0.weight; torchmetrics: net.slices.0.0.weight."""
    parts = name.split(".")
    if parts[0] == "net" and len(parts) > 3 and parts[1].startswith("slice"):
        return "features." + ".".join(parts[3 if parts[1] == "slices" else 2 :])
    return name


def channel_weights(tensors: Mapping[str, Tensor], trunk: Trunk) -> list[Tensor] | None:
    """The weights of channels in a file of the authors (``lin0.model.1.weight``, [1,C,1,1]); None where it has none.

    Raises WrongFile where they are another trunk's.
    """
    found = [tensors.get(f"lin{place}.model.1.weight") for place in range(len(trunk.channels))]
    whole = [one for one in found if one is not None]
    if not whole:
        return None
    if [one.numel() for one in whole] != list(trunk.channels):
        raise WrongFile(f"these weights of channels are not those of LPIPS-{trunk.name}")
    return [one.reshape(-1).float() for one in whole]


def assemble(trunk: Trunk, tensors: Mapping[str, Tensor], weights: Sequence[Tensor]) -> Lpips:
    """The network from a trunk's tensors under any of their names. Raises WrongFile."""
    network = Lpips(trunk)
    named = {_own_name(name): tensor for name, tensor in tensors.items()}
    wanted = network.features.state_dict()
    missing = [name for name in wanted if f"features.{name}" not in named]
    if missing:
        raise WrongFile(f"LPIPS-{trunk.name}: its trunk lacks {', '.join(missing[:3])}")
    wrong = [name for name, tensor in wanted.items() if named[f"features.{name}"].shape != tensor.shape]
    if wrong:
        raise WrongFile(f"LPIPS-{trunk.name}: its trunk has other shapes in {', '.join(wrong[:3])}")
    network.features.load_state_dict({name: named[f"features.{name}"].float() for name in wanted})
    with torch.no_grad():
        for own, given in zip(network.channels, weights, strict=True):
            own.copy_(given)
    return network.eval().requires_grad_(False)
