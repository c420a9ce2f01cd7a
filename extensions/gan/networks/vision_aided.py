"""Discriminators on the layers of a network that has learned to see already: from activations to logits."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .spectral import normalize_spectra

_MIDDLE = 64


class LayerHeads(nn.Module):
    """One small discriminator a layer (Sauer et al. 2021, section 3.2; Kumari et al. 2022): activations float32
    [N,C,h,w] each -> logits float32 [N, layers], each the mean over the places of its layer.

    Weights are spectrally normalized. Raises ValueError for other layers than it was made for.
    """

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        self.channels = tuple(channels)
        heads = [
            nn.Sequential(nn.Conv2d(width, _MIDDLE, 1), nn.LeakyReLU(0.2), nn.Conv2d(_MIDDLE, 1, 3, padding=1))
            for width in channels
        ]
        self.heads = normalize_spectra(nn.ModuleList(heads))

    def forward(self, layers: Sequence[Tensor]) -> Tensor:
        found = tuple(layer.shape[1] for layer in layers)
        if found != self.channels:
            raise ValueError(f"heads: expected layers of {self.channels} channels, got {found}")
        told = [head(layer).mean((1, 2, 3)) for head, layer in zip(self.heads, layers, strict=True)]  # type: ignore[call-overload]
        return torch.stack(told, 1)


def one_of_each_size(layers: Sequence[Tensor]) -> list[Tensor]:
    """Of layers fine to coarse the last of each size: what is seen at each scale."""
    return [one for one, after in zip(layers, [*layers[1:], None], strict=True) if after is None or _larger(one, after)]


def _larger(one: Tensor, other: Tensor) -> bool:
    return one.shape[-2:] != other.shape[-2:]
