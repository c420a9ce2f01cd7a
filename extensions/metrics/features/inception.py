"""The Inception network of FID, KID and the inception score: 299 x 299 pixels -> 2048 features and 1008 logits.

Inception v3 (Szegedy et al. 2016) as TensorFlow's graph of 2015-12-05 has it, which differs from later ones: average
pools leave the padding out, and the last block pools by maximum. Weights are read under the names of its published
PyTorch ports. Normalization is folded into the convolutions, and those of 1x1 that read one input are one convolution.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional

SIDE, FEATURES, CLASSES = 299, 2048, 1008
_EPS = 1e-3
Size = tuple[int, int]
Folded = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Layer:
    """One convolution by its name in the weights; ``stride`` 2 goes without padding."""

    name: str
    width: int
    size: Size = (1, 1)
    stride: int = 1


@dataclass(frozen=True)
class Plan:
    """One block: a lone 1x1, chains of layers, what forks at a chain's end, and what comes of its pool."""

    name: str
    before: int
    lone: Layer | None
    chains: tuple[tuple[Layer, ...], ...]
    forks: tuple[tuple[Layer, ...], ...] = ()
    """Beside each chain: layers that all read its end."""
    pool: str = "average"
    after_pool: Layer | None = None

    @property
    def heads(self) -> list[Layer]:
        """The 1x1 convolutions that read the block's input: an average pool may come after its own."""
        firsts = [chain[0] for chain in self.chains if chain[0].size == (1, 1)]
        last = [self.after_pool] if self.after_pool is not None and self.pool == "average" else []
        return [*([self.lone] if self.lone else []), *firsts, *last]


def _a(name: str, before: int, pool: int) -> Plan:
    five = (Layer("branch5x5_1", 48), Layer("branch5x5_2", 64, (5, 5)))
    three = (Layer("branch3x3dbl_1", 64), *(Layer(f"branch3x3dbl_{i}", 96, (3, 3)) for i in (2, 3)))
    return Plan(name, before, Layer("branch1x1", 64), (five, three), after_pool=Layer("branch_pool", pool))


def _b(name: str) -> Plan:
    direct = (Layer("branch3x3", 384, (3, 3), 2),)
    three = (Layer("branch3x3dbl_1", 64), Layer("branch3x3dbl_2", 96, (3, 3)), Layer("branch3x3dbl_3", 96, (3, 3), 2))
    return Plan(name, 288, None, (direct, three), pool="reduce")


def _c(name: str, width: int) -> Plan:
    across, down = (1, 7), (7, 1)
    seven = (
        Layer("branch7x7_1", width),
        Layer("branch7x7_2", width, across),
        Layer("branch7x7_3", 192, down),
    )
    twice = (
        Layer("branch7x7dbl_1", width),
        Layer("branch7x7dbl_2", width, down),
        Layer("branch7x7dbl_3", width, across),
        Layer("branch7x7dbl_4", width, down),
        Layer("branch7x7dbl_5", 192, across),
    )
    return Plan(name, 768, Layer("branch1x1", 192), (seven, twice), after_pool=Layer("branch_pool", 192))


def _d(name: str) -> Plan:
    three = (Layer("branch3x3_1", 192), Layer("branch3x3_2", 320, (3, 3), 2))
    seven = (
        Layer("branch7x7x3_1", 192),
        Layer("branch7x7x3_2", 192, (1, 7)),
        Layer("branch7x7x3_3", 192, (7, 1)),
        Layer("branch7x7x3_4", 192, (3, 3), 2),
    )
    return Plan(name, 768, None, (three, seven), pool="reduce")


def _e(name: str, before: int, pool: str) -> Plan:
    chains = (
        (Layer("branch3x3_1", 384),),
        (Layer("branch3x3dbl_1", 448), Layer("branch3x3dbl_2", 384, (3, 3))),
    )
    forks = tuple(
        (Layer(f"{stem}a", 384, (1, 3)), Layer(f"{stem}b", 384, (3, 1))) for stem in ("branch3x3_2", "branch3x3dbl_3")
    )
    return Plan(name, before, Layer("branch1x1", 320), chains, forks, pool, Layer("branch_pool", 192))


STEM = (
    Layer("Conv2d_1a_3x3", 32, (3, 3), 2),
    Layer("Conv2d_2a_3x3", 32, (3, 3)),
    Layer("Conv2d_2b_3x3", 64, (3, 3)),
    Layer("Conv2d_3b_1x1", 80),
    Layer("Conv2d_4a_3x3", 192, (3, 3)),
)
_UNPADDED, _POOLED_AFTER = ("Conv2d_2a_3x3", "Conv2d_4a_3x3"), ("Conv2d_2b_3x3", "Conv2d_4a_3x3")
BLOCKS = (
    _a("Mixed_5b", 192, 32), _a("Mixed_5c", 256, 64), _a("Mixed_5d", 288, 64),
    _b("Mixed_6a"),
    _c("Mixed_6b", 128), _c("Mixed_6c", 160), _c("Mixed_6d", 160), _c("Mixed_6e", 192),
    _d("Mixed_7a"),
    _e("Mixed_7b", 1280, "average"), _e("Mixed_7c", 2048, "maximum"),
)  # fmt: skip


