"""Noise between two seeds: each draw of a run's generators is turned towards that of a second one, so that strength 0
is the picture of the seed and strength 1 that of the variation's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.overrides import TorchFunctionMode


class Varied(TorchFunctionMode):
    """Within, ``torch.randn`` of a generator among ``twins`` gives noise turned by ``strength`` to its twin's."""

    def __init__(self, twins: Mapping[torch.Generator, torch.Generator], strength: float) -> None:
        super().__init__()
        self._twins = {id(own): (own, twin) for own, twin in twins.items()}
        self._strength = strength

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        options = kwargs or {}
        found = self._twins.get(id(options.get("generator"))) if func is torch.randn else None
        if found is None:
            return func(*args, **options)
        own, twin = (func(*args, **{**options, "generator": generator}) for generator in found)
        return slerp(own, twin, self._strength)


def slerp(low: torch.Tensor, high: torch.Tensor, share: float) -> torch.Tensor:
    """Spherical interpolation (Shoemake 1985) of two noises of one shape, taken whole as vectors. Same shape and dtype;
    ``share`` 0 gives ``low`` and 1 ``high``, bit by bit.
    """
    a, b = low.double().flatten(), high.double().flatten()
    cosine = (a @ b / (a.norm() * b.norm()).clamp(min=1e-12)).clamp(-1, 1)
    angle = torch.acos(cosine)
    if float(angle.sin()) < 1e-4:  # parallel: there is no arc
        mixed = a * (1 - share) + b * share
    else:
        mixed = (a * torch.sin((1 - share) * angle) + b * torch.sin(share * angle)) / torch.sin(angle)
    return mixed.reshape(low.shape).to(low.dtype)
