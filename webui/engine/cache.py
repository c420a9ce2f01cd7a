"""Between pipelines and model files: the one owner of weights. Pipelines lease components and give them back.

The ledger knows what is where and plans; the mover does it; the estimates say what the computation itself will take.
This module is where threads meet: it waits, loads once for all who ask, and carries out plans.
"""

from __future__ import annotations

import dataclasses
import gc
import hashlib
import logging
import os
import sys
import threading
import time
import weakref
from collections.abc import Callable, Collection, Container, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import torch

from webui.core.errors import Cancelled, ModelError
from webui.core.memory import MemorySnapshot
from webui.core.settings import Settings
from webui.core.specs import Component, ComponentKey, Work

from .device import Device
from .ladder import OutOfRungs, climb
from .leases import LeaseTable
from .ledger import Action, Ledger, NoRoom, Request, State
from .memory import construction, machine_memory, modules
from .mover import Mover, Weights, unread
from .telemetry import CacheStats, cache_stats, snapshot
from .tiers import DeviceMemory, memory_of
from .work import WorkEstimates, estimates_path

_HEADROOM_BYTES = (700 if sys.platform == "win32" else 400) * 2**20
"""Left to the driver, to fragments and to other programs."""

T = TypeVar("T")

log = logging.getLogger(__name__)


@dataclass(eq=False)
class _Flight:
    """One load, and all who wait for it."""

    done: bool = False
    error: Exception | None = None


@dataclass(eq=False)
class _Entry:
    """What the ledger's record of the same key does not hold. Guarded by the cache's condition."""

    key: ComponentKey
    weights: Weights | None = None
    flight: _Flight | None = None
    doomed: bool = False
    """To be given up when nobody leases it."""


@dataclass(eq=False)
class Lease:
    """A granted lease: ``values`` by the names that were asked for. Given back by ``ModelCache.release``."""

    owner: int
    exclusive: bool
    keys: tuple[ComponentKey, ...]
    work: Work | None = None
    work_bytes: int = 0
    values: dict[str, Any] = field(default_factory=dict)
    released: bool = False


@dataclass(frozen=True)
class _Below(Container[ComponentKey]):
    """The keys of components that lie in one of these files or folders."""

    roots: frozenset[str]

    def __contains__(self, key: object) -> bool:
        return isinstance(key, ComponentKey) and any(
            str(path) in self.roots for path in (Path(key.path), *Path(key.path).parents)
        )


