"""The memory of a device, as the mover and the budget see it: how much there is, how weights get in and out, and what
running out of it looks like. ``device.py`` says which device is computed on.
"""

from __future__ import annotations

import re
from typing import Any, Protocol

import torch

from .device import Device
from .memory import machine_memory

_OOM_WORDS = re.compile(r"out of memory|can't allocate memory|not enough memory|ALLOC_FAILED|OUT_OF_RESOURCES", re.I)


class DeviceMemory(Protocol):
    """Bytes everywhere. ``unified``: the device computes in main memory, so weights are there as soon as loaded."""

    unified: bool

    def total(self) -> int | None:
        """All that the device has; None: it does not say."""

    def free(self) -> int | None:
        """What the driver would give now, other programs' use subtracted; None: it does not say."""

    def allocated(self) -> int:
        """In tensors of this process."""

    def reserved(self) -> int:
        """Taken from the driver by this process, whether in tensors or not; at least ``allocated``."""

    def copy_in(self, tensor: torch.Tensor) -> torch.Tensor:
        """A copy on the device. Raises what ``is_oom`` knows."""

    def pin(self, tensor: torch.Tensor) -> torch.Tensor:
        """A copy in page-locked memory, from which copies in are faster; ``tensor`` itself where there is no such
        memory.
        """

    def empty_cache(self) -> None:
        """Give back to the driver what is reserved and not allocated."""

    def is_oom(self, error: BaseException) -> bool:
        """Whether ``error`` says that the device's memory is exhausted."""

    def synchronize(self) -> None:
        """Wait until the device has done all it was told."""

    def peak(self) -> int:
        """The most ``reserved`` since ``reset_peak``."""

    def reset_peak(self) -> None: ...


def is_oom(error: BaseException) -> bool:
    """torch's own error, and the RuntimeErrors by which older backends and CPU allocators say the same."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and bool(_OOM_WORDS.search(str(error)))


class CpuMemory:
    """Main memory: nothing is moved. Peaks are not known: the system counts the whole process."""

    unified = True

    def total(self) -> int | None:
        return machine_memory().total_bytes

    def free(self) -> int | None:
        return machine_memory().free_bytes

    def allocated(self) -> int:
        return 0

    def reserved(self) -> int:
        return 0

    def copy_in(self, tensor: torch.Tensor) -> torch.Tensor:
        return tensor

    def pin(self, tensor: torch.Tensor) -> torch.Tensor:
        return tensor

    def empty_cache(self) -> None:
        pass

    def is_oom(self, error: BaseException) -> bool:
        return is_oom(error)

    def synchronize(self) -> None:
        pass

    def peak(self) -> int:
        return 0

    def reset_peak(self) -> None:
        pass


class AcceleratorMemory:
    """CUDA, ROCm and XPU, whose modules in torch have the same functions."""

    unified = False

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._torch: Any = getattr(torch, device.type)

    def total(self) -> int | None:
        return int(self._torch.mem_get_info(self._device)[1])

    def free(self) -> int | None:
        return int(self._torch.mem_get_info(self._device)[0])

    def allocated(self) -> int:
        return int(self._torch.memory_allocated(self._device))

    def reserved(self) -> int:
        return int(self._torch.memory_reserved(self._device))

    def copy_in(self, tensor: torch.Tensor) -> torch.Tensor:
        return tensor.to(self._device, non_blocking=tensor.is_pinned())

    def pin(self, tensor: torch.Tensor) -> torch.Tensor:
        return tensor if self._device.type != "cuda" or tensor.is_pinned() else tensor.pin_memory()

    def empty_cache(self) -> None:
        self._torch.empty_cache()

    def is_oom(self, error: BaseException) -> bool:
        return is_oom(error)

    def synchronize(self) -> None:
        self._torch.synchronize(self._device)

    def peak(self) -> int:
        return int(self._torch.max_memory_reserved(self._device))

    def reset_peak(self) -> None:
        self._torch.reset_peak_memory_stats(self._device)


class MpsMemory(CpuMemory):
    """Apple's GPUs: main memory's chips, but tensors are copied into buffers of their own."""

    unified = False

    def total(self) -> int | None:
        return int(torch.mps.recommended_max_memory())

    def free(self) -> int | None:
        return max(0, int(torch.mps.recommended_max_memory()) - int(torch.mps.driver_allocated_memory()))

    def allocated(self) -> int:
        return int(torch.mps.current_allocated_memory())

    def reserved(self) -> int:
        return int(torch.mps.driver_allocated_memory())

    def copy_in(self, tensor: torch.Tensor) -> torch.Tensor:
        return tensor.to("mps")

    def empty_cache(self) -> None:
        torch.mps.empty_cache()

    def synchronize(self) -> None:
        torch.mps.synchronize()


def memory_of(device: Device) -> DeviceMemory:
    """The memory of the device that is computed on."""
    if device.kind in ("cuda", "xpu"):
        return AcceleratorMemory(device.torch_device)
    return MpsMemory() if device.kind == "mps" else CpuMemory()
