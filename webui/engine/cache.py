"""Between pipelines and model files: the one owner of weights. Pipelines lease components and give them back.

The ledger knows what is where and plans; the residents are the weights themselves and carry plans out; the estimates
say what the computation itself will take. This module is where threads meet: it waits, and loads once for all who ask.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Collection, Container, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
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
from .mover import Weights, unread
from .residents import Entry, Flight, Residents, entry_id
from .telemetry import CacheStats, cache_stats, snapshot
from .tiers import DeviceMemory, memory_of
from .work import WorkEstimates, estimates_path

_HEADROOM_BYTES = (700 if sys.platform == "win32" else 400) * 2**20
"""Left to the driver, to fragments and to other programs."""

T = TypeVar("T")

log = logging.getLogger(__name__)


@dataclass(eq=False)
class Lease:
    """A granted lease: ``values`` by the names that were asked for. Given back by ``ModelCache.release``."""

    owner: int
    exclusive: bool
    keys: tuple[ComponentKey, ...]
    below: frozenset[ComponentKey] = frozenset()
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
        self._own_budget_bytes = budget_bytes
        self._memory = memory or memory_of(device)
        unified = self._memory.unified
        self._ledger: Ledger[ComponentKey] = Ledger(
            unified=unified,
            keep_bytes=budget_bytes,
            ram_budget_bytes=ram_budget_bytes,
        )
        self._residents = Residents(device, self._memory, self._ledger, headroom_bytes=headroom_bytes)
        self._changed = self._residents.guard
        # Guards every table below as well. Taken inside _placing, never the other way.
        self._entries = self._residents.entries
        self._estimates = estimates or WorkEstimates()
        self._leases: LeaseTable[ComponentKey] = LeaseTable()
        self._loaders: set[int] = set()
        self._loads = 0
        self._releases = 0
        # How many there were, so that none is missed between finding no room and waiting for it.
        self._measured: Lease | None = None
        # The one lease whose work the device's peak tells of.
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

        ``work`` is what the caller will compute: memory for it is kept free. ``off_device``: names that are wanted in
        memory alone, and may leave the device while no other lease wants them there. With ``exclusive`` they do, for a
        caller that has them there part by part.

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
        work_bytes = self._estimates.estimate(work, self._device.dtype.itemsize)
        self._refuse_hopeless(tuple(key for key in keys if key not in below), work_bytes)
        while True:
            held = self._reserve(keys, below, work, exclusive)
            try:
                for key in keys:
                    self._ensure(by_key[key])
                seen = self._releases
                blockers = self._settle(held, work_bytes)
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
        self._residents.run_planned(self._ledger.surplus)
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
                self._residents.measure_again(held.keys)
            self._leases.give_back(held.keys, held.owner, exclusive=held.exclusive)
            self._ledger.release(held.keys, held.work_bytes, below=held.below)
            for key in held.keys:
                if key not in self._ledger.records:
                    self._entries.pop(key, None)
            self._changed.notify_all()
        self._residents.run_planned(self._residents.doomed)
        self._residents.run_planned(self._ledger.surplus)

    def fits(self, components: Iterable[Component], *, work: Work | None = None) -> bool:
        """Whether a lease of all ``components`` at once would be granted if nobody else held one. Sizes that are not
        known yet are taken from the files.
        """
        needed = self._estimates.estimate(work, self._device.dtype.itemsize)
        with self._changed:
            for key in {component.key for component in components}:
                needed += self._residents.size_of(key, key.size_bytes)
            pinned = sum(one.device_bytes for one in self._ledger.records.values() if one.pinned)
            return needed + pinned <= self._residents.limit_bytes()

    def attempt(self, attempt: Callable[[], T], knobs: Mapping[str, Callable[[], None]], work: Work | None) -> T:
        """``attempt()``; where it runs out of the device's memory, again after each measure of ``ladder.RUNGS`` that
        ``knobs`` offers. Raises ModelError when none is left.
        """

        def raised(_name: str) -> None:
            with self._changed:
                self._residents.ooms += 1
                self._measured = None  # what is computed after a measure takes less than the work as it is
            if work is not None:
                self._estimates.raise_(work, self._device.dtype.itemsize)

        engine = {"collect": self._residents.give_back, "evict_idle": self._residents.evict_idle}
        try:
            return climb(attempt, knobs, engine=engine, is_oom=self._memory.is_oom, raised=raised)
        except OutOfRungs as end:
            taken = ", ".join(end.taken)
        needed = self._estimates.estimate(work, self._device.dtype.itemsize)
        raise self._residents.no_memory("The computation", needed, f" Tried in vain: {taken}.")

    def part(self, module: torch.nn.Module) -> AbstractContextManager[None]:
        """Within, the weights of a part of a component that is leased exclusively and off the device are on it."""
        return self._residents.part(module)

    # What a user or the queue says

    def clear(self) -> None:
        """Give up every component that is neither leased nor pinned."""
        self._residents.run_planned(self._ledger.idle)

    def pin(self, entry_id: str, pinned: bool = True) -> bool:
        """Keep a component in memory, or no longer. False: there is none of that id."""
        with self._changed:
            found = self._residents.find(entry_id)
            for key in found:
                self._ledger.record(key).pinned = pinned
            self._changed.notify_all()
        self._residents.run_planned(self._ledger.surplus)
        return bool(found)

    def unload(self, entry_id: str) -> bool:
        """Give up a component, pinned or not, as soon as nobody leases it. False: there is none of that id."""
        with self._changed:
            found = self._residents.find(entry_id)
            for key in found:
                self._ledger.record(key).pinned = False
                self._entries[key].doomed = True
        self._residents.run_planned(self._residents.doomed)
        return bool(found)

    def set_budget(self, budget_bytes: int | None) -> None:
        """Another budget from now on; leases are left alone, and what they hold over it goes when they end.

        None: the one that the cache was made with.
        """
        with self._changed:
            self._ledger.keep_bytes = self._own_budget_bytes if budget_bytes is None else budget_bytes
            self._changed.notify_all()
        self._residents.run_planned(self._ledger.surplus)

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
                moves=self._residents.moves,
                ooms=self._residents.ooms,
            )

    # Leases

    def _reserve(
        self, keys: tuple[ComponentKey, ...], below: frozenset[ComponentKey], work: Work | None, exclusive: bool
    ) -> Lease:
        """Take every key at once, waiting until no other thread's lease forbids it."""
        me = threading.get_ident()
        with self._changed:
            if me in self._loaders:
                raise ModelError("a component's load asked for a lease.", hint="Lease all components together instead.")
            while blockers := self._leases.blockers(keys, me, exclusive=exclusive):
                self._wait_for(blockers, me)
            for key in keys:
                self._entries.setdefault(key, Entry(key))
            self._leases.take(keys, me, exclusive=exclusive)
            self._ledger.lease(keys, below=below)
            return Lease(me, exclusive, keys, below, work)

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
            flight = entry.flight = Flight()
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

    def _load(self, entry: Entry, component: Component) -> None:
        me, key = threading.get_ident(), component.key
        with construction():
            self._residents.make_room(key)
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
        if key.is_stale:  # under this key, and in the recipe, stand the weights that were there before
            raise ModelError(
                f"{Path(key.path).name} was replaced by another file while a job used it.",
                hint="Run the job again: it takes the file that is there now.",
            )
        for module in modules(value):
            module.eval()
            module.requires_grad_(False)
        weights = Weights(value)
        size, load_s = weights.size_bytes, time.perf_counter() - started
        with self._changed:
            entry.weights = weights
            self._residents.known_sizes[key] = size
            self._ledger.loaded(key, size, load_s)
            self._ledger.touch(key, hit=False)
            self._loads += 1
        log.debug("loaded %s of %s: %d bytes in %.2f s", key.component, key.path, size, load_s)

    # Moving

    def _refuse_hopeless(self, keys: tuple[ComponentKey, ...], work_bytes: int) -> None:
        """Before anything is loaded or evicted: what is known never to fit. Raises ModelError."""
        if self._memory.unified:
            return
        with self._changed:
            sizes = {key: self._residents.size_of(key, 0) for key in keys}
            try:
                self._ledger.plan(Request(sizes, self._residents.limit_bytes(), work_bytes))
            except NoRoom as no:
                if no.final:
                    raise self._residents.refusal(no) from None

    def _settle(self, held: Lease, work_bytes: int) -> frozenset[int]:
        """Have all of a reserved lease on the device, with room for its work. Threads to wait for where their leases
        stand in the way. Raises ModelError.
        """
        with self._placing:
            with self._changed:
                try:
                    self._free_for(held, work_bytes)
                except NoRoom as no:
                    blockers = self._leases.others(held.owner)
                    if no.final or not blockers:
                        raise self._residents.refusal(no) from None
                    return blockers
                held.work_bytes = work_bytes
                alone = held.work is not None and not self._ledger.work_bytes
                self._measured = held if alone else None
                self._ledger.work_bytes += work_bytes
            for key in held.keys:
                if key not in held.below and self._ledger.record(key).state is State.RAM:
                    self._residents.upload(key)
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

    def _free_for(self, held: Lease, work_bytes: int) -> None:
        """Evict what stands in the way of a lease whose components are loaded. Raises NoRoom."""
        below = held.below
        if held.exclusive and not self._memory.unified:
            on_device = [key for key in below if self._ledger.record(key).state is State.GPU]
            self._residents.run([Action("drop", key) for key in on_device])
        sizes = {key: self._residents.size_of(key, 0) for key in held.keys if key not in below}
        if not sizes and not work_bytes:
            return
        request = Request(sizes, self._residents.limit_bytes(), work_bytes)
        try:
            steps = self._ledger.plan(request)
        except NoRoom:
            if not self._memory.unified:
                raise
            # The weights are in main memory already and the work is a guess: the system may still find the room.
            steps = self._ledger.idle()
        self._residents.run([step for step in steps if step.what in ("drop", "forget")])


def make_cache(settings: Settings, device: Device, versions: Mapping[str, str]) -> ModelCache:
    """As the settings say: by default half of main memory for what is kept there, and all of a device's own."""
    ram = machine_memory().total_bytes
    half = ram // 2 if ram else 4 * 2**30
    budget = settings.cache_bytes or (half if device.kind == "cpu" else None)
    estimates = WorkEstimates(estimates_path(settings.data_dir, device.name, versions))
    return ModelCache(device, budget, ram_budget_bytes=half, estimates=estimates)
