"""The weights that are in memory: below the leases of ``cache.py``, above the books of ``ledger.py``. Carries out plans
of eviction and moves, and says how much room there is.
"""

from __future__ import annotations

import dataclasses
import gc
import hashlib
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from webui.core.errors import ModelError
from webui.core.specs import ComponentKey

from .device import Device
from .ledger import Action, Ledger, NoRoom, State
from .memory import machine_memory, modules
from .mover import Mover, Weights
from .tiers import DeviceMemory


@dataclass(eq=False)
class Flight:
    """One load, and all who wait for it."""

    done: bool = False
    error: Exception | None = None


@dataclass(eq=False)
class Entry:
    """What the ledger's record of the same key does not hold. Guarded as the ledger is."""

    key: ComponentKey
    weights: Weights | None = None
    flight: Flight | None = None
    doomed: bool = False
    """To be given up when nobody leases it."""


class Residents:
    """All weights that are in memory. Waits for nobody, and knows of leases what the ledger counts."""

    def __init__(
        self, device: Device, memory: DeviceMemory, ledger: Ledger[ComponentKey], *, headroom_bytes: int
    ) -> None:
        self.memory = memory
        self.ledger = ledger
        self.guard = threading.Condition()
        # Guards ledger, entries, sizes and counters. Never held while a component is loaded or moved to the device.
        self.entries: dict[ComponentKey, Entry] = {}
        self.known_sizes: dict[ComponentKey, int] = {}
        self.moves = 0
        self.ooms = 0
        self._device = device
        self._headroom_bytes = headroom_bytes
        self._mover = Mover(memory, device.torch_device)

    # Room and sizes

    def make_room(self, key: ComponentKey) -> None:
        """In main memory, before a load: so that its bounds are not exceeded even for the time of it.

        The size is known exactly when the component was here before. Otherwise the file's size is only a bound (a
        file may hold several components), and counts against free memory alone.
        """
        known = self.known_sizes.get(key)
        if known is not None:
            self.run_planned(lambda: self.ledger.surplus(known))
            return
        free = self.memory.free() if self.memory.unified else machine_memory().free_bytes
        if free is not None and free < key.size_bytes:
            self.run_planned(lambda: self.ledger.spare(key.size_bytes - free))

    def limit_bytes(self) -> int:
        """What weights and work may take on the device together: all that this process has or the driver would give,
        less headroom and what neither the ledger nor a lease accounts for; at most the user's budget.
        """
        free = self.memory.free()
        if free is None:
            return self.ledger.keep_bytes or sys.maxsize
        accounted = self.ledger.device_bytes + self.ledger.work_bytes
        if self.memory.unified:
            return free + accounted - self._headroom_bytes
        stray = max(0, self.memory.allocated() - accounted)
        available = free + self.memory.reserved() - stray - self._headroom_bytes
        return available if self.ledger.keep_bytes is None else min(available, self.ledger.keep_bytes)

    def size_of(self, key: ComponentKey, otherwise: int) -> int:
        record = self.ledger.records.get(key)
        held = max(record.device_bytes, record.ram_bytes) if record is not None else 0
        return held or self.known_sizes.get(key, otherwise)

    def measure_again(self, keys: Iterable[ComponentKey]) -> None:
        """An exclusive holder may have added adapters or cast weights: the masters are no copy of them any more."""
        for key in keys:
            weights, record = self.entries[key].weights, self.ledger.record(key)
            if weights is None or record.state not in (State.GPU, State.RAM):
                continue
            weights.forget_masters()
            size = self.known_sizes[key] = weights.size_bytes
            on_device = record.state is State.GPU
            self.ledger.measured(key, size if on_device else 0, size if record.ram_bytes else 0)

    # To the device

    def upload(self, key: ComponentKey) -> None:
        """One component to the device. Out of memory: all that is idle goes, and once more. Raises ModelError."""
        with self.guard:
            weights = self.entries[key].weights
            self.ledger.moving(key)
        assert weights is not None, key
        started, master = time.perf_counter(), None
        try:
            master = self._try_upload(weights)
            if master is None:
                self.evict_idle()
                master = self._try_upload(weights)
        finally:
            with self.guard:
                if master is None:
                    self.ledger.not_moved(key)
                else:
                    self.ledger.moved(key, weights.size_bytes, time.perf_counter() - started, master=master)
                    self.moves += 1
                self.guard.notify_all()
        if master is None:
            raise self.no_memory(f"{key.component} of {key.path}", weights.size_bytes)

    def _try_upload(self, weights: Weights) -> bool | None:
        """Whether its master stays in main memory; None where the device had no room.

        The error is not handed on: its traceback would keep half-moved tensors alive during the second attempt.
        """
        try:
            return self._mover.upload(weights)
        except (RuntimeError, MemoryError) as error:
            if not self.memory.is_oom(error):
                raise
            with self.guard:
                self.ooms += 1
        return None

    @contextmanager
    def part(self, module: torch.nn.Module) -> Iterator[None]:
        """Within, the weights of ``module``, of a component that is leased off the device, are on it. Raises what
        ``is_oom`` of its memory knows.
        """
        weights = Weights(module)
        self._mover.upload(weights)
        try:
            yield
        finally:
            self._mover.drop(weights)

    # Off it

    def run_planned(self, plan: Callable[[], Iterable[Action[ComponentKey]]]) -> None:
        with self.guard:
            self.run(plan())

    def run(self, steps: Iterable[Action[ComponentKey]]) -> None:
        """Carry out evictions. The condition is held: nobody may lease what is on its way out."""
        given_up: list[weakref.ref[torch.nn.Module]] = []
        done = False
        for step in steps:
            entry, done = self.entries[step.key], True
            if entry.weights is None:
                continue
            if step.what == "drop":
                self._mover.drop(entry.weights)
            else:
                self._mover.forget(entry.weights)
            self.ledger.evicted(step)
            if step.what == "forget":
                given_up += [weakref.ref(module) for module in modules(entry.weights.value)]
                entry.weights = None
                if step.key not in self.ledger.records:
                    del self.entries[step.key]
        if any(module() is not None for module in given_up):
            gc.collect()  # hooks that refer back to their module make a cycle
        if done:
            self.memory.empty_cache()

    def doomed(self) -> list[Action[ComponentKey]]:
        return [
            Action("forget", key)
            for key, record in self.ledger.records.items()
            if record.settled and self.entries[key].doomed
        ]

    def evict_idle(self) -> None:
        """Everything that nobody leases, off the device."""
        self.run_planned(self.ledger.idle_on_device)
        self.give_back()

    def give_back(self) -> None:
        gc.collect()
        self.memory.empty_cache()

    # Words

    def find(self, entry_id_: str) -> list[ComponentKey]:
        return [key for key in self.entries if entry_id(key) == entry_id_]

    def refusal(self, no: NoRoom) -> ModelError:
        return self.no_memory("The models with what is computed", no.needed_bytes)

    def no_memory(self, what: str, needed_bytes: int, more: str = "") -> ModelError:
        held = [one for one in self.ledger.records.values() if one.device_bytes and (one.leases or one.pinned)]
        holders = ", ".join(f"{one.key.component} {_mib(one.device_bytes)}" for one in held) or "none"
        return ModelError(
            f"{what} does not fit on {self._device.name}: it needs {_mib(needed_bytes)},"
            f" {_mib(self.memory.free() or 0)} are free, models in use or pinned: {holders}.{more}",
            hint="Close other programs that use the device, unpin models, raise the memory budget, or choose a smaller"
            " model or picture.",
        )


def entry_id(key: ComponentKey) -> str:
    """How commands name a component: its name and a hash of its whole key."""
    digest = hashlib.sha256(repr(dataclasses.astuple(key)).encode()).hexdigest()
    return f"{key.component}-{digest[:12]}"


def _mib(size_bytes: int) -> str:
    return f"{size_bytes / 2**20:.0f} MiB"
