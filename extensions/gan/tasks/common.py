"""What every task has: the recipe, the machine, the data, and the fixed latents that its sheets show."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from extensions.gan.recipe import Recipe
from extensions.gan.training.data import Batches, PictureArray
from extensions.gan.training.machine import Machine

SHOWN = 36
"""Pictures on a sheet."""


@dataclass(frozen=True)
class Setting:
    """What a task is made of."""

    recipe: Recipe
    data: PictureArray
    machine: Machine
    seed: int
    steps: int
    layers: Callable[[Tensor], Sequence[Tensor]] | None = None
    """Of a network that sees already: pictures float32 [N,3,R,R] in -1..1 -> activations, fine to coarse, with
    gradients. Where it is given, a GAN's generator is judged by it too.
    """

    @property
    def device(self) -> torch.device:
        return self.machine.device

    @property
    def share(self) -> int:
        """Pictures of a batch that this process computes."""
        return self.recipe.batch // self.machine.parts

    def batches(self, batch: int = 0) -> Batches:
        recipe, machine = self.recipe, self.machine
        return Batches(
            self.data, batch or recipe.batch, self.seed, flip=recipe.flip, part=machine.part, parts=machine.parts
        )

    def rate_share(self, step: int) -> float:
        """By which rates are multiplied: 1, then down to a tenth over the last ``decay`` of the steps."""
        if not self.recipe.decay:
            return 1.0
        left = (self.steps - step) / (self.recipe.decay * self.steps)
        return 0.1 + 0.9 * min(1.0, left)


class Trainable(Protocol):
    """A task that pictures can be drawn from, and that leaves a model."""

    @property
    def modules(self) -> Mapping[str, nn.Module]: ...
    def step(self, step: int) -> Mapping[str, Tensor]: ...
    def state(self) -> dict[str, Any]: ...
    def restore(self, state: Mapping[str, Any]) -> None: ...

    @property
    def settled(self) -> bool:
        """Whether what ``draw`` gives is to be compared with the data: not before a prior is trained."""

    def shown(self) -> Tensor:
        """The pictures of the fixed latents, float32 [N,3,R,R] in about -1..1."""

    def draw(self, count: int, seed: int) -> Tensor:
        """``count`` new pictures, float32 [count,3,R,R], on the device."""

    def finished(self) -> tuple[nn.Module, dict[str, Any]]:
        """The network that is kept, with plain weights, and its configuration."""


def moved_to(state: Any, device: torch.device | str) -> Any:
    """A state with its tensors elsewhere, copied."""
    if isinstance(state, Tensor):
        return state.detach().to(device, copy=True)
    if isinstance(state, dict):
        return {key: moved_to(value, device) for key, value in state.items()}
    return state