class ModelCache:
    """Components by key: loaded once, kept in main memory and on the device as long as there is room.

    ``budget_bytes``: where the device has memory of its own, the most that weights and work take together; a request
    beyond it is refused. Where it computes in main memory, the most that is kept: leases alone may exceed it.
    """

    def __init__(
        self,
        device: Device,
        budget_bytes: int | None,
        *,
        memory: DeviceMemory | None = None,
        ram_budget_bytes: int = 0,
        headroom_bytes: int = _HEADROOM_BYTES,
        estimates: WorkEstimates | None = None,
    ) -> None:
        """``ram_budget_bytes``: masters in main memory, where the device has its own; 0: none is kept for long."""
        self._device = device
        self._memory = memory or memory_of(device)
        self._headroom_bytes = headroom_bytes
        self._estimates = estimates or WorkEstimates()
        self._mover = Mover(self._memory, device.torch_device)
        self._changed = threading.Condition()
        # Guards every table below and the entries' fields. Never held while a component is loaded or moved to the
        # device; taken inside _placing, never the other way.
        self._ledger: Ledger[ComponentKey] = Ledger(
            unified=self._memory.unified, keep_bytes=budget_bytes or None, ram_budget_bytes=ram_budget_bytes
        )
        if self._memory.unified:
            self._ledger.keep_bytes = budget_bytes
        self._leases: LeaseTable[ComponentKey] = LeaseTable()
        self._entries: dict[ComponentKey, _Entry] = {}
        self._known_sizes: dict[ComponentKey, int] = {}
        self._loaders: set[int] = set()
        self._releases = 0
        # How many there were, so that none is missed between finding no room and waiting for it.
        self._measured: Lease | None = None
        # The one lease whose work the device's peak tells of.
        self._loads = 0
        self._moves = 0
        self._ooms = 0
        self._placing = threading.Lock()
        # One plan with its moves to the device at a time; taken without the condition.

    @contextmanager
    def lease(
        self,
        components: Mapping[str, Component],
        *,
        work: Work | None = None,
        exclusive: bool = False,
        off_device: Collection[str] = (),
    ) -> Iterator[dict[str, Any]]:
        """The named components on the device for the time of the block, in eval mode and without gradients: all or
        none.

        ``work`` is what the caller will compute: memory for it is kept free. ``off_device``: names that stay in main
        memory, for a caller that has them on the device part by part; that needs an exclusive lease.

        Raises what a component's ``load`` raises, and ModelError when they cannot fit, when waiting would never end,
        or when a ``load`` itself leases.
        """
        held = self.acquire(components, work=work, exclusive=exclusive, off_device=off_device)
        try:
            yield held.values
        finally:
            self.release(held)

    def acquire(
        self,
        components: Mapping[str, Component],
        *,
        work: Work | None = None,
        exclusive: bool = False,
        off_device: Collection[str] = (),
    ) -> Lease:
        """``lease`` for callers whose time is not a block; each must be given to ``release``."""
        by_key = {component.key: component for component in components.values()}
        keys = tuple(sorted(by_key, key=dataclasses.astuple))
        below = frozenset(components[name].key for name in off_device)
        if below and not exclusive:
            raise ValueError("off_device: whoever moves parts of a component changes it; lease it with exclusive=True")
        work_bytes = self._estimates.estimate(work, self._device.dtype.itemsize)
        self._refuse_hopeless(tuple(key for key in keys if key not in below), work_bytes)
        while True:
            held = self._reserve(keys, work, exclusive)
            try:
                for key in keys:
                    self._ensure(by_key[key])
                seen = self._releases
                blockers = self._settle(held, work_bytes, below)
                if not blockers:
                    break
            except BaseException:
                self.release(held)
                raise
            # Others' leases stand in the way. Given back while it waits, this one stands in nobody's.
            self.release(held)
            with self._changed:
                if self._releases == seen + 1:
                    self._wait_for(blockers, held.owner)
        with self._changed:
            values = {key: weights.value for key in keys if (weights := self._entries[key].weights) is not None}
            held.values.update({name: values[component.key] for name, component in components.items()})
        self._run_planned(self._ledger.surplus)
        return held

    def release(self, held: Lease) -> None:
        """Give a lease back; a second time does nothing."""
        if held.released:
            return
        with self._changed:
            held.released = True
            self._releases += 1
            if self._measured is held:
                self._learn(held)
            held.values.clear()
            if held.exclusive:
                self._measure_again(held.keys)
            self._leases.give_back(held.keys, held.owner, exclusive=held.exclusive)
            self._ledger.release(held.keys, held.work_bytes)
            for key in held.keys:
                if key not in self._ledger.records:
                    self._entries.pop(key, None)
            self._changed.notify_all()
        self._run_planned(self._doomed)
        self._run_planned(self._ledger.surplus)

    def fits(self, components: Iterable[Component], *, work: Work | None = None) -> bool:
        """Whether a lease of all ``components`` at once would be granted if nobody else held one. Sizes that are not
        known yet are taken from the files.
        """
        needed = self._estimates.estimate(work, self._device.dtype.itemsize)
        with self._changed:
            for key in {component.key for component in components}:
                needed += self._size_of(key, key.size_bytes)
            pinned = sum(one.device_bytes for one in self._ledger.records.values() if one.pinned)
            return needed + pinned <= self._limit_bytes()

    def attempt(self, attempt: Callable[[], T], knobs: Mapping[str, Callable[[], None]], work: Work | None) -> T:
        """``attempt()``; where it runs out of the device's memory, again after each measure of ``ladder.RUNGS`` that
        ``knobs`` offers. Raises ModelError when none is left.
        """

        def raised(_name: str) -> None:
            with self._changed:
                self._ooms += 1
                self._measured = None  # what is computed after a measure takes less than the work as it is
            if work is not None:
                self._estimates.raise_(work, self._device.dtype.itemsize)

        engine = {"collect": self._give_back, "evict_idle": self._evict_idle}
        try:
            return climb(attempt, knobs, engine=engine, is_oom=self._memory.is_oom, raised=raised)
        except OutOfRungs as end:
            taken = ", ".join(end.taken)
        needed = self._estimates.estimate(work, self._device.dtype.itemsize)
        raise self._no_memory("The computation", needed, f" Tried in vain: {taken}.")

    # What a user or the queue says

    def clear(self) -> None:
        """Give up every component that is neither leased nor pinned."""
        self._run_planned(self._ledger.idle)

    def pin(self, entry_id: str, pinned: bool = True) -> bool:
        """Keep a component in memory, or no longer. False: there is none of that id."""
        with self._changed:
            found = self._find(entry_id)
            for key in found:
                self._ledger.record(key).pinned = pinned
            self._changed.notify_all()
        self._run_planned(self._ledger.surplus)
        return bool(found)

    def unload(self, entry_id: str) -> bool:
        """Give up a component, pinned or not, as soon as nobody leases it. False: there is none of that id."""
        with self._changed:
            found = self._find(entry_id)
            for key in found:
                self._ledger.record(key).pinned = False
                self._entries[key].doomed = True
        self._run_planned(self._doomed)
        return bool(found)

    def set_budget(self, budget_bytes: int | None) -> None:
        """Another budget from now on; leases are left alone, and what they hold over it goes when they end."""
        with self._changed:
            self._ledger.keep_bytes = budget_bytes
            self._changed.notify_all()
        self._run_planned(self._ledger.surplus)

    def want(self, models: Collection[Path]) -> None:
        """Files and folders of the models that waiting jobs will need: their components are evicted last."""
        with self._changed:
            self._ledger.wanted = _Below(frozenset(os.path.realpath(path) for path in models))

    def stats(self) -> CacheStats:
        """The numbers of the books."""
        with self._changed:
            return cache_stats(self._ledger, self._loads)

    def snapshot(self) -> MemorySnapshot:
        """As it is shown to users; free memory is asked of the device now."""
        with self._changed:
            return snapshot(
                self._device,
                self._memory,
                self._ledger,
                entry_id,
                loads=self._loads,
                moves=self._moves,
                ooms=self._ooms,
            )

    # Leases

    def _reserve(self, keys: tuple[ComponentKey, ...], work: Work | None, exclusive: bool) -> Lease:
        """Take every key at once, waiting until no other thread's lease forbids it."""
        me = threading.get_ident()
        with self._changed:
            if me in self._loaders:
                raise ModelError("a component's load asked for a lease.", hint="Lease all components together instead.")
            while blockers := self._leases.blockers(keys, me, exclusive=exclusive):
                self._wait_for(blockers, me)
            for key in keys:
                self._entries.setdefault(key, _Entry(key))
            self._leases.take(keys, me, exclusive=exclusive)
            self._ledger.lease(keys)
            return Lease(me, exclusive, keys, work)

    def _wait_for(self, blockers: frozenset[int], me: int) -> None:
        """Until something changes. The condition is held. Raises ModelError where that would never be."""
        if self._leases.endless(blockers, me):
            raise ModelError(
                "a lease would wait for ever: each of two threads holds what the other asks for.",
                hint="Lease all components together, exclusively from the start.",
            )
        self._leases.wait(me, blockers)
        try:
            self._changed.wait()
        finally:
            self._leases.done_waiting(me)

    # Loading

    def _ensure(self, component: Component) -> None:
        """Have a reserved component in memory; of several threads one loads and the others wait for it."""
        key = component.key
        with self._changed:
            entry = self._entries[key]
            while (state := self._ledger.record(key).state) is State.LOADING and entry.flight is not None:
                flight = entry.flight
                while not flight.done:
                    self._changed.wait()
                if flight.error is not None:
                    raise flight.error
            missing = state in (State.ABSENT, State.FAILED)
            if not missing:
                self._ledger.touch(key, hit=True)
                return
            flight = entry.flight = _Flight()
            self._ledger.loading(key)
        try:
            self._load(entry, component)
        except BaseException as error:
            with self._changed:
                # Who was cancelled says nothing of the file: the next in line loads it himself.
                if isinstance(error, Exception) and not isinstance(error, Cancelled):
                    flight.error = error
                self._ledger.failed(key)
            raise
        finally:
            with self._changed:
                flight.done = True
                self._changed.notify_all()

    def _load(self, entry: _Entry, component: Component) -> None:
        me, key = threading.get_ident(), component.key
        with construction():
            self._make_room(key)
            started = time.perf_counter()
            with self._changed:
                self._loaders.add(me)
            try:
                value = component.load()
            finally:
                with self._changed:
                    self._loaders.discard(me)
        if unread(value):
            raise ModelError(
                f"{key.component} of {key.path} was loaded without all of its weights.",
                hint="The files are incomplete: fetch the model again.",
            )
        for module in modules(value):
            module.eval()
            module.requires_grad_(False)
        weights = Weights(value)
        size, load_s = weights.size_bytes, time.perf_counter() - started
        with self._changed:
            entry.weights = weights
            self._known_sizes[key] = size
            self._ledger.loaded(key, size, load_s)
            self._ledger.touch(key, hit=False)
            self._loads += 1
        log.debug("loaded %s of %s: %d bytes in %.2f s", key.component, key.path, size, load_s)

    def _make_room(self, key: ComponentKey) -> None:
        """In main memory, before a load: so that its bounds are not exceeded even for the time of it.

        The size is known exactly when the component was here before. Otherwise the file's size is only a bound (a
        file may hold several components), and counts against free memory alone.
        """
        known = self._known_sizes.get(key)
        if known is not None:
            self._run_planned(lambda: self._ledger.surplus(known))
            return
        free = self._memory.free() if self._memory.unified else machine_memory().free_bytes
        if free is not None and free < key.size_bytes:
            self._run_planned(lambda: self._ledger.spare(key.size_bytes - free))

    # Moving

    def _refuse_hopeless(self, keys: tuple[ComponentKey, ...], work_bytes: int) -> None:
        """Before anything is loaded or evicted: what is known never to fit. Raises ModelError."""
        if self._memory.unified:
            return
        with self._changed:
            sizes = {key: self._size_of(key, 0) for key in keys}
            try:
                self._ledger.plan(Request(sizes, self._limit_bytes(), work_bytes))
            except NoRoom as no:
                if no.final:
                    raise self._refusal(no) from None

    def _settle(self, held: Lease, work_bytes: int, below: frozenset[ComponentKey]) -> frozenset[int]:
        """Have all of a reserved lease on the device, with room for its work. Threads to wait for where their leases
        stand in the way. Raises ModelError.
        """
        with self._placing:
            with self._changed:
                try:
                    self._free_for(held, work_bytes, below)
                except NoRoom as no:
                    blockers = self._leases.others(held.owner)
                    if no.final or not blockers:
                        raise self._refusal(no) from None
                    return blockers
                held.work_bytes = work_bytes
                alone = held.work is not None and not self._ledger.work_bytes
                self._measured = held if alone else None
                self._ledger.work_bytes += work_bytes
            for key in held.keys:
                if key not in below and self._ledger.record(key).state is State.RAM:
                    self._upload(key)
            if self._measured is held:
                self._begin_measuring(held)
        return frozenset()

    def _begin_measuring(self, held: Lease) -> None:
        # What torch holds in reserve from before would count as this work's.
        if held.work is not None and self._estimates.unsure(held.work, self._device.dtype.itemsize):
            self._memory.empty_cache()
        self._memory.reset_peak()

    def _learn(self, held: Lease) -> None:
        """What a lease's work took at most. A device that knows no peaks says 0, of which nothing is learned."""
        self._measured = None
        if held.work is not None:
            peak = self._memory.peak() - self._ledger.device_bytes
            self._estimates.learn(held.work, self._device.dtype.itemsize, peak)

    def _free_for(self, held: Lease, work_bytes: int, below: frozenset[ComponentKey]) -> None:
        """Evict what stands in the way of a lease whose components are loaded. Raises NoRoom."""
        if not self._memory.unified:
            on_device = [key for key in below if self._ledger.record(key).state is State.GPU]
            self._run([Action("drop", key) for key in on_device])
        sizes = {key: self._size_of(key, 0) for key in held.keys if key not in below}
        request = Request(sizes, self._limit_bytes(), work_bytes)
        try:
            steps = self._ledger.plan(request)
        except NoRoom:
            if not self._memory.unified:
                raise
            # The weights are in main memory already and the work is a guess: the system may still find the room.
            steps = self._ledger.idle()
        self._run([step for step in steps if step.what in ("drop", "forget")])

    def _upload(self, key: ComponentKey) -> None:
        """One component to the device. Out of memory: all that is idle goes, and once more. Raises ModelError."""
        with self._changed:
            weights = self._entries[key].weights
            self._ledger.moving(key)
        assert weights is not None, key
        started, master = time.perf_counter(), None
        try:
            master = self._try_upload(weights)
            if master is None:
                self._evict_idle()
                master = self._try_upload(weights)
        finally:
            with self._changed:
                if master is None:
                    self._ledger.not_moved(key)
                else:
                    self._ledger.moved(key, weights.size_bytes, time.perf_counter() - started, master=master)
                    self._moves += 1
                self._changed.notify_all()
        if master is None:
            raise self._no_memory(f"{key.component} of {key.path}", weights.size_bytes)

    def _try_upload(self, weights: Weights) -> bool | None:
        """Whether its master stays in main memory; None where the device had no room.

        The error is not handed on: its traceback would keep half-moved tensors alive during the second attempt.
        """
        try:
            return self._mover.upload(weights)
        except (RuntimeError, MemoryError) as error:
            if not self._memory.is_oom(error):
                raise
            with self._changed:
                self._ooms += 1
        return None

    def _limit_bytes(self) -> int:
        """What weights and work may take on the device together: all that this process has or the driver would give,
        less headroom and what neither the ledger nor a lease accounts for; at most the user's budget.
        """
        free = self._memory.free()
        if free is None:
            return self._ledger.keep_bytes or sys.maxsize
        accounted = self._ledger.device_bytes + self._ledger.work_bytes
        if self._memory.unified:
            return free + accounted - self._headroom_bytes
        stray = max(0, self._memory.allocated() - accounted)
        available = free + self._memory.reserved() - stray - self._headroom_bytes
        return available if self._ledger.keep_bytes is None else min(available, self._ledger.keep_bytes)

    def _size_of(self, key: ComponentKey, otherwise: int) -> int:
        record = self._ledger.records.get(key)
        held = max(record.device_bytes, record.ram_bytes) if record is not None else 0
        return held or self._known_sizes.get(key, otherwise)

    def _measure_again(self, keys: Iterable[ComponentKey]) -> None:
        """An exclusive holder may have added adapters or cast weights: the masters are no copy of them any more."""
        for key in keys:
            weights, record = self._entries[key].weights, self._ledger.record(key)
            if weights is None or record.state is not State.GPU:
                continue
            weights.forget_masters()
            size = self._known_sizes[key] = weights.size_bytes
            self._ledger.measured(key, size, size if record.ram_bytes else 0)

    # Eviction

    def _run_planned(self, plan: Callable[[], Iterable[Action[ComponentKey]]]) -> None:
        with self._changed:
            self._run(plan())

    def _run(self, steps: Iterable[Action[ComponentKey]]) -> None:
        """Carry out evictions. The condition is held: nobody may lease what is on its way out."""
        given_up: list[weakref.ref[torch.nn.Module]] = []
        done = False
        for step in steps:
            entry, done = self._entries[step.key], True
            if entry.weights is None:
                continue
            if step.what == "drop":
                self._mover.drop(entry.weights)
            else:
                self._mover.forget(entry.weights)
            self._ledger.evicted(step)
            if step.what == "forget":
                given_up += [weakref.ref(module) for module in modules(entry.weights.value)]
                entry.weights = None
                if step.key not in self._ledger.records:
                    del self._entries[step.key]
        if any(module() is not None for module in given_up):
            gc.collect()  # hooks that refer back to their module make a cycle
        if done:
            self._memory.empty_cache()

    def _doomed(self) -> list[Action[ComponentKey]]:
        return [
            Action("forget", key)
            for key, record in self._ledger.records.items()
            if record.settled and self._entries[key].doomed
        ]

    def _evict_idle(self) -> None:
        """Everything that nobody leases, off the device."""
        self._run_planned(self._ledger.idle_on_device)
        self._give_back()

    def _give_back(self) -> None:
        gc.collect()
        self._memory.empty_cache()

    # Words

    def _find(self, entry_id_: str) -> list[ComponentKey]:
        return [key for key in self._entries if entry_id(key) == entry_id_]

    def _refusal(self, no: NoRoom) -> ModelError:
        return self._no_memory("The models with what is computed", no.needed_bytes)

    def _no_memory(self, what: str, needed_bytes: int, more: str = "") -> ModelError:
        held = [one for one in self._ledger.records.values() if one.device_bytes and (one.leases or one.pinned)]
        holders = ", ".join(f"{one.key.component} {_mib(one.device_bytes)}" for one in held) or "none"
        return ModelError(
            f"{what} does not fit on {self._device.name}: it needs {_mib(needed_bytes)},"
            f" {_mib(self._memory.free() or 0)} are free, models in use or pinned: {holders}.{more}",
            hint="Close other programs that use the device, unpin models, raise the memory budget, or choose a smaller"
            " model or picture.",
        )


def entry_id(key: ComponentKey) -> str:
    """How commands name a component: its name and a hash of its whole key."""
    digest = hashlib.sha256(repr(dataclasses.astuple(key)).encode()).hexdigest()
    return f"{key.component}-{digest[:12]}"


def make_cache(settings: Settings, device: Device, versions: Mapping[str, str]) -> ModelCache:
    """As the settings say: by default half of main memory for what is kept there, and all of a device's own."""
    ram = machine_memory().total_bytes
    half = ram // 2 if ram else 4 * 2**30
    budget = settings.cache_bytes or (half if device.kind == "cpu" else None)
    estimates = WorkEstimates(estimates_path(settings.data_dir, device.name, versions))
    return ModelCache(device, budget, ram_budget_bytes=half, estimates=estimates)


def _mib(size_bytes: int) -> str:
    return f"{size_bytes / 2**20:.0f} MiB"
