"""The model cache: what is leased stays, what is kept fits, what fails leaves nothing, and of many one loads."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import settings as examples
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from webui.core.errors import Cancelled, ModelError
from webui.core.specs import Component, ComponentKey
from webui.engine.cache import ModelCache
from webui.engine.device import Device
from webui.engine.memory import CONSTRUCTION_LOCK, construction, held_bytes
from webui.engine.simdevice import SimDevice

CPU = Device(torch.device("cpu"), torch.float32, "test processor")
FLOAT = 4


def key(name: str, path: str = "/models/m", size_bytes: int = 0) -> ComponentKey:
    return ComponentKey(path=path, size_bytes=size_bytes, mtime_ns=1, component=name, dtype="float32")


class Weights(torch.nn.Module):
    def __init__(self, floats: int) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(floats))
        self.register_buffer("scale", torch.ones(2))


def component(name: str, floats: int = 8, loads: list[str] | None = None) -> Component:
    def load() -> Any:
        if loads is not None:
            loads.append(name)
        return Weights(floats)

    return Component(key(name), load)


def size_of(floats: int) -> int:
    return (floats + 2) * FLOAT


def together(*calls: Callable[[], Any]) -> list[Any]:
    """Each call in its own thread, begun as one; what each returned or raised."""
    barrier = threading.Barrier(len(calls))

    def run(call: Callable[[], Any]) -> Any:
        barrier.wait(5)
        try:
            return call()
        except Exception as error:
            return error

    with ThreadPoolExecutor(len(calls)) as pool:
        return [future.result(10) for future in [pool.submit(run, call) for call in calls]]


# Sizes


def test_shared_and_tied_storages_count_once() -> None:
    module = torch.nn.Module()
    module.a = torch.nn.Linear(4, 4, bias=False)
    module.b = torch.nn.Linear(4, 4, bias=False)
    module.b.weight = module.a.weight
    module.register_buffer("view", module.a.weight.detach()[:2])
    assert held_bytes(module) == 16 * FLOAT
    assert held_bytes([module, module.a]) == 16 * FLOAT
    assert held_bytes({"a": module.a, "other": "a tokenizer"}) == 16 * FLOAT
    assert held_bytes(object()) == 0


def test_a_view_counts_the_storage_it_keeps_alive() -> None:
    assert held_bytes([torch.zeros(100)[:1]]) == 100 * FLOAT


def test_quantized_weights_count_as_what_they_are_made_of() -> None:
    quantization = pytest.importorskip("torchao.quantization")
    module = torch.nn.Linear(64, 32, bias=False)
    assert held_bytes(module) == 64 * 32 * FLOAT
    quantization.quantize_(module, quantization.Int8WeightOnlyConfig())
    assert 64 * 32 < held_bytes(module) <= 64 * 32 + 3 * 32 * FLOAT  # and one scale and zero point a row


# Leases


def test_a_file_that_was_replaced_before_it_was_read_is_not_taken_for_the_one_before(tmp_path: Path) -> None:
    file = tmp_path / "m.safetensors"
    file.write_bytes(b"one")
    asked = Component(ComponentKey.of(file, "unet", "float32"), lambda: Weights(8))
    file.write_bytes(b"another")
    cache = ModelCache(CPU, 10_000)
    with pytest.raises(ModelError, match=r"m\.safetensors was replaced"), cache.lease({"unet": asked}):
        raise AssertionError("it was leased")
    assert cache.stats().held_bytes == 0
    with cache.lease({"unet": Component(ComponentKey.of(file, "unet", "float32"), asked.load)}):
        file.unlink()
    with cache.lease({"unet": asked}):
        assert cache.stats().loads == 2, "of a file that is gone nothing can be said"


def test_loaded_once_and_ready_to_compute() -> None:
    loads: list[str] = []
    cache = ModelCache(CPU, 10_000)
    for _ in range(3):
        with cache.lease({"unet": component("unet", 8, loads), "same": component("unet", 8, loads)}) as held:
            assert held["unet"] is held["same"]
            assert not held["unet"].training
            assert not any(parameter.requires_grad for parameter in held["unet"].parameters())
    assert loads == ["unet"]
    stats = cache.stats()
    assert (stats.loads, stats.entries[0].hits, stats.held_bytes, stats.leased_bytes) == (1, 2, size_of(8), 0)


def test_keys_that_differ_in_anything_never_share() -> None:
    cache = ModelCache(CPU, 10_000)
    names = [key("a"), key("b"), key("a", path="/other"), key("a", size_bytes=1)]
    with cache.lease({str(n): Component(one, lambda: Weights(1)) for n, one in enumerate(names)}) as held:
        assert len({id(value) for value in held.values()}) == len(names)


def test_a_lease_moves_weights_to_the_device() -> None:
    device = SimDevice(10_000)
    cache = ModelCache(CPU, None, memory=device, headroom_bytes=0)
    with cache.lease({"unet": component("unet")}):
        assert device.allocated() == size_of(8)


def test_weights_that_were_never_read_are_refused() -> None:
    cache = ModelCache(CPU, 10_000)

    def load() -> torch.nn.Module:
        with torch.device("meta"):
            return torch.nn.Linear(2, 2)

    with pytest.raises(ModelError, match="without all of its weights"), cache.lease({"a": Component(key("a"), load)}):
        pass
    assert cache.stats().entries == ()


def test_all_or_none() -> None:
    cache = ModelCache(CPU, 10_000)

    def fail() -> Any:
        raise OSError("no such file")

    wanted = {"a": component("a"), "b": Component(key("b"), fail)}
    with pytest.raises(OSError, match="no such file"), cache.lease(wanted):
        pass
    assert [(row.component, row.leases) for row in cache.stats().entries] == [("a", 0)]
    with cache.lease({"b": component("b")}) as held:
        assert isinstance(held["b"], Weights)


def test_an_error_in_the_block_gives_the_lease_back() -> None:
    cache = ModelCache(CPU, 10_000)
    with pytest.raises(ZeroDivisionError), cache.lease({"a": component("a")}):
        raise ZeroDivisionError
    assert cache.stats().leased_bytes == 0


def test_what_waiting_jobs_need_goes_last() -> None:
    cache = ModelCache(CPU, 2 * size_of(5) + size_of(0))
    a, b = (Component(key(name, f"/models/{name}/unet"), lambda: Weights(5)) for name in "ab")
    kept = {}
    for models in ([], [Path("/models/a")], [Path("/models/b")]):
        cache.clear()
        cache.want(models)
        for one in (a, b):
            with cache.lease({"it": one}):
                pass
        with cache.lease({"c": component("c", 1)}):
            pass
        kept[str(models)] = {row.path for row in cache.stats().entries} & {a.key.path, b.key.path}
    assert list(kept.values())[1:] == [{a.key.path}, {b.key.path}]


def test_what_is_leased_is_never_given_up_and_goes_when_it_is_not() -> None:
    cache = ModelCache(CPU, size_of(10))
    with cache.lease({"a": component("a", 10)}) as a:
        with cache.lease({"b": component("b", 10)}):
            assert cache.stats().leased_bytes == 2 * size_of(10)
            assert a["a"].weight.numel() == 10
        assert [row.component for row in cache.stats().entries] == ["a"]
    assert cache.stats().held_bytes == size_of(10)


def test_the_least_recently_used_goes_first() -> None:
    cache = ModelCache(CPU, 2 * size_of(10))
    for name in ("a", "b", "a", "c"):
        with cache.lease({name: component(name, 10)}):
            pass
    assert {row.component for row in cache.stats().entries} == {"a", "c"}
    assert cache.stats().evictions == 1


def test_a_known_size_makes_room_before_the_load() -> None:
    cache = ModelCache(CPU, size_of(10))
    for name in ("a", "b"):
        with cache.lease({name: component(name, 10)}):
            pass
    seen: list[int] = []

    def load() -> Any:
        seen.append(cache.stats().held_bytes)
        return Weights(10)

    with cache.lease({"a": Component(key("a"), load)}):
        pass
    assert seen == [0]


def test_switching_to_and_fro_does_not_grow() -> None:
    cache = ModelCache(CPU, size_of(10))
    for turn in range(20):
        name = "ab"[turn % 2]
        with cache.lease({name: component(name, 10), "tokenizer": Component(key("tokenizer"), object)}):
            pass
    stats = cache.stats()
    assert stats.held_bytes == size_of(10)
    assert {row.component for row in stats.entries} == {"b", "tokenizer"}
    cache.clear()
    assert cache.stats().entries == ()


def test_an_exclusive_lease_measures_again() -> None:
    cache = ModelCache(CPU, 10_000)
    with cache.lease({"a": component("a", 8)}, exclusive=True) as held:
        held["a"].adapter = torch.nn.Parameter(torch.zeros(5), requires_grad=False)
    assert cache.stats().held_bytes == size_of(8) + 5 * FLOAT


def test_modules_in_cycles_are_freed_too() -> None:
    cache = ModelCache(CPU, 1)
    with cache.lease({"a": component("a")}) as held:
        held["a"].myself = [held["a"]]
        gone = weakref.ref(held["a"])
    assert gone() is None


# Threads


def test_many_ask_and_one_loads() -> None:
    loads: list[str] = []
    cache = ModelCache(CPU, 10_000)

    def load() -> Any:
        loads.append("a")
        time.sleep(0.05)
        return Weights(4)

    def ask() -> int:
        with cache.lease({"a": Component(key("a"), load)}) as held:
            return id(held["a"])

    assert len(set(together(*[ask] * 6))) == 1
    assert loads == ["a"]


def test_a_failed_load_reaches_all_who_wait_and_is_not_kept() -> None:
    loads: list[str] = []
    cache = ModelCache(CPU, 10_000)
    reserved = threading.Semaphore(0)

    def fail() -> Any:
        for _ in range(4):
            assert reserved.acquire(timeout=5)
        while cache.stats().entries[0].leases < 4:
            time.sleep(0.001)
        loads.append("a")
        raise ValueError("a broken file")

    def ask() -> None:
        reserved.release()
        cache.acquire({"a": Component(key("a"), fail)})

    answers = together(*[ask] * 4)
    assert {type(answer) for answer in answers} == {ValueError}
    assert loads == ["a"]
    assert cache.stats().entries == ()
    with cache.lease({"a": component("a")}) as held:
        assert isinstance(held["a"], Weights)


def test_who_is_cancelled_while_loading_fails_nobody_else() -> None:
    cache = ModelCache(CPU, 10_000)
    begun = threading.Event()

    def cancelled() -> Any:
        begun.set()
        while cache.stats().entries[0].leases < 2:
            time.sleep(0.001)
        raise Cancelled

    def second() -> bool:
        assert begun.wait(5)
        with cache.lease({"a": component("a")}) as held:
            return isinstance(held["a"], Weights)

    first_answer, second_answer = together(lambda: cache.acquire({"a": Component(key("a"), cancelled)}), second)
    assert isinstance(first_answer, Cancelled)
    assert second_answer is True


def test_two_caches_never_load_at_once() -> None:
    inside = 0
    most = 0

    def load() -> Any:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        time.sleep(0.02)
        inside -= 1
        return Weights(1)

    caches = [ModelCache(CPU, 1000) for _ in range(4)]
    together(*[lambda cache=cache: cache.acquire({"a": Component(key("a"), load)}) for cache in caches])
    assert most == 1


def test_exclusive_waits_for_the_others_and_they_for_it() -> None:
    cache = ModelCache(CPU, 10_000)
    shared = cache.acquire({"a": component("a")})
    order: list[str] = []

    def change() -> None:
        with cache.lease({"a": component("a")}, exclusive=True):
            order.append("exclusive begins")
            time.sleep(0.05)
            order.append("exclusive ends")

    def read() -> None:
        while "exclusive begins" not in order:
            time.sleep(0.001)
        with cache.lease({"a": component("a")}):
            order.append("shared")

    with ThreadPoolExecutor(2) as pool:
        futures = [pool.submit(change), pool.submit(read)]
        time.sleep(0.05)
        assert order == []
        cache.release(shared)
        for future in futures:
            future.result(5)
    assert order == ["exclusive begins", "exclusive ends", "shared"]


def test_one_thread_never_waits_for_itself() -> None:
    cache = ModelCache(CPU, 10_000)
    wanted = {"a": component("a")}
    with cache.lease(wanted), cache.lease(wanted, exclusive=True), cache.lease(wanted):
        assert cache.stats().entries[0].leases == 3
    assert cache.stats().entries[0].leases == 0


def test_a_wait_without_end_is_refused() -> None:
    cache = ModelCache(CPU, 10_000)
    both = threading.Barrier(2)

    def hold_one_and_ask(own: str, other: str) -> str:
        with cache.lease({own: component(own)}, exclusive=True):
            both.wait(5)
            with cache.lease({other: component(other)}, exclusive=True):
                return "granted"

    answers = together(lambda: hold_one_and_ask("a", "b"), lambda: hold_one_and_ask("b", "a"))
    assert sorted(type(answer).__name__ for answer in answers) == ["ModelError", "str"]
    assert all(row.leases == 0 for row in cache.stats().entries)


def test_a_load_that_leases_is_refused() -> None:
    cache = ModelCache(CPU, 10_000)
    outer = Component(key("outer"), lambda: cache.acquire({"a": component("a")}))
    with pytest.raises(ModelError, match="a component's load asked for a lease"):
        cache.acquire({"outer": outer})
    assert cache.stats().entries == ()


def test_construction_is_pristine_after_a_loader_was_cut_short() -> None:
    original = torch.nn.Module.register_parameter

    def patched(*args: Any) -> None:
        raise AssertionError("left behind by a loader")

    with construction():
        torch.nn.Module.register_parameter = patched  # type: ignore[method-assign]
    assert torch.nn.Module.register_parameter is original
    assert CONSTRUCTION_LOCK.acquire(timeout=1)
    CONSTRUCTION_LOCK.release()


# Properties

NAMES = ("a", "b", "c", "d", "e")
SIZES = dict(zip(NAMES, (1, 5, 10, 30, 80), strict=True))


class CacheMachine(RuleBasedStateMachine):
    """Leases taken and given back in any order, with loads that fail now and then."""

    @initialize(budget=st.integers(0, 600))
    def begin(self, budget: int) -> None:
        self.budget = budget
        self.cache = ModelCache(CPU, budget)
        self.open: list[tuple[Any, dict[str, int]]] = []

    @rule(names=st.sets(st.sampled_from(NAMES), min_size=1), exclusive=st.booleans())
    def take(self, names: set[str], exclusive: bool) -> None:
        before = {row.component for row in self.cache.stats().entries}
        loads: list[str] = []
        held = self.cache.acquire({name: component(name, SIZES[name], loads) for name in names}, exclusive=exclusive)
        assert set(loads) == names - before
        self.open.append((held, {name: id(value) for name, value in held.values.items()}))

    @rule(names=st.sets(st.sampled_from(NAMES), min_size=1), bad=st.sampled_from(NAMES))
    def fail(self, names: set[str], bad: str) -> None:
        if bad in {row.component for row in self.cache.stats().entries}:
            return

        def broken() -> Any:
            raise ValueError("broken")

        wanted = {name: component(name, SIZES[name]) for name in names} | {bad: Component(key(bad), broken)}
        with pytest.raises(ValueError):
            self.cache.acquire(wanted)
        assert bad not in {row.component for row in self.cache.stats().entries}

    @rule(data=st.data())
    def give_back(self, data: st.DataObject) -> None:
        if self.open:
            held, _ = self.open.pop(data.draw(st.integers(0, len(self.open) - 1)))
            self.cache.release(held)
            self.cache.release(held)

    @rule()
    def drop_idle(self) -> None:
        self.cache.clear()

    @invariant()
    def holds(self) -> None:
        if not hasattr(self, "cache"):
            return
        rows = {row.component: row for row in self.cache.stats().entries}
        leased = {name for _, ids in self.open for name in ids}
        for _, ids in self.open:
            for name, identity in ids.items():
                weights = self.cache._entries[key(name)].weights
                assert weights is not None
                assert id(weights.value) == identity, "a leased component was loaded anew"
        assert {name for name, row in rows.items() if row.leases} == leased
        assert sum(row.leases for row in rows.values()) == sum(len(ids) for _, ids in self.open)
        assert all(row.size_bytes == size_of(SIZES[name]) for name, row in rows.items())
        held = sum(row.size_bytes for row in rows.values())
        assert held <= self.budget or set(rows) == leased

    def teardown(self) -> None:
        if not hasattr(self, "cache"):
            return
        with ExitStack() as stack:
            for held, _ in self.open:
                stack.callback(self.cache.release, held)
        assert all(row.leases == 0 for row in self.cache.stats().entries)
        assert self.cache.stats().held_bytes <= self.budget


CacheMachine.TestCase.settings = examples(max_examples=60, stateful_step_count=20)
TestCacheProperties = CacheMachine.TestCase


def test_component_keys_tell_changed_files_apart(tmp_path: Path) -> None:
    file = tmp_path / "m.safetensors"
    file.write_bytes(b"one")
    first = ComponentKey.of(file, "unet", "float32")
    file.write_bytes(b"three")
    assert ComponentKey.of(file, "unet", "float32") != first
