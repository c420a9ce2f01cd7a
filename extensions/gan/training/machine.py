"""Where training computes: devices and processes by accelerate, precision, and the randomness of a step."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Machine:
    """One process of a run. With several, started by ``accelerate launch``, each computes its share of a batch and the
    gradients are averaged.
    """

    device: torch.device
    part: int = 0
    parts: int = 1
    half: bool = False
    """Convolutions and products in bfloat16."""

    @staticmethod
    def of(device: torch.device | None, precision: str = "auto") -> Machine:
        """``device``: a job's own; None leaves it to accelerate."""
        from accelerate import PartialState

        if device is not None and device.type != "cpu" and device.index is not None:
            torch.cuda.set_device(device)
        state = PartialState(cpu=device is not None and device.type == "cpu")
        half = precision == "bfloat16" or (precision == "auto" and state.device.type == "cuda")
        return Machine(state.device, state.process_index, state.num_processes, half)

    @property
    def main(self) -> bool:
        """Whether this process writes files."""
        return self.part == 0

    def autocast(self) -> AbstractContextManager[object]:
        """For networks: bfloat16 where it was chosen."""
        return torch.autocast(self.device.type, torch.bfloat16) if self.half else nullcontext()

    def generator(self, seed: int, step: int, what: int = 0) -> torch.Generator:
        """The randomness of one step, a function of its number alone: what makes going on exact. Processes differ."""
        mixed = ((seed * 1_000_003 + step) * 64 + self.part) * 16 + what
        return torch.Generator(self.device).manual_seed(mixed % 2**63)

    def average_gradients(self, module: nn.Module) -> None:
        """Over all processes, in one message."""
        if self.parts == 1:
            return
        from accelerate.utils import reduce

        grads = [p.grad for p in module.parameters() if p.grad is not None]
        flat = torch.cat([grad.flatten() for grad in grads])
        flat = reduce(flat, "mean")
        for grad, part in zip(grads, flat.split([grad.numel() for grad in grads]), strict=True):
            grad.copy_(part.view_as(grad))

    def mean(self, value: Tensor) -> Tensor:
        """Of a scalar over all processes."""
        if self.parts == 1:
            return value
        from accelerate.utils import reduce

        averaged: Tensor = reduce(value, "mean")
        return averaged

    def wait(self) -> None:
        """Until every process is here."""
        if self.parts > 1:
            from accelerate import PartialState

            PartialState().wait_for_everyone()


def finite(modules: Iterable[nn.Module]) -> bool:
    """Whether every parameter is a number."""
    return all(bool(torch.isfinite(p).all()) for module in modules for p in module.parameters())
