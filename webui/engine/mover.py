"""Carries out what the ledger plans: weights to the device, and back to their master in main memory without a copy."""

from __future__ import annotations

import itertools
from typing import Any

import torch

from .memory import held_bytes, machine_memory, modules, tensors_of
from .tiers import DeviceMemory

_PIN_SHARE = 0.5
"""Of the main memory this process may use, the most that is page-locked: the system cannot take it back."""

_Place = tuple[int, int, tuple[int, ...], tuple[int, ...]]


class Weights:
    """One component's tensors: those in use, and their masters in main memory while the former are on the device.

    Not guarded: who changes the entry's state to MOVING has it alone.
    """

    def __init__(self, value: Any) -> None:
        self.value = value
        self.uploads = 0
        self.pinned_bytes = 0
        self._masters: list[tuple[torch.Tensor, torch.Tensor]] = []

    @property
    def size_bytes(self) -> int:
        return held_bytes(self.value)

    @property
    def plain(self) -> bool:
        """Whether its tensors can be pointed elsewhere one by one; quantized ones carry state of their own."""
        return all(type(one) in (torch.Tensor, torch.nn.Parameter) for one in tensors_of(self.value))

    def forget_masters(self) -> None:
        """What is in use may have been changed: the masters are not its copy any more."""
        self._masters.clear()
        self.pinned_bytes = 0

    def point_to_masters(self) -> None:
        """Off the device: 0.2 ms for a UNet. What has no master is copied back."""
        for tensor, master in self._masters:
            tensor.data = master
        mastered = {id(tensor) for tensor, _ in self._masters}
        self._masters.clear()
        for tensor in self.tensors():
            if id(tensor) not in mastered:
                tensor.data = tensor.data.to("cpu", copy=True)

    def point_to(self, copies: list[torch.Tensor], masters: list[torch.Tensor]) -> None:
        """To the device: a copy and a master for each of ``tensors()``."""
        tensors = self.tensors()
        for tensor, copy in zip(tensors, copies, strict=True):
            tensor.data = copy
        self._masters = list(zip(tensors, masters, strict=True))
        self.uploads += 1

    def tensors(self) -> list[torch.Tensor]:
        """Each once."""
        return list({id(tensor): tensor for tensor in tensors_of(self.value)}.values())


class Mover:
    """Moves weights between main memory and one device. Not guarded: one move at a time is the cache's business."""

    def __init__(self, memory: DeviceMemory, target: torch.device, *, pin_cap_bytes: int | None = None) -> None:
        """``pin_cap_bytes``: the most page-locked memory; None: half of what this process may use."""
        self._memory = memory
        self._target = target
        self._pin_cap_bytes = pin_cap_bytes
        self._pinned: dict[int, int] = {}

    def upload(self, weights: Weights) -> bool:
        """Put ``weights`` on the device; whether their masters stay in main memory.

        They are page-locked at the second upload: at the first it costs more than it saves. Raises what the device
        raises, with all as it was.
        """
        if not weights.plain:
            for module in modules(weights.value):
                module.to(self._target)
            return False
        tensors = weights.tensors()
        masters = [tensor.data for tensor in tensors]
        if weights.uploads == 1 and self._may_pin(weights.size_bytes):
            masters = [self._memory.pin(master) for master in masters]
            weights.pinned_bytes = sum(one.untyped_storage().nbytes() for one in masters if one.is_pinned())
            self._pinned[id(weights)] = weights.pinned_bytes
        copies: dict[_Place, torch.Tensor] = {}
        for master in masters:
            if (place := _place(master)) not in copies:
                copies[place] = self._memory.copy_in(master)
        self._memory.synchronize()
        weights.point_to([copies[_place(master)] for master in masters], masters)
        return True

    def drop(self, weights: Weights) -> None:
        """Take ``weights`` off the device. Quantized ones know themselves how they are copied."""
        if not weights.plain:
            for module in modules(weights.value):
                module.to("cpu")
            return
        weights.point_to_masters()

    def forget(self, weights: Weights) -> None:
        """``weights`` are given up: their page-locked memory is no longer counted."""
        self._pinned.pop(id(weights), None)
        weights.forget_masters()

    def _may_pin(self, size_bytes: int) -> bool:
        cap = self._pin_cap_bytes
        if cap is None:
            cap = int((machine_memory().total_bytes or 0) * _PIN_SHARE)
        return sum(self._pinned.values()) + size_bytes <= cap


def _place(tensor: torch.Tensor) -> _Place:
    """Tensors of one place are one in memory, and stay one on the device."""
    return (tensor.untyped_storage().data_ptr(), int(tensor.storage_offset()), tuple(tensor.shape), tensor.stride())


def unread(value: Any) -> bool:
    """Whether some weights of ``value`` were never read: they have shapes and no contents."""
    return any(
        tensor.is_meta for module in modules(value) for tensor in itertools.chain(module.parameters(), module.buffers())
    )
