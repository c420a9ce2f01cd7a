"""Below the cache and the device: how much memory this process may use, how much an object holds, and the lock for
making modules.
"""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import torch
from torch.utils._python_dispatch import is_traceable_wrapper_subclass

_REGISTER_PARAMETER = torch.nn.Module.register_parameter

CONSTRUCTION_LOCK = threading.RLock()
"""Guards the making of modules in the whole process. It is global because what it guards is: ``init_empty_weights``
of accelerate replaces ``nn.Module.register_parameter`` for every thread, and two loads at once leave every later
module without storage. Taken after a cache's lock is released, never inside it.
"""

CGROUP_ROOT = Path("/sys/fs/cgroup")
CGROUP_MEMBERSHIP = Path("/proc/self/cgroup")


@dataclass(frozen=True)
class Memory:
    """Of a device, in bytes. None: the device does not say."""

    total_bytes: int | None = None
    used_bytes: int | None = None

    @property
    def free_bytes(self) -> int | None:
        if self.total_bytes is None or self.used_bytes is None:
            return None
        return max(0, self.total_bytes - self.used_bytes)


@contextmanager
def construction() -> Iterator[None]:
    """One load at a time in the whole process, and module construction is what it was afterwards."""
    with CONSTRUCTION_LOCK:
        try:
            yield
        finally:
            if torch.nn.Module.register_parameter is not _REGISTER_PARAMETER:
                # A loader that was cut short left its patch behind: every module made from now on would be without
                # storage.
                setattr(torch.nn.Module, "register_parameter", _REGISTER_PARAMETER)  # noqa: B010


def held_bytes(value: Any) -> int:
    """Bytes of the unique storages behind the parameters and buffers of a module, or of every module of a list, tuple
    or mapping.

    Tied and shared weights count once, views count their whole storage; objects without tensors (tokenizers,
    schedulers) count 0.
    """
    seen: dict[tuple[str, int], int] = {}
    for tensor in _with_storage(tensors_of(value)):
        if tensor.is_meta:
            continue
        storage = tensor.untyped_storage()
        seen[(str(tensor.device), storage.data_ptr())] = storage.nbytes()
    return sum(seen.values())


def _with_storage(tensors: Iterable[torch.Tensor]) -> Iterator[torch.Tensor]:
    """``tensors``, and in place of quantized ones, which have no storage of their own, those that they are made of."""
    for tensor in tensors:
        if is_traceable_wrapper_subclass(tensor):
            names, _ = tensor.__tensor_flatten__()
            yield from _with_storage(part for name in names if (part := getattr(tensor, name)) is not None)
        else:
            yield tensor


def modules(value: Any) -> list[torch.nn.Module]:
    """The modules that ``value`` is or holds directly."""
    if isinstance(value, torch.nn.Module):
        return [value]
    if isinstance(value, Mapping):
        return [item for item in value.values() if isinstance(item, torch.nn.Module)]
    if isinstance(value, list | tuple):
        return [item for item in value if isinstance(item, torch.nn.Module)]
    return []


def tensors_of(value: Any) -> Iterator[torch.Tensor]:
    """Parameters and buffers of the modules that ``value`` is or holds, and tensors it holds itself."""
    if isinstance(value, torch.Tensor):
        yield value
    for module in modules(value):
        yield from module.parameters()
        yield from module.buffers()
    if isinstance(value, Mapping):
        yield from (item for item in value.values() if isinstance(item, torch.Tensor))
    elif isinstance(value, list | tuple):
        yield from (item for item in value if isinstance(item, torch.Tensor))


def machine_memory(root: Path = CGROUP_ROOT, membership: Path = CGROUP_MEMBERSHIP) -> Memory:
    """Main memory that this process may use: the machine's, or its control group's where that is less."""
    machine = psutil.virtual_memory()
    group = group_memory(root, membership)
    if group.total_bytes is None or group.total_bytes >= machine.total:
        return Memory(int(machine.total), int(machine.total - machine.available))
    return group


def group_memory(root: Path = CGROUP_ROOT, membership: Path = CGROUP_MEMBERSHIP) -> Memory:
    """Limit and use of the control group (version 1 or 2) that limits this process most. Page cache that can be
    dropped does not count as used.
    """
    best = Memory()
    for folder, limit_name, usage_name in _memory_groups(root, membership):
        limit = _number(folder / limit_name)
        if limit is None or (best.total_bytes is not None and limit >= best.total_bytes):
            continue
        usage = _number(folder / usage_name)
        best = Memory(limit, None if usage is None else max(0, usage - _inactive_file(folder)))
    return best


def _memory_groups(root: Path, membership: Path) -> Iterator[tuple[Path, str, str]]:
    """Every folder from this process's group up to the root, with the names of its limit and usage files."""
    for controllers, path in _memberships(membership):
        if not controllers:
            yield from ((folder, "memory.max", "memory.current") for folder in _upwards(root, path))
        elif "memory" in controllers.split(","):
            base = root / "memory"
            yield from ((folder, "memory.limit_in_bytes", "memory.usage_in_bytes") for folder in _upwards(base, path))


def _memberships(membership: Path) -> list[tuple[str, str]]:
    try:
        lines = membership.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    rows = [line.split(":", 2) for line in lines]
    return [(row[1], row[2]) for row in rows if len(row) == 3]


def _upwards(base: Path, path: str) -> Iterator[Path]:
    parts = [part for part in path.split("/") if part not in ("", "..")]
    for length in range(len(parts), -1, -1):
        yield base.joinpath(*parts[:length])


def _number(path: Path) -> int | None:
    """The whole number in a file; None for ``max``, for what no limit stands for, and where there is no such file."""
    try:
        value = int(path.read_text(encoding="utf-8").strip())
    except (OSError, ValueError):
        return None
    return value if 0 <= value < 2**60 else None


def _inactive_file(folder: Path) -> int:
    try:
        lines = (folder / "memory.stat").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0
    rows = dict(line.split(" ", 1) for line in lines if " " in line)
    text = rows.get("total_inactive_file", rows.get("inactive_file", "0"))
    return int(text) if text.strip().isdigit() else 0


def usable_cores(root: Path = CGROUP_ROOT, membership: Path = CGROUP_MEMBERSHIP) -> int:
    """Physical cores that this process may use: at most its affinity and its control group's quota allow, at least 1.

    Hyperthreads are left out: matrix products fill a core's vector units, so a second thread on it only takes its
    cache.
    """
    counts = [psutil.cpu_count(logical=False) or os.cpu_count() or 1]
    if hasattr(os, "sched_getaffinity"):
        counts.append(len(os.sched_getaffinity(0)))
    quota = _core_quota(root, membership)
    if quota is not None:
        counts.append(quota)
    return max(1, min(counts))


def _core_quota(root: Path, membership: Path) -> int | None:
    quotas = []
    for controllers, path in _memberships(membership):
        if not controllers:
            quotas += [_cpu_max(folder / "cpu.max") for folder in _upwards(root, path)]
        elif "cpu" in controllers.split(","):
            for folder in _upwards(root / "cpu", path):
                quota, period = _number(folder / "cpu.cfs_quota_us"), _number(folder / "cpu.cfs_period_us")
                quotas.append(quota / period if quota and period else None)
    given = [quota for quota in quotas if quota]
    return math.ceil(min(given)) if given else None


def _cpu_max(path: Path) -> float | None:
    try:
        quota, period = path.read_text(encoding="utf-8").split()
        return int(quota) / int(period)
    except (OSError, ValueError, ZeroDivisionError):
        return None
