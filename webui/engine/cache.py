"""Between pipelines and model files: the one owner of weights. Pipelines lease components and give them back.

The rules that callers see (leases, single flight, all or none) are meant to stay when the inside learns to move weights
between device and main memory; today an entry is on the device or it is not there at all.
"""

from __future__ import annotations

import dataclasses
import gc
import itertools
import logging
import threading
import time
import weakref
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import torch

from webui.core.errors import Cancelled, ModelError
from webui.core.settings import Settings
from webui.core.specs import Component, ComponentKey, Work

from .device import Device
from .memory import construction, held_bytes, modules

EntryState = Literal["absent", "loading", "ready", "failed"]

_Given = weakref.ref[torch.nn.Module]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class EntryStats:
    """One component in the cache."""

    component: str
    path: str
    dtype: str
    state: EntryState
    size_bytes: int
    leases: int
    hits: int
    load_s: float


@dataclass(frozen=True)
class CacheStats:
    """The cache as telemetry shows it."""

    budget_bytes: int
    held_bytes: int
    leased_bytes: int
    loads: int
    evictions: int
    entries: tuple[EntryStats, ...]


@dataclass(eq=False)
class _Entry:
    """One set of weights. Every field is guarded by the cache's condition."""

    key: ComponentKey
    state: EntryState = "absent"
    value: Any = None
    error: Exception | None = None
    size_bytes: int = 0
    load_s: float = 0.0
    hits: int = 0
    last_used: int = 0
    holders: Counter[int] = field(default_factory=Counter)
    """Thread -> leases."""
    exclusive: Counter[int] = field(default_factory=Counter)
    """The thread that holds it alone -> exclusive leases."""


@dataclass(eq=False)
class Lease:
    """A granted lease: ``values`` by the names that were asked for. Given back by ``ModelCache.release``."""

    owner: int
    exclusive: bool
    entries: tuple[_Entry, ...]
    values: dict[str, Any] = field(default_factory=dict)
    released: bool = False


