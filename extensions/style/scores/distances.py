"""How far a picture's content and style are from what they should be, on an encoder's activations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from extensions.style.networks.encoder import Encoder
from extensions.style.networks.optimizing import losses, style_targets


@dataclass(frozen=True)
class Distances:
    """Relative squared errors: 0 is the same, 1 as far as black activations are (nothing of it is there)."""

    content: float
    style: float


@torch.no_grad()
def distances(
    encoder: Encoder, made: Tensor, content: Tensor, references: Sequence[Tensor], shares: Sequence[float]
) -> Distances:
    """Of ``made`` [1,3,H,W] in 0..1: its content layer against that of ``content`` of the same size, its Gram matrices
    against the weighted mean of those of ``references``; as ``networks.optimizing.losses`` defines both.
    """
    wanted = encoder(content, (encoder.plan.content,))[encoder.plan.content]
    kept, styled = losses(encoder, made, wanted, style_targets(encoder, references, shares))
    return Distances(float(kept), float(styled))
