"""How far apart two pictures look, by the layers of a feature network: the content half of ArtFID."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional


@torch.no_grad()
def layer_distance(ours: Sequence[Tensor], theirs: Sequence[Tensor]) -> Tensor:
    """[N] from activations [N,C,h,w] of each layer: channels of a place at unit length, squared differences summed over
    channels, meant over places and layers (Zhang et al. 2018, equation 1, every channel counting the same).
    """
    found = []
    for one, other in zip(ours, theirs, strict=True):
        gap = functional.normalize(one, dim=1, eps=1e-8) - functional.normalize(other, dim=1, eps=1e-8)
        found.append(gap.square().sum(dim=1).mean(dim=(1, 2)))
    return torch.stack(found).mean(dim=0)


def art_fid(content: float, frechet: float) -> float:
    """(1 + content distance) (1 + Frechet distance): Wright and Ommer, ArtFID, 2022, equation 7."""
    return (1 + content) * (1 + frechet)


def first_score(told: Any) -> tuple[str, float]:
    """Name and value of the first score in the numbers of a job that compares sets."""
    name = str(told["order"][0])
    return name, float(told["scores"][name]["value"])
