"""A device that is not there: bytes are counted, time is added up, other programs and failures come on request. Every
rule of the cache is tried on it, on any machine.
"""

from __future__ import annotations

import threading
import weakref
from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from .cache import ModelCache

if TYPE_CHECKING:
    from .runner import Runner


class SimulatedOutOfMemory(RuntimeError):
    """The simulated device's memory is exhausted."""


class SimDevice:
    """``webui.engine.tiers.DeviceMemory`` with a budget of its own.

    Its tensors are tensors on the CPU whose bytes are counted for as long as they live. ``contents=False``: they hold
    nothing, so that plans of real sizes cost no memory. ``foreign_bytes``: another program's use. ``fail_next``: so
    many copies or allocations to come fail.
    """

    unified = False

    def __init__(
        self, total_bytes: int, *, bytes_per_s: float = 12e9, contents: bool = True, foreign_bytes: int = 0
    ) -> None:
        self.total_bytes = total_bytes
        self.foreign_bytes = foreign_bytes
        self.contents = contents
        self.fail_next = 0
        self.now_s = 0.0
        """The virtual clock: what the copies so far would have taken."""
        self._bytes_per_s = bytes_per_s
        self._lock = threading.RLock()
        # Guards the counters. Finalizers take it in whatever thread drops the last reference, this one included.
        self._allocated = 0
        self._peak = 0
        self.most = 0
        """The most that was ever allocated."""

    def total(self) -> int:
        return self.total_bytes

    def free(self) -> int:
        return max(0, self.total_bytes - self.foreign_bytes - self._allocated)

    def allocated(self) -> int:
        return self._allocated

    def reserved(self) -> int:
        return self._allocated

    def allocate(self, size_bytes: int) -> None:
        """What computing takes, until it is given to ``give_back``. Raises SimulatedOutOfMemory."""
        with self._lock:
            if self.fail_next > 0:
                self.fail_next -= 1
                raise SimulatedOutOfMemory("injected")
            free = self.total_bytes - self.foreign_bytes - self._allocated
            if size_bytes > free:
                raise SimulatedOutOfMemory(f"{size_bytes} bytes asked for, {free} free")
            self._allocated += size_bytes
            self._peak = max(self._peak, self._allocated)
            self.most = max(self.most, self._allocated)

    def give_back(self, size_bytes: int) -> None:
        with self._lock:
            self._allocated -= size_bytes

    def copy_in(self, tensor: torch.Tensor) -> torch.Tensor:
        """Raises SimulatedOutOfMemory."""
        size = tensor.numel() * tensor.element_size()
        self.allocate(size)
        self.now_s += size / self._bytes_per_s
        copy = tensor.clone() if self.contents else torch.empty_like(tensor)
        weakref.finalize(copy.untyped_storage(), self.give_back, size)
        return copy

    def pin(self, tensor: torch.Tensor) -> torch.Tensor:
        return tensor

    def empty_cache(self) -> None:
        pass

    def is_oom(self, error: BaseException) -> bool:
        return isinstance(error, SimulatedOutOfMemory)

    def synchronize(self) -> None:
        pass

    def peak(self) -> int:
        return self._peak

    def reset_peak(self) -> None:
        self._peak = self._allocated

    def take_over(self, runner: Runner) -> None:
        """Give ``runner`` an empty cache on this device, in place of its own. Half precision counts in its estimates,
        as on most devices.
        """
        small = replace(runner.device, dtype=torch.float16, name="a simulated device")
        cache = ModelCache(small, None, memory=self, headroom_bytes=0, ram_budget_bytes=2**40)
        runner.cache, runner.around = cache, replace(runner.around, cache=cache)
