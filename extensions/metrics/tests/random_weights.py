"""Weights of published networks' shapes and names, drawn at random: architectures are proven with them, offline."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from extensions.metrics.features.inception import BLOCKS, CLASSES, FEATURES, STEM, Layer


def inception_weights(seed: int = 0) -> dict[str, Tensor]:
    """As torch-fidelity's and pytorch-fid's files have them: float32, variances about one, so that nothing explodes."""
    generator = torch.Generator().manual_seed(seed)
    weights: dict[str, Tensor] = {}
    for name, layer, before in _layers():
        fan_in = before * layer.size[0] * layer.size[1]
        shape = (layer.width, before, *layer.size)
        weights[f"{name}.conv.weight"] = torch.randn(shape, generator=generator) * (2 / fan_in) ** 0.5
        weights[f"{name}.bn.weight"] = 0.8 + 0.4 * torch.rand(layer.width, generator=generator)
        weights[f"{name}.bn.bias"] = 0.1 * torch.randn(layer.width, generator=generator)
        weights[f"{name}.bn.running_mean"] = 0.1 * torch.randn(layer.width, generator=generator)
        weights[f"{name}.bn.running_var"] = 0.5 + torch.rand(layer.width, generator=generator)
        weights[f"{name}.bn.num_batches_tracked"] = torch.tensor(0)
    weights["fc.weight"] = torch.randn((CLASSES, FEATURES), generator=generator) * 0.05
    weights["fc.bias"] = torch.randn(CLASSES, generator=generator) * 0.05
    return weights


def _layers() -> Iterator[tuple[str, Layer, int]]:
    """Name, layer and how many channels it reads, of every convolution."""
    before = 3
    for layer in STEM:
        yield layer.name, layer, before
        before = layer.width
    for plan in BLOCKS:
        for layer in filter(None, (plan.lone, plan.after_pool)):
            yield f"{plan.name}.{layer.name}", layer, plan.before
        for chain, fork in zip(plan.chains, plan.forks or ((),) * len(plan.chains), strict=True):
            width = plan.before
            for layer in chain:
                yield f"{plan.name}.{layer.name}", layer, width
                width = layer.width
            for layer in fork:
                yield f"{plan.name}.{layer.name}", layer, width