def _convolution(before: int, layers: Sequence[Layer], *, padded: bool = True) -> nn.Conv2d:
    """One convolution in place of ``layers``, which are alike but for their width."""
    first = layers[0]
    around = (first.size[0] // 2, first.size[1] // 2) if padded and first.stride == 1 else (0, 0)
    return nn.Conv2d(before, sum(layer.width for layer in layers), first.size, first.stride, around)


class Block(nn.Module):
    """float32 [N,before,h,w] -> the outputs of all branches, one after the other."""

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self.plan = plan
        self.heads = _convolution(plan.before, plan.heads)
        self.layers = nn.ModuleDict()
        for chain, fork in zip(plan.chains, plan.forks or ((),) * len(plan.chains), strict=True):
            before = plan.before
            for layer in (*chain, *fork):
                if layer not in plan.heads:
                    self.layers[layer.name] = _convolution(before, [layer])
                before = layer.width if layer in chain else before
        if plan.after_pool is not None and plan.after_pool not in plan.heads:
            self.layers[plan.after_pool.name] = _convolution(plan.before, [plan.after_pool])

    def sources(self) -> Iterator[tuple[nn.Conv2d, list[str]]]:
        """Each convolution with the names of the layers that it holds."""
        yield self.heads, [f"{self.plan.name}.{layer.name}" for layer in self.plan.heads]
        for name, convolution in self.layers.items():
            yield convolution, [f"{self.plan.name}.{name}"]  # type: ignore[misc]

    def _then(self, name: str, x: Tensor) -> Tensor:
        return functional.relu_(self.layers[name](x))

    def forward(self, x: Tensor) -> Tensor:
        plan = self.plan
        parts = dict(
            zip((h.name for h in plan.heads), self.heads(x).split([h.width for h in plan.heads], 1), strict=True)
        )
        out = [functional.relu(parts[plan.lone.name])] if plan.lone else []
        for chain, fork in zip(plan.chains, plan.forks or ((),) * len(plan.chains), strict=True):
            end = x
            for layer in chain:
                end = functional.relu(parts[layer.name]) if layer.name in parts else self._then(layer.name, end)
            out += [self._then(layer.name, end) for layer in fork] or [end]
        return torch.cat([*out, self._pooled(x, parts)], 1)

    def _pooled(self, x: Tensor, parts: Mapping[str, Tensor]) -> Tensor:
        last = self.plan.after_pool
        if last is None:
            return functional.max_pool2d(x, 3, 2)
        if last.name in parts:  # a mean over places and a sum over channels may change places: less is pooled
            return functional.relu_(functional.avg_pool2d(parts[last.name], 3, 1, 1, count_include_pad=False))
        return self._then(last.name, functional.max_pool2d(x, 3, 1, 1))


@dataclass(frozen=True)
class Told:
    """Of a batch: ``features`` float32 [N,2048], ``logits`` float32 [N,1008] without their bias, as FID's authors and
    the inception score's take them.
    """

    features: Tensor
    logits: Tensor = field(repr=False)


class Inception(nn.Module):
    """float32 [N,3,299,299] in 0..255 -> ``Told``."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.ModuleDict()
        before = 3
        for layer in STEM:
            self.stem[layer.name] = _convolution(before, [layer], padded=layer.name not in _UNPADDED)
            before = layer.width
        self.blocks = nn.ModuleList(Block(plan) for plan in BLOCKS)
        self.classes = nn.Linear(FEATURES, CLASSES, bias=False)

    def forward(self, images: Tensor) -> Told:
        x = (images - 128) / 128
        for name, convolution in self.stem.items():
            x = functional.relu_(convolution(x))
            if name in _POOLED_AFTER:
                x = functional.max_pool2d(x, 3, 2)
        for block in self.blocks:
            x = block(x)
        features = x.mean((2, 3))
        return Told(features, self.classes(features))


def from_weights(weights: Mapping[str, Tensor]) -> Inception:
    """A network with the published weights, name -> tensor. Raises KeyError for one that lacks."""
    network = Inception()
    sources = [(convolution, [name]) for name, convolution in network.stem.items()]
    sources += [source for block in network.blocks for source in block.sources()]  # type: ignore[operator, misc]
    with torch.no_grad():
        for convolution, names in sources:
            folded = [_folded(weights, name) for name in names]
            convolution.weight.copy_(torch.cat([weight for weight, _ in folded]))  # type: ignore[operator, union-attr]
            convolution.bias.copy_(torch.cat([bias for _, bias in folded]))  # type: ignore[operator, union-attr]
        network.classes.weight.copy_(weights["fc.weight"])
    return network.eval().requires_grad_(False).to(memory_format=torch.channels_last)


def _folded(weights: Mapping[str, Tensor], name: str) -> Folded:
    """Weight and bias of a convolution with its normalization: computed in float64, since it is done once."""
    said = {part: weights[f"{name}.bn.{part}"].double() for part in ("weight", "bias", "running_mean", "running_var")}
    scale = said["weight"] / (said["running_var"] + _EPS).sqrt()
    weight = weights[f"{name}.conv.weight"].double() * scale[:, None, None, None]
    return weight.float(), (said["bias"] - said["running_mean"] * scale).float()
