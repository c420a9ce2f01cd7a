"""Beside the training loop: what moves a stage's weights, and how fast at which step."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from .config import StageConfig

_ENDS = ("conv_in.", "conv_out.", "quant_conv.", "embedding", "time_emb", "norm")
"""Parts of names of parameters that are no map from hidden features to hidden features."""


def rate_at(step: int, steps: int, decay: float, warmup: int = 100) -> float:
    """Factor on the learning rate: linear warm-up, constant, then linear to zero over the last share `decay`."""
    start = steps * (1 - decay)
    fall = 1.0 if step < start else max(0.0, (steps - step) / max(1.0, steps - start))
    return min(1.0, (step + 1) / warmup) * fall


class Matrices:
    """torch's Muon (Jordan et al. 2024) over convolutions too, each seen as a matrix [out, everything else].

    The matrices share their memory with the parameters; which order the columns have changes nothing in the update.
    """

    def __init__(self, parameters: list[nn.Parameter], rate: float) -> None:
        self._parameters = parameters
        self._views = [nn.Parameter(_as_matrix(p.detach())) for p in parameters]
        for parameter, view in zip(parameters, self._views, strict=True):
            if parameter.data_ptr() != view.data_ptr():
                raise ValueError(f"a parameter of shape {tuple(parameter.shape)} is laid out in no order of its axes")
        self._muon = torch.optim.Muon(self._views, lr=rate, weight_decay=0.0)

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        return self._muon.param_groups

    def step(self) -> None:
        for parameter, view in zip(self._parameters, self._views, strict=True):
            view.grad = None if parameter.grad is None else _as_matrix(parameter.grad)
        self._muon.step()

    def state_dict(self) -> dict[str, Any]:
        return self._muon.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._muon.load_state_dict(state)


def _as_matrix(tensor: Tensor) -> Tensor:
    """[out, ...] -> [out, n] without a copy, where the tensor is contiguous or channels last."""
    if tensor.ndim == 4 and not tensor.is_contiguous():
        tensor = tensor.permute(0, 2, 3, 1)
    return tensor.flatten(1)


class Optimizers:
    """AdamW for all parameters, or for those that Muon does not take: vectors, embeddings, first and last layers."""

    def __init__(self, modules: Mapping[str, nn.Module], part: StageConfig) -> None:
        named = [(n, p) for module in modules.values() for n, p in module.named_parameters() if p.requires_grad]
        matrices = [p for n, p in named if part.matrix_rate and _hidden(n, p)]
        taken = {id(p) for p in matrices}
        rest = [p for _, p in named if id(p) not in taken]
        fused = all(p.is_floating_point() for p in rest)
        adam = torch.optim.AdamW(rest, lr=part.rate, betas=(0.9, 0.99), weight_decay=0.01, fused=fused)
        self._parts: list[tuple[Any, float]] = [(adam, part.rate)]
        if matrices:
            self._parts.append((Matrices(matrices, part.matrix_rate), part.matrix_rate))

    def step(self, factor: float) -> None:
        """One update at `factor` times the configured rates."""
        for optimizer, rate in self._parts:
            for group in optimizer.param_groups:
                group["lr"] = rate * factor
            optimizer.step()

    def state(self) -> list[dict[str, Any]]:
        return [optimizer.state_dict() for optimizer, _ in self._parts]

    def restore(self, states: Iterable[dict[str, Any]]) -> None:
        """Raises ValueError where the states are of other optimizers."""
        for (optimizer, _), state in zip(self._parts, states, strict=True):
            optimizer.load_state_dict(state)


def _hidden(name: str, parameter: nn.Parameter) -> bool:
    wide = parameter.ndim >= 2 and min(parameter.shape[0], math.prod(parameter.shape[1:])) > 1
    return wide and not any(end in f"{name}." for end in _ENDS)
