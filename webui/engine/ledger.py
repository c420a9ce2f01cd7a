"""Where every set of weights is, how many bytes it takes there, and what has to go so that a request fits. Plain
arithmetic: no torch, no threads, no clock. The cache guards it by its lock, and the mover does what it plans.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Generic, Literal, TypeVar

K = TypeVar("K")
Tier = Literal["device_bytes", "ram_bytes"]

_LEAST_COST_S = 0.05
"""Loads faster than this count as equal: their times are noise."""


class State(StrEnum):
    """ABSENT -> LOADING -> RAM -> MOVING -> GPU, back to RAM or ABSENT when evicted; LOADING -> FAILED.

    GPU means: on the device, whatever that is. Where device and main memory are one, LOADING leads to GPU.
    """

    ABSENT = "absent"
    LOADING = "loading"
    RAM = "ram"
    MOVING = "moving"
    GPU = "device"
    FAILED = "failed"


@dataclass(frozen=True)
class Action(Generic[K]):
    """One step of a plan.

    load: file to main memory. upload: main memory to device. drop: the device's copy goes, the master in main memory
    stays. forget: all of it goes. unmaster: the master of what is on the device goes.
    """

    what: Literal["load", "upload", "drop", "forget", "unmaster"]
    key: K


@dataclass(frozen=True)
class Request(Generic[K]):
    """What a lease asks for. ``keys``: with the bytes that each is known or thought to take, in the order of loading.

    ``limit_bytes`` bounds weights and work on the device together, all leases counted.
    """

    keys: Mapping[K, int]
    limit_bytes: int
    work_bytes: int = 0


class NoRoom(Exception):
    """A request does not fit. ``final``: nor will it when others give their leases back."""

    def __init__(self, needed_bytes: int, limit_bytes: int, held_bytes: int, final: bool) -> None:
        super().__init__(f"needs {needed_bytes} bytes of {limit_bytes}, of which {held_bytes} are taken for good")
        self.needed_bytes = needed_bytes
        self.limit_bytes = limit_bytes
        self.held_bytes = held_bytes
        self.final = final


@dataclass(eq=False)
class Record(Generic[K]):
    """What the ledger knows of one set of weights."""

    key: K
    state: State = State.ABSENT
    ram_bytes: int = 0
    device_bytes: int = 0
    leases: int = 0
    below: int = 0
    """How many of the leases want it in memory alone, wherever it lies."""
    pinned: bool = False
    hits: int = 0
    load_s: float = 0.0
    move_s: float = 0.0
    frequency: int = 0
    rank: float = 0.0
    """GreedyDual-Size-Frequency: the lowest goes first."""

    @property
    def settled(self) -> bool:
        """Neither leased nor on its way."""
        return not self.leases and self.state in (State.RAM, State.GPU)

    @property
    def resting(self) -> bool:
        """Leased, but nobody needs it where it is: on the device."""
        return 0 < self.leases == self.below and self.state is State.GPU


@dataclass
class Ledger(Generic[K]):
    """The books. ``unified``: device and main memory are one, so that nothing is kept twice.

    ``keep_bytes`` bounds what stays on the device when nobody leases it; None: all that fits. ``ram_bytes`` bounds
    the masters in main memory; what is leased may exceed both, and what it leaves over them goes when it ends.
    """

    unified: bool = False
    keep_bytes: int | None = None
    ram_budget_bytes: int = 0
    wanted: Container[K] = ()
    """What jobs that wait will need: it goes last."""
    records: dict[K, Record[K]] = field(default_factory=dict)
    work_bytes: int = 0
    """Set aside by the leases that are held."""
    evictions: int = 0
    clock: float = 0.0
    """Of GreedyDual: the rank of the last victim, so that what was not used for long ages."""

    # What is known

    def record(self, key: K) -> Record[K]:
        """The record of ``key``, made where there is none."""
        return self.records.setdefault(key, Record(key))

    @property
    def device_bytes(self) -> int:
        return sum(one.device_bytes for one in self.records.values())

    @property
    def ram_bytes(self) -> int:
        return sum(one.ram_bytes for one in self.records.values())

    # Planning: nothing is changed

    def plan(self, request: Request[K]) -> tuple[Action[K], ...]:
        """What has to be done, in order: nothing is evicted when the request fits, and no more than must be.

        Raises NoRoom, in which case nothing has to go.
        """
        needed = request.work_bytes + self._missing(request)
        excess = self.device_bytes + self.work_bytes + needed - request.limit_bytes
        steps: list[Action[K]] = []
        if excess > 0:
            idle = [one for one in self._off_the_device() if one.key not in request.keys]
            victims = self._victims([one for one in idle if not one.pinned], excess)
            if victims is None:
                raise self._no_room(request, needed)
            steps += [self._eviction(one) for one in victims]
        states = {key: self.records[key].state if key in self.records else State.ABSENT for key in request.keys}
        for key, state in states.items():
            if state in (State.ABSENT, State.FAILED):
                steps.append(Action("load", key))
            if state is not State.GPU and not self.unified:
                steps.append(Action("upload", key))
        return tuple(steps)

    def surplus(self, coming_bytes: int = 0) -> tuple[Action[K], ...]:
        """What has to go so that what is kept, and ``coming_bytes`` about to be loaded, are within the bounds.

        Leased and pinned weights stay, so that the bounds may be exceeded still.
        """
        steps: list[Action[K]] = []
        idle = [one for one in self.records.values() if one.settled and not one.pinned]
        if self.keep_bytes is not None:
            over = self.device_bytes - self.keep_bytes + (coming_bytes if self.unified else 0)
            steps += [self._eviction(one) for one in self._as_far_as_possible(idle, over, "device_bytes")]
        if self.unified:
            return tuple(steps)
        off_device = {step.key for step in steps}
        gone = {step.key for step in steps if step.what == "forget"}
        over = self.ram_bytes - sum(self.records[key].ram_bytes for key in gone) + coming_bytes - self.ram_budget_bytes
        masters = [one for one in idle if one.key not in gone]
        for one in self._as_far_as_possible(masters, over, "ram_bytes"):
            on_device = one.state is State.GPU and one.key not in off_device
            steps = [step for step in steps if step.key != one.key]
            steps.append(Action("unmaster" if on_device else "forget", one.key))
        return tuple(steps)

    def spare(self, excess_bytes: int) -> tuple[Action[K], ...]:
        """What to give up altogether so that main memory has ``excess_bytes`` more, as far as that goes."""
        idle = [one for one in self.records.values() if one.settled and not one.pinned]
        tier: Tier = "device_bytes" if self.unified else "ram_bytes"
        return tuple(Action("forget", one.key) for one in self._as_far_as_possible(idle, excess_bytes, tier))

    def idle(self) -> tuple[Action[K], ...]:
        """All that nobody leases or pinned, to be given up altogether."""
        return tuple(Action("forget", one.key) for one in self.records.values() if one.settled and not one.pinned)

    def idle_on_device(self) -> tuple[Action[K], ...]:
        """All that nobody needs there, off the device; pinned weights keep their master."""
        return tuple(
            self._eviction(one)
            for one in self._off_the_device()
            if one.device_bytes and (not one.pinned or (one.ram_bytes and not self.unified))
        )

    def _off_the_device(self) -> list[Record[K]]:
        """What may leave the device."""
        return [one for one in self.records.values() if one.settled or (one.resting and not self.unified)]

    def _missing(self, request: Request[K]) -> int:
        """Bytes that the request adds to the device."""
        total = 0
        for key, thought in request.keys.items():
            one = self.records.get(key)
            if one is None:
                total += thought
            elif not one.device_bytes:
                total += one.ram_bytes or thought
        return total

    def _victims(self, candidates: Iterable[Record[K]], excess: int) -> list[Record[K]] | None:
        """The cheapest to lose that together free ``excess`` bytes, none of them in vain; None: they do not."""
        taken: list[Record[K]] = []
        freed = 0
        for one in self._in_order(candidates):
            if freed >= excess:
                break
            if one.device_bytes:
                taken.append(one)
                freed += one.device_bytes
        if freed < excess:
            return None
        for one in reversed(taken[:]):  # a large one late may have made small ones before it needless
            if freed - one.device_bytes >= excess:
                taken.remove(one)
                freed -= one.device_bytes
        return taken

    def _as_far_as_possible(self, candidates: Iterable[Record[K]], excess: int, tier: Tier) -> list[Record[K]]:
        taken = []
        for one in self._in_order(candidates):
            if excess <= 0:
                break
            if size := getattr(one, tier):
                taken.append(one)
                excess -= size
        return taken

    def _in_order(self, candidates: Iterable[Record[K]]) -> list[Record[K]]:
        return sorted(candidates, key=lambda one: (one.key in self.wanted, one.rank))

    def _eviction(self, one: Record[K]) -> Action[K]:
        return Action("drop" if (one.ram_bytes or one.leases) and not self.unified else "forget", one.key)

    def _no_room(self, request: Request[K], needed: int) -> NoRoom:
        own = sum(one.device_bytes for one in self.records.values() if one.key in request.keys)
        pinned = sum(one.device_bytes for one in self.records.values() if one.pinned and one.key not in request.keys)
        movable = {one.key for one in self._off_the_device()} | request.keys.keys()
        leased = sum(one.device_bytes for one in self.records.values() if one.key not in movable and not one.pinned)
        final = needed + own + pinned > request.limit_bytes
        return NoRoom(needed + own, request.limit_bytes, pinned + leased + self.work_bytes, final)

    # Entries in the books: each as its cause happens

    def lease(self, keys: Iterable[K], work_bytes: int = 0, *, below: Container[K] = ()) -> None:
        """``below``: those that are wanted in memory alone."""
        self.work_bytes += work_bytes
        for key in keys:
            one = self.record(key)
            one.leases += 1
            one.below += key in below

    def release(self, keys: Iterable[K], work_bytes: int = 0, *, below: Container[K] = ()) -> None:
        """Balance a lease; what it could not load leaves the books."""
        self.work_bytes -= work_bytes
        for key in keys:
            one = self.records[key]
            one.leases -= 1
            one.below -= key in below
            if not one.leases and one.state in (State.ABSENT, State.FAILED):
                del self.records[key]

    def touch(self, key: K, hit: bool) -> None:
        """Count a use, which raises the rank (Cherkasova 1998: clock + frequency x cost / size)."""
        one = self.record(key)
        one.hits += hit
        one.frequency += 1
        size = max(one.device_bytes, one.ram_bytes, 1)
        cost_s = one.load_s + one.move_s
        one.rank = self.clock + one.frequency * max(cost_s, _LEAST_COST_S) / size

    def loading(self, key: K) -> None:
        self.record(key).state = State.LOADING

    def loaded(self, key: K, size_bytes: int, load_s: float) -> None:
        """In main memory now; where the two are one, on the device with that."""
        one = self.record(key)
        one.load_s = load_s
        if self.unified:
            one.state, one.device_bytes = State.GPU, size_bytes
        else:
            one.state, one.ram_bytes = State.RAM, size_bytes

    def failed(self, key: K) -> None:
        one = self.record(key)
        one.state, one.ram_bytes, one.device_bytes = State.FAILED, 0, 0

    def moving(self, key: K) -> None:
        """On its way to the device, where its bytes count from now on: who asks meanwhile must not take them for a
        stranger's.
        """
        one = self.record(key)
        one.state, one.device_bytes = State.MOVING, one.ram_bytes

    def moved(self, key: K, size_bytes: int, move_s: float, *, master: bool = True) -> None:
        """On the device now; ``master``: and still in main memory."""
        one = self.record(key)
        one.state, one.device_bytes, one.move_s = State.GPU, size_bytes, move_s
        if not master:
            one.ram_bytes = 0

    def not_moved(self, key: K) -> None:
        """The move failed: all is in main memory again."""
        one = self.record(key)
        one.state, one.device_bytes = State.RAM, 0

    def measured(self, key: K, device_bytes: int, ram_bytes: int) -> None:
        """Whoever held it alone may have changed its size."""
        one = self.record(key)
        one.device_bytes, one.ram_bytes = device_bytes, ram_bytes

    def evicted(self, action: Action[K]) -> None:
        """A drop, forget or unmaster was done."""
        one = self.records[action.key]
        if action.what == "unmaster":
            one.ram_bytes = 0
            return
        self.evictions += 1
        self.clock = max(self.clock, one.rank)
        if action.what == "drop":
            one.state, one.ram_bytes, one.device_bytes = State.RAM, one.ram_bytes or one.device_bytes, 0
        elif one.leases or one.pinned:
            one.state, one.ram_bytes, one.device_bytes = State.ABSENT, 0, 0
        else:
            del self.records[action.key]
