"""Beside training: the moving average of a network's weights, which is what is kept."""

from __future__ import annotations

import copy

import torch
from torch import nn


class Average:
    """Exponential moving average with a half-life in pictures, shorter at first (Karras et al. 2020, appendix B)."""

    def __init__(self, network: nn.Module, half_life: float, ramp: float = 0.05) -> None:
        self.network = copy.deepcopy(network).requires_grad_(False).eval()
        self.half_life, self.ramp = half_life, ramp
        self._source = network
        self._kept, self._new = self._floats(self.network), self._floats(network)

    @staticmethod
    def _floats(network: nn.Module) -> list[torch.Tensor]:
        return [p.data for p in network.parameters()]

    @torch.no_grad()
    def update(self, seen: int, batch: int) -> None:
        """After a step; ``seen`` pictures have been trained on so far. Buffers are copied."""
        half_life = min(self.half_life, max(seen * self.ramp, 1e-8))
        torch._foreach_lerp_(self._kept, self._new, 1 - 0.5 ** (batch / half_life))
        for kept, new in zip(self.network.buffers(), self._source.buffers(), strict=True):
            kept.copy_(new)
