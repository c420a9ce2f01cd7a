"""The books of the cache: what fits evicts nothing, what does not evicts no more than it must, the hopeless nothing."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import assume, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from webui.engine.ledger import Action, Ledger, NoRoom, Request, State


def resident(ledger: Ledger[str], sizes: dict[str, int], loads_s: dict[str, float] | None = None) -> None:
    """Have these on the device, unleased, with a master."""
    for key, size in sizes.items():
        ledger.loaded(key, size, (loads_s or {}).get(key, 1.0))
        if not ledger.unified:
            ledger.moved(key, size, 0.0)
        ledger.touch(key, hit=False)


def evictions(steps: tuple[Action[str], ...]) -> list[tuple[str, str]]:
    return [(step.what, step.key) for step in steps if step.what in ("drop", "forget", "unmaster")]


def test_the_plan_of_a_first_request_is_to_load_and_to_upload() -> None:
    steps = Ledger[str]().plan(Request({"a": 3, "b": 4}, limit_bytes=10))
    assert [(step.what, step.key) for step in steps] == [("load", "a"), ("upload", "a"), ("load", "b"), ("upload", "b")]
    assert [step.what for step in Ledger[str](unified=True).plan(Request({"a": 3}, limit_bytes=10))] == ["load"]


@pytest.mark.parametrize(("unified", "what"), [(False, "drop"), (True, "forget")])
def test_who_goes_keeps_its_master_where_it_has_one(unified: bool, what: str) -> None:
    ledger = Ledger[str](unified=unified)
    resident(ledger, {"a": 6})
    assert evictions(ledger.plan(Request({"b": 6}, limit_bytes=10))) == [(what, "a")]


def test_what_costs_least_for_its_size_goes_first_and_use_counts() -> None:
    ledger = Ledger[str]()
    resident(ledger, {"dear": 5, "cheap": 5}, {"dear": 10.0, "cheap": 1.0})
    assert evictions(ledger.plan(Request({"new": 5}, limit_bytes=10))) == [("drop", "cheap")]
    for _ in range(20):
        ledger.touch("cheap", hit=True)
    assert evictions(ledger.plan(Request({"new": 5}, limit_bytes=10))) == [("drop", "dear")]


def test_what_was_dear_once_and_never_used_again_ages() -> None:
    ledger = Ledger[str]()
    resident(ledger, {"dear": 5}, {"dear": 10.0})
    for turn in range(30):
        resident(ledger, {f"n{turn}": 5})
        for step in ledger.plan(Request({"next": 5}, limit_bytes=14)):
            if step.what == "drop":
                ledger.evicted(step)
    assert ledger.records["dear"].state is State.RAM


def test_what_waiting_jobs_need_goes_last_and_what_is_pinned_never() -> None:
    ledger = Ledger[str](wanted={"wanted"})
    resident(ledger, {"wanted": 5, "other": 5, "pinned": 5}, {"wanted": 0.1, "other": 50.0, "pinned": 0.1})
    ledger.record("pinned").pinned = True
    assert evictions(ledger.plan(Request({"new": 5}, limit_bytes=15))) == [("drop", "other")]
    assert evictions(ledger.plan(Request({"new": 10}, limit_bytes=15))) == [("drop", "wanted"), ("drop", "other")][::-1]
    with pytest.raises(NoRoom) as caught:
        ledger.plan(Request({"new": 11}, limit_bytes=15))
    assert caught.value.final


def test_a_wait_helps_where_only_leases_stand_in_the_way() -> None:
    ledger = Ledger[str]()
    resident(ledger, {"a": 6})
    ledger.lease(["a"], 2)
    with pytest.raises(NoRoom) as caught:
        ledger.plan(Request({"b": 6}, limit_bytes=10))
    assert not caught.value.final
    assert caught.value.held_bytes == 8


def test_main_memory_has_bounds_of_its_own() -> None:
    ledger = Ledger[str](ram_budget_bytes=10)
    resident(ledger, {"a": 6, "b": 6})
    assert evictions(ledger.surplus()) == [("unmaster", "a")]
    ledger.evicted(Action("drop", "a"))
    assert evictions(ledger.surplus()) == [("forget", "a")]
    assert evictions(ledger.surplus(coming_bytes=10)) == [("forget", "a"), ("unmaster", "b")]


SIZES = st.dictionaries(st.sampled_from("abcdefgh"), st.integers(1, 50), min_size=1)


@given(SIZES, st.integers(0, 60), st.integers(0, 30), st.integers(0, 300))
def test_evictions_are_none_or_as_few_as_can_be(sizes: dict[str, int], new: int, work: int, limit: int) -> None:
    assume(sum(sizes.values()) <= limit)
    ledger = Ledger[str]()
    resident(ledger, sizes)
    request = Request({"new": new}, limit, work)
    excess = sum(sizes.values()) + new + work - limit
    if new + work > limit:
        with pytest.raises(NoRoom):
            ledger.plan(request)
        return
    gone = [key for _, key in evictions(ledger.plan(request))]
    freed = sum(sizes[key] for key in gone)
    assert freed >= excess
    if excess <= 0:
        assert gone == []
    assert all(freed - sizes[key] < excess for key in gone), "one of them went in vain"


KEYS = "abcde"
BYTES = dict(zip(KEYS, (7, 20, 33, 50, 90), strict=True))


class Books(RuleBasedStateMachine):
    """A ledger, and a device whose bytes are changed by nothing but the planned actions."""

    @initialize(limit=st.integers(0, 250), ram=st.integers(0, 250))
    def begin(self, limit: int, ram: int) -> None:
        self.ledger = Ledger[str](ram_budget_bytes=ram, keep_bytes=limit)
        self.limit = limit
        self.on_device: dict[str, int] = {}
        self.leases: list[tuple[tuple[str, ...], int]] = []

    def do(self, steps: tuple[Action[str], ...]) -> None:
        leased = {key for keys, _ in self.leases for key in keys}
        for step in steps:
            if step.what in ("drop", "forget"):
                assert step.key not in leased
                self.on_device.pop(step.key, None)
                self.ledger.evicted(step)
            elif step.what == "unmaster":
                self.ledger.evicted(step)
            elif step.what == "load":
                self.ledger.loading(step.key)
                self.ledger.loaded(step.key, BYTES[step.key], 0.5)
            else:
                self.ledger.moving(step.key)
                self.on_device[step.key] = BYTES[step.key]
                self.ledger.moved(step.key, BYTES[step.key], 0.1)

    @rule(keys=st.sets(st.sampled_from(KEYS), min_size=1), work=st.integers(0, 60))
    def lease(self, keys: set[str], work: int) -> None:
        wanted = tuple(sorted(keys))
        before = dict(self.on_device)
        try:
            steps = self.ledger.plan(Request({key: BYTES[key] for key in wanted}, self.limit, work))
        except NoRoom:
            others = sum(self.on_device[key] for key in self.leased() - keys if key in self.on_device)
            pinned = {key for key, one in self.ledger.records.items() if one.pinned} - keys - self.leased()
            others += sum(self.on_device.get(key, 0) for key in pinned)
            working = sum(work for _, work in self.leases)
            assert others + working + work + sum(BYTES[key] for key in wanted) > self.limit
            assert self.on_device == before
            return
        self.ledger.lease(wanted, work)
        self.do(steps)
        self.leases.append((wanted, work))
        for key in wanted:
            self.ledger.touch(key, hit=False)
        assert sum(self.on_device.values()) + sum(work for _, work in self.leases) <= self.limit

    @rule(key=st.sampled_from(KEYS))
    def fail(self, key: str) -> None:
        if key in self.ledger.records:
            return
        self.ledger.lease([key])
        self.ledger.loading(key)
        self.ledger.failed(key)
        self.ledger.release([key])
        assert key not in self.ledger.records

    @rule(key=st.sampled_from(KEYS))
    def fail_to_move(self, key: str) -> None:
        one = self.ledger.records.get(key)
        if one is not None and one.state is State.RAM:
            self.ledger.moving(key)
            self.ledger.not_moved(key)

    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        if self.leases:
            self.ledger.release(*self.leases.pop(data.draw(st.integers(0, len(self.leases) - 1))))
            self.do(self.ledger.surplus())

    @rule(key=st.sampled_from(KEYS), pinned=st.booleans())
    def pin(self, key: str, pinned: bool) -> None:
        if key in self.ledger.records:
            self.ledger.records[key].pinned = pinned

    @rule(limit=st.integers(0, 250))
    def another_budget(self, limit: int) -> None:
        self.limit = self.ledger.keep_bytes = limit
        self.do(self.ledger.surplus())
        loose = [key for key, one in self.ledger.records.items() if one.settled and not one.pinned]
        assert sum(self.on_device.values()) <= limit or not any(key in self.on_device for key in loose)

    @rule(keys=st.sets(st.sampled_from(KEYS)))
    def want(self, keys: set[str]) -> None:
        self.ledger.wanted = keys

    @rule()
    def clear(self) -> None:
        self.do(self.ledger.idle())

    def leased(self) -> set[str]:
        return {key for keys, _ in self.leases for key in keys}

    @invariant()
    def the_books_are_true(self) -> None:
        if not hasattr(self, "ledger"):
            return
        for key, one in self.ledger.records.items():
            assert one.device_bytes == self.on_device.get(key, 0)
            assert one.leases == sum(key in keys for keys, _ in self.leases)
            assert (one.state is State.GPU) == (key in self.on_device)
        assert set(self.on_device) <= set(self.ledger.records)
        assert self.leased() <= set(self.on_device)
        assert self.ledger.work_bytes == sum(work for _, work in self.leases)

    def teardown(self) -> None:
        if not hasattr(self, "ledger"):
            return
        for keys, work in self.leases:
            self.ledger.release(keys, work)
        assert self.ledger.work_bytes == 0
        assert all(one.leases == 0 for one in self.ledger.records.values())


Books.TestCase.settings = examples(max_examples=100, stateful_step_count=30, deadline=None)
TestBooks = Books.TestCase


def test_to_and_fro_does_not_grow() -> None:
    ledger = Ledger[str](ram_budget_bytes=10)
    for key in itertools.islice(itertools.cycle("ab"), 40):
        for step in ledger.plan(Request({key: 6}, limit_bytes=10)):
            if step.what == "load":
                ledger.loaded(key, 6, 1.0)
            elif step.what == "upload":
                ledger.moved(key, 6, 0.0)
            else:
                ledger.evicted(step)
        for step in ledger.surplus():
            ledger.evicted(step)
        assert ledger.device_bytes == 6
        assert ledger.ram_bytes <= 10