class ModelCache:
    """Components by key: loaded once, kept, and the least recently used given up when the budget is exceeded.

    The budget bounds what is kept. What is leased is never given up, so leases alone may exceed it, as long as the
    device has the memory; what they leave over the budget goes when they end.
    """

    def __init__(self, device: Device, budget_bytes: int) -> None:
        self._device = device
        self._budget_bytes = budget_bytes
        self._changed = threading.Condition()
        # Guards every table below and the entries' fields. Never held while a component is loaded or moved.
        self._entries: dict[ComponentKey, _Entry] = {}
        self._known_sizes: dict[ComponentKey, int] = {}
        self._waiting: dict[int, frozenset[int]] = {}
        self._loaders: set[int] = set()
        self._clock = itertools.count(1)
        self._loads = 0
        self._evictions = 0
        self._placing = threading.Lock()
        # One move to the device at a time; taken without the condition.

    @contextmanager
    def lease(
        self, components: Mapping[str, Component], *, work: Work | None = None, exclusive: bool = False
    ) -> Iterator[dict[str, Any]]:
        """The named components on the device for the time of the block, in eval mode and without gradients: all or
        none.

        ``work`` is what the caller will compute; this cache keeps no memory free for it. Raises what a component's
        ``load`` raises, and ModelError when they cannot fit, when waiting would never end, or when a ``load`` itself
        leases.
        """
        held = self.acquire(components, work=work, exclusive=exclusive)
        try:
            yield held.values
        finally:
            self.release(held)

    def acquire(
        self, components: Mapping[str, Component], *, work: Work | None = None, exclusive: bool = False
    ) -> Lease:
        """``lease`` for callers whose time is not a block; each must be given to ``release``."""
        by_key = {component.key: component for component in components.values()}
        keys = sorted(by_key, key=dataclasses.astuple)
        held = self._reserve(keys, exclusive)
        try:
            for entry in held.entries:
                self._ensure(entry, by_key[entry.key])
            values = {entry.key: entry.value for entry in held.entries}
            held.values.update({name: values[component.key] for name, component in components.items()})
        except BaseException:
            self.release(held)
            raise
        self._trim()
        return held

    def release(self, held: Lease) -> None:
        """Give a lease back; a second time does nothing."""
        if held.released:
            return
        # An exclusive holder may have added adapters or cast weights: the size is measured again.
        measured = {entry: held_bytes(entry.value) for entry in held.entries} if held.exclusive else {}
        with self._changed:
            held.released = True
            held.values.clear()
            for entry in held.entries:
                _drop(entry.holders, held.owner)
                if held.exclusive:
                    _drop(entry.exclusive, held.owner)
                entry.size_bytes = measured.get(entry, entry.size_bytes)
                entry.last_used = next(self._clock)
                if entry.state != "ready" and not entry.holders and self._entries.get(entry.key) is entry:
                    del self._entries[entry.key]
            self._changed.notify_all()
        self._trim()

    def clear(self) -> None:
        """Give up every component that is not leased."""
        self._collect(self._evict_until(lambda: False, weightless=True))

    def stats(self) -> CacheStats:
        """A snapshot."""
        with self._changed:
            rows = tuple(
                EntryStats(
                    component=entry.key.component,
                    path=entry.key.path,
                    dtype=entry.key.dtype,
                    state=entry.state,
                    size_bytes=entry.size_bytes,
                    leases=sum(entry.holders.values()),
                    hits=entry.hits,
                    load_s=entry.load_s,
                )
                for entry in self._entries.values()
            )
            return CacheStats(
                budget_bytes=self._budget_bytes,
                held_bytes=self._held(),
                leased_bytes=sum(row.size_bytes for row in rows if row.leases),
                loads=self._loads,
                evictions=self._evictions,
                entries=rows,
            )

    # Leases

    def _reserve(self, keys: list[ComponentKey], exclusive: bool) -> Lease:
        """Take every key at once, waiting until no other thread's lease forbids it."""
        me = threading.get_ident()
        with self._changed:
            if me in self._loaders:
                raise ModelError("a component's load asked for a lease.", hint="Lease all components together instead.")
            while blockers := self._blockers(keys, me, exclusive):
                if self._leads_to(blockers, me):
                    raise ModelError(
                        "a lease would wait for ever: each of two threads holds what the other asks for.",
                        hint="Lease all components together, exclusively from the start.",
                    )
                self._waiting[me] = blockers
                try:
                    self._changed.wait()
                finally:
                    del self._waiting[me]
            entries = tuple(self._entries.setdefault(key, _Entry(key)) for key in keys)
            for entry in entries:
                entry.holders[me] += 1
                if exclusive:
                    entry.exclusive[me] += 1
                entry.last_used = next(self._clock)
            return Lease(me, exclusive, entries)

    def _blockers(self, keys: list[ComponentKey], me: int, exclusive: bool) -> frozenset[int]:
        """Threads whose leases stand against one on ``keys``. A thread never blocks itself."""
        found: set[int] = set()
        for key in keys:
            entry = self._entries.get(key)
            if entry is not None:
                found |= set(entry.holders if exclusive else entry.exclusive)
        return frozenset(found - {me})

    def _leads_to(self, blockers: frozenset[int], me: int) -> bool:
        """Whether any of ``blockers`` waits, directly or through others, for ``me``."""
        seen: set[int] = set()
        ahead = list(blockers)
        while ahead:
            thread = ahead.pop()
            if thread == me:
                return True
            if thread not in seen:
                seen.add(thread)
                ahead += self._waiting.get(thread, ())
        return False

    # Loading

    def _ensure(self, entry: _Entry, component: Component) -> None:
        """Make a reserved entry ready and on the device; of several threads one loads and the others wait for it."""
        with self._changed:
            while entry.state == "loading":
                self._changed.wait()
            if entry.state == "failed" and entry.error is not None:
                raise entry.error
            if entry.state == "ready":
                entry.hits += 1
            else:
                entry.state = "loading"
        if entry.state == "ready":
            self._place(entry.value, component.key)
            return
        try:
            self._load(entry, component)
        except BaseException as error:
            with self._changed:
                # Who was cancelled says nothing of the file: the next in line loads it himself.
                failed = isinstance(error, Exception) and not isinstance(error, Cancelled)
                entry.state, entry.value = ("failed" if failed else "absent"), None
                if failed:
                    entry.error = error  # type: ignore[assignment]
                    if self._entries.get(entry.key) is entry:
                        del self._entries[entry.key]  # it reaches those who wait, and is not kept for those who come
                self._changed.notify_all()
            raise

    def _load(self, entry: _Entry, component: Component) -> None:
        me = threading.get_ident()
        with construction():
            self._make_room(component.key)
            started = time.perf_counter()
            with self._changed:
                self._loaders.add(me)
            try:
                value = component.load()
            finally:
                with self._changed:
                    self._loaders.discard(me)
        for module in modules(value):
            if any(tensor.is_meta for tensor in itertools.chain(module.parameters(), module.buffers())):
                raise ModelError(
                    f"{component.key.component} of {component.key.path} was loaded without all of its weights.",
                    hint="The files are incomplete: fetch the model again.",
                )
            module.eval()
            module.requires_grad_(False)
        self._place(value, component.key)
        size = held_bytes(value)
        with self._changed:
            entry.value, entry.size_bytes, entry.state = value, size, "ready"
            entry.load_s = time.perf_counter() - started
            self._known_sizes[component.key] = size
            self._loads += 1
            self._changed.notify_all()
        log.debug("loaded %s of %s: %d bytes in %.2f s", entry.key.component, entry.key.path, size, entry.load_s)

    def _place(self, value: Any, key: ComponentKey) -> None:
        """Move a component to the device. Out of memory: give up all that is not leased and try once more. Raises
        ModelError.
        """
        with self._placing:
            trouble = self._move(value)
            if not trouble:
                return
            self.clear()
            self._device.empty_cache()
            trouble = self._move(value)
        if trouble:
            stats = self.stats()
            free = self._device.memory().free_bytes
            raise ModelError(
                f"{key.component} of {key.path} does not fit on {self._device.name}: it needs"
                f" {_mib(held_bytes(value))}, {_mib(free or 0)} are free,"
                f" models in use hold {_mib(stats.leased_bytes)}.",
                hint="Close other programs that use the device, or choose a smaller model.",
            )

    def _move(self, value: Any) -> str:
        """Empty when every module of ``value`` is on the device, else what the device said.

        The error itself is not handed on: its traceback would keep half-moved tensors alive during the second attempt.
        """
        target = self._device.torch_device
        try:
            for module in modules(value):
                if any(t.device != target for t in itertools.chain(module.parameters(), module.buffers())):
                    module.to(target)
        except torch.OutOfMemoryError as error:
            return str(error) or "out of memory"
        return ""

    # Eviction

    def _make_room(self, key: ComponentKey) -> None:
        """Before a load: so that budget and memory are not exceeded even for its time.

        The size is known exactly when the component was here before. Otherwise the file's size is only a bound (a
        file may hold several components), and counts against the device's free memory alone.
        """
        known = self._known_sizes.get(key)
        if known is not None:
            given_up = self._evict_until(lambda: self._held() + known <= self._budget_bytes)
        else:
            free = self._device.memory().free_bytes
            if free is None or free >= key.size_bytes:
                return
            before = self._held()
            given_up = self._evict_until(lambda: free + before - self._held() >= key.size_bytes)
        self._collect(given_up)

    def _trim(self) -> None:
        self._collect(self._evict_until(lambda: self._held() <= self._budget_bytes))

    def _held(self) -> int:
        return sum(entry.size_bytes for entry in self._entries.values())

    def _evict_until(self, enough: Callable[[], bool], *, weightless: bool = False) -> list[_Given]:
        """Give up unleased entries, the least recently used first, until ``enough()``; the modules that were given
        up.
        """
        given_up: list[_Given] = []
        with self._changed:
            idle = [entry for entry in self._entries.values() if entry.state == "ready" and not entry.holders]
            for entry in sorted(idle, key=lambda entry: entry.last_used):
                if enough():
                    break
                if entry.size_bytes == 0 and not weightless:
                    continue  # a tokenizer: to give it up frees nothing
                del self._entries[entry.key]
                given_up += [weakref.ref(module) for module in modules(entry.value)]
                entry.value = None
                self._evictions += 1
        return given_up

    def _collect(self, given_up: list[_Given]) -> None:
        """Let the memory of what was given up go back."""
        if any(module() is not None for module in given_up):
            gc.collect()  # hooks that refer back to their module make a cycle
        if given_up:
            self._device.empty_cache()


def budget_bytes(settings: Settings, device: Device) -> int:
    """The settings' budget, or half of the device's memory."""
    if settings.cache_bytes:
        return settings.cache_bytes
    total = device.memory().total_bytes
    return total // 2 if total else 4 * 2**30


def _drop(counter: Counter[int], thread: int) -> None:
    counter[thread] -= 1
    if counter[thread] <= 0:
        del counter[thread]


def _mib(size_bytes: int) -> str:
    return f"{size_bytes / 2**20:.0f} MiB"
