"""The cache's books as tests and users read them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from webui.core.memory import EntryMemory, MemorySnapshot
from webui.core.specs import ComponentKey

from .device import Device
from .ledger import Ledger
from .tiers import DeviceMemory

_GRAIN_BYTES = 16 * 2**20
"""Free memory is told in steps of this, so that a snapshot is not news each time a page is touched."""


@dataclass(frozen=True)
class EntryStats:
    """One component in the cache."""

    component: str
    path: str
    dtype: str
    state: str
    size_bytes: int
    """On the device; in main memory where it is not on the device."""
    leases: int
    hits: int
    load_s: float


@dataclass(frozen=True)
class CacheStats:
    """The cache in numbers. ``budget_bytes``: None, all that the device has."""

    budget_bytes: int | None
    held_bytes: int
    leased_bytes: int
    loads: int
    evictions: int
    entries: tuple[EntryStats, ...]


def cache_stats(ledger: Ledger[ComponentKey], loads: int) -> CacheStats:
    """To be called under the ledger's guard."""
    rows = tuple(
        EntryStats(
            component=one.key.component,
            path=one.key.path,
            dtype=one.key.dtype,
            state=one.state.value,
            size_bytes=one.device_bytes or one.ram_bytes,
            leases=one.leases,
            hits=one.hits,
            load_s=one.load_s,
        )
        for one in ledger.records.values()
    )
    return CacheStats(
        budget_bytes=ledger.keep_bytes,
        held_bytes=ledger.device_bytes,
        leased_bytes=sum(row.size_bytes for row in rows if row.leases),
        loads=loads,
        evictions=ledger.evictions,
        entries=rows,
    )


def snapshot(
    device: Device,
    memory: DeviceMemory,
    ledger: Ledger[ComponentKey],
    name_of: Callable[[ComponentKey], str],
    *,
    loads: int,
    moves: int,
    ooms: int,
) -> MemorySnapshot:
    """To be called under the ledger's guard."""
    free = memory.free()
    return MemorySnapshot(
        device=device.name,
        kind=device.kind,
        total_bytes=memory.total(),
        free_bytes=None if free is None else free // _GRAIN_BYTES * _GRAIN_BYTES,
        reserved_bytes=memory.reserved(),
        allocated_bytes=memory.allocated() // _GRAIN_BYTES * _GRAIN_BYTES,
        budget_bytes=ledger.keep_bytes,
        ram_budget_bytes=ledger.ram_budget_bytes if not ledger.unified else 0,
        device_models_bytes=ledger.device_bytes,
        ram_models_bytes=ledger.ram_bytes,
        work_bytes=ledger.work_bytes,
        loads=loads,
        moves=moves,
        evictions=ledger.evictions,
        ooms=ooms,
        entries=tuple(
            EntryMemory(
                id=name_of(one.key),
                component=one.key.component,
                path=one.key.path,
                dtype=one.key.dtype,
                state=one.state.value,
                ram_bytes=one.ram_bytes,
                device_bytes=one.device_bytes,
                holders=one.leases,
                hits=one.hits,
                load_s=round(one.load_s, 3),
                move_s=round(one.move_s, 3),
                pinned=one.pinned,
            )
            for one in ledger.records.values()
        ),
    )
