"""The cache on a device with memory of its own: weights come and go and stay what they were, and the bytes agree."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
import torch
from hypothesis import settings as examples
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from webui.core.errors import ModelError
from webui.core.jobs import BudgetCommand
from webui.core.specs import Component, ComponentKey, Work
from webui.engine.cache import ModelCache
from webui.engine.device import Device
from webui.engine.residents import entry_id
from webui.engine.simdevice import SimDevice, SimulatedOutOfMemory
from webui.engine.work import WorkEstimates
from webui.engine.worker import obey

NOWHERE = Device(torch.device("cpu"), torch.float16, "simulated")
MIB, GIB = 2**20, 2**30


@pytest.fixture(autouse=True, scope="module")
def _few_objects_to_collect() -> Iterator[None]:
    """The cache collects garbage after evictions; what the libraries made before is no part of it."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


def key(name: str) -> ComponentKey:
    return ComponentKey(path="/models/m", size_bytes=0, mtime_ns=1, component=name, dtype="float16")


class Net(torch.nn.Module):
    """Tied weights, a buffer, and enough of both to tell whether they are right."""

    def __init__(self, seed: int, width: int = 16) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.a = torch.nn.Linear(width, width, bias=False)
        self.b = torch.nn.Linear(width, width)
        self.b.weight = self.a.weight
        self.register_buffer("scale", torch.rand(width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.b(torch.tanh(self.a(x))) * self.scale


def net(name: str, width: int = 16, loads: list[str] | None = None) -> Component:
    def load() -> Net:
        if loads is not None:
            loads.append(name)
        return Net(sum(name.encode()), width)

    return Component(key(name), load)


def net_bytes(width: int = 16) -> int:
    return 4 * (width * width + 2 * width)


def cache_on(device: SimDevice, **arguments: Any) -> ModelCache:
    return ModelCache(NOWHERE, None, **{"memory": device, "headroom_bytes": 0, "ram_budget_bytes": GIB, **arguments})


def output(cache: ModelCache, *names: str) -> torch.Tensor:
    with cache.lease({name: net(name) for name in names}) as held, torch.inference_mode():
        x = torch.linspace(-1, 1, 16)
        for name in names:
            x = held[name](x)
        return x


def test_evicted_and_back_it_computes_the_same_bits_without_a_load() -> None:
    device = SimDevice(net_bytes())
    cache = cache_on(device)
    loads: list[str] = []
    first = output(cache, "a")
    cached = output(cache, "a")
    for _ in range(3):
        output(cache, "b")
        assert device.allocated() == net_bytes()
        with cache.lease({"a": net("a", loads=loads)}) as held, torch.inference_mode():
            again = held["a"](torch.linspace(-1, 1, 16))
        assert torch.equal(first, cached)
        assert torch.equal(first, again)
    assert loads == []
    cache.clear()
    assert device.allocated() == 0
    assert torch.equal(output(cache, "a"), first)


def test_tied_weights_stay_tied_and_are_copied_once() -> None:
    device = SimDevice(GIB)
    cache = cache_on(device)
    with cache.lease({"a": net("a")}) as held:
        assert held["a"].a.weight is held["a"].b.weight
        assert device.allocated() == net_bytes()


def test_a_patch_made_under_an_exclusive_lease_survives_eviction_and_comes_off_bit_for_bit() -> None:
    device = SimDevice(net_bytes())
    cache = cache_on(device)
    plain = output(cache, "a")
    kept: list[torch.Tensor] = []
    with cache.lease({"a": net("a")}, exclusive=True) as held:
        kept.append(held["a"].scale.clone())
        held["a"].scale.data.mul_(2)
    patched = output(cache, "a")
    assert torch.equal(patched, plain * 2)
    output(cache, "b")
    assert torch.equal(output(cache, "a"), patched)
    with cache.lease({"a": net("a")}, exclusive=True) as held:
        held["a"].scale.data.copy_(kept.pop())
    output(cache, "b")
    assert torch.equal(output(cache, "a"), plain)


def test_an_adapter_added_is_counted_and_moves_with_its_model() -> None:
    device = SimDevice(2 * net_bytes())
    cache = cache_on(device)
    with cache.lease({"a": net("a")}, exclusive=True) as held:
        held["a"].adapter = torch.nn.Parameter(device.copy_in(torch.ones(10)), requires_grad=False)
    assert cache.stats().held_bytes == device.allocated() == net_bytes() + 40
    output(cache, "b")
    assert device.allocated() == net_bytes()
    with cache.lease({"a": net("a")}) as held:
        assert torch.equal(held["a"].adapter, torch.ones(10))


def test_nothing_goes_when_all_fits() -> None:
    device = SimDevice(3 * net_bytes())
    cache = cache_on(device)
    for name in "abcabc":
        output(cache, name)
    assert cache.stats().evictions == 0
    assert cache.snapshot().moves == 3


def test_work_is_kept_free_and_what_is_hopeless_is_refused_at_once() -> None:
    work = Work("denoise", "sd1", 512, 512)
    need = WorkEstimates().estimate(work, 2)
    device = SimDevice(need + 2 * net_bytes())
    cache = cache_on(device)
    output(cache, "a", "b")
    with cache.lease({"a": net("a")}, work=work):
        assert device.free() >= need
        assert cache.snapshot().work_bytes == need
    assert cache.snapshot().work_bytes == 0
    loads: list[str] = []
    evictions = cache.stats().evictions
    with pytest.raises(ModelError, match="does not fit on simulated: it needs"):
        cache.acquire({"c": net("c", loads=loads)}, work=Work("decode", "sdxl", 4096, 4096))
    assert loads == []
    assert cache.stats().evictions == evictions


def test_other_programs_count() -> None:
    device = SimDevice(2 * net_bytes(), foreign_bytes=net_bytes())
    cache = cache_on(device)
    output(cache, "a")
    output(cache, "b")
    assert cache.stats().evictions == 1
    device.foreign_bytes = 0
    output(cache, "a")
    assert cache.stats().evictions == 1


def test_a_budget_shrunk_converges_without_touching_a_lease() -> None:
    device = SimDevice(GIB)
    cache = cache_on(device)
    output(cache, "a", "b")
    with cache.lease({"a": net("a")}) as held:
        cache.set_budget(net_bytes() - 1)
        assert device.allocated() == net_bytes()
        held["a"](torch.zeros(16))
    assert device.allocated() == 0
    with pytest.raises(ModelError, match="raise the memory budget"):
        output(cache, "a")
    cache.set_budget(None)
    output(cache, "a")


def test_no_budget_means_the_one_that_the_cache_was_made_with() -> None:
    cache = ModelCache(NOWHERE, 1000)
    cache.set_budget(1)
    assert cache.stats().budget_bytes == 1
    obey(BudgetCommand(budget_bytes=0), cache)
    assert cache.stats().budget_bytes == 1000


def test_pinned_stays_and_unloaded_goes_when_its_lease_ends() -> None:
    device = SimDevice(2 * net_bytes())
    cache = cache_on(device)
    output(cache, "a")
    assert cache.pin(entry_id(key("a")))
    for name in "bcd":
        output(cache, name)
    assert [one.component for one in cache.snapshot().entries if one.pinned and one.state == "device"] == ["a"]
    with pytest.raises(ModelError, match=r"models in use or pinned: a 0 MiB"):
        output(cache, "b", "c")
    with cache.lease({"a": net("a")}):
        assert cache.unload(entry_id(key("a")))
        assert "a" in {one.component for one in cache.snapshot().entries}
    assert "a" not in {one.component for one in cache.snapshot().entries}
    assert not cache.unload(entry_id(key("a")))
    assert not cache.pin("nothing")


def test_out_of_memory_while_moving_leaves_all_as_it_was_and_is_tried_again() -> None:
    device = SimDevice(GIB)
    cache = cache_on(device)
    output(cache, "idle")
    device.fail_next = 1
    plain = output(cache, "a")
    assert [one.component for one in cache.snapshot().entries if one.state == "device"] == ["a"]
    device.fail_next = 2
    with pytest.raises(ModelError, match="b of /models/m does not fit on simulated"):
        output(cache, "b")
    device.fail_next = 0
    assert cache.stats().leased_bytes == 0
    assert torch.equal(output(cache, "a"), plain)
    assert cache.snapshot().ooms == 3
    assert device.allocated() == cache.stats().held_bytes


def test_an_attempt_goes_on_from_its_last_step_after_each_measure() -> None:
    device = SimDevice(GIB)
    cache = cache_on(device)
    output(cache, "idle")
    steps: list[int] = []
    turned: list[str] = []
    fails = {2: 3, 4: 1}  # step -> how often it runs out of memory

    def attempt() -> list[int]:
        while len(steps) < 6:
            device.fail_next = 1 if fails.get(len(steps), 0) else 0
            if device.fail_next:
                fails[len(steps)] -= 1
            device.allocate(100)
            device.give_back(100)
            steps.append(len(steps))
        return steps

    work = Work("denoise", "sdxl", 64, 64)
    before = cache._estimates.estimate(work, 2)
    with cache.lease({"a": net("a")}, work=work):
        knobs = {"split_batch": lambda: turned.append("batch"), "vae_tiling": lambda: turned.append("tiling")}
        assert cache.attempt(attempt, knobs, work) == list(range(6))
        assert device.allocated() == net_bytes(), "what was idle went"
    assert turned == ["tiling", "batch"]
    assert cache._estimates.estimate(work, 2) > before


def test_when_nothing_helps_the_error_says_what_is_needed_and_who_holds_what() -> None:
    device = SimDevice(GIB)
    cache = cache_on(device)

    def attempt() -> None:
        raise SimulatedOutOfMemory("no")

    with cache.lease({"a": net("a")}), pytest.raises(ModelError) as caught:
        cache.attempt(attempt, {"vae_slicing": lambda: None}, None)
    for word in ("needs", "free", "a 0 MiB", "collect, evict_idle, vae_slicing"):
        assert word in str(caught.value)
    with pytest.raises(ZeroDivisionError):
        cache.attempt(lambda: 1 // 0, {}, None)


def test_what_was_measured_is_learned_when_the_lease_ends() -> None:
    device = SimDevice(GIB)
    estimates = WorkEstimates()
    cache = cache_on(device, estimates=estimates)
    work = Work("denoise", "sd1", 512, 512)
    with cache.lease({"a": net("a")}, work=work):
        device.allocate(10 * MIB)
        device.give_back(10 * MIB)
    assert estimates.estimate(work, 2) == int(10 * MIB * 1.1)


def test_two_threads_that_ask_for_a_cold_model_load_it_once_and_move_it_once() -> None:
    cache = cache_on(SimDevice(GIB))
    loads: list[str] = []
    barrier = threading.Barrier(2)

    def ask() -> int:
        barrier.wait(5)
        with cache.lease({"a": net("a", loads=loads)}) as held:
            time.sleep(0.01)
            return id(held["a"])

    with ThreadPoolExecutor(2) as pool:
        assert len({future.result(10) for future in [pool.submit(ask), pool.submit(ask)]}) == 1
    assert loads == ["a"]
    assert cache.snapshot().moves == 1


def test_who_finds_no_room_waits_for_the_others_lease() -> None:
    cache = cache_on(SimDevice(net_bytes()))
    order: list[str] = []

    def ask() -> None:
        output(cache, "b")
        order.append("b")

    with ThreadPoolExecutor(1) as pool:
        with cache.lease({"a": net("a")}):
            future = pool.submit(ask)
            time.sleep(0.1)
            order.append("a ends")
        future.result(10)
    assert order == ["a ends", "b"]


def test_threads_that_crowd_a_small_device_all_come_through() -> None:
    device = SimDevice(net_bytes())
    cache = cache_on(device)
    expected = {name: output(cache, name) for name in "abc"}

    def work(names: str) -> bool:
        return all(torch.equal(output(cache, name), expected[name]) for name in names * 10)

    with ThreadPoolExecutor(3) as pool:
        futures = [pool.submit(work, names) for names in ("abc", "bca", "cab")]
        assert all(future.result(30) for future in futures)
    assert device.most <= net_bytes()
    assert cache.stats().leased_bytes == 0


SDXL_BYTES = {
    "text_encoder": 246_144_152,
    "text_encoder_2": 1_389_382_176,
    "unet": 5_135_149_760,
    "vae": 167_335_342,
}
"""fp16 files of stabilityai/stable-diffusion-xl-base-1.0."""


@pytest.mark.parametrize(("gib", "in_parts"), [(6, False), (4, True)])
def test_a_device_too_small_for_the_whole_runs_sdxl_by_stages(gib: int, in_parts: bool) -> None:
    """6 GiB hold the UNet with its work and nothing else of size. 4 GiB do not: it goes there in parts, and the VAE,
    whose work is more than that when the picture is decoded whole, decodes in tiles of 512 px.
    """

    def blank(name: str) -> Component:
        def load() -> torch.nn.Module:
            module = torch.nn.Module()
            module.weight = torch.nn.Parameter(torch.empty(SDXL_BYTES[name] // 2, dtype=torch.float16))
            return module

        return Component(key(name), load)

    parts = {name: blank(name) for name in SDXL_BYTES}
    stages = (
        (("text_encoder", "text_encoder_2"), Work("text", "sdxl")),
        (("unet",), Work("denoise", "sdxl", 1024, 1024)),
        (("vae",), Work("decode", "sdxl", *((512, 512) if in_parts else (1024, 1024)))),
    )
    device = SimDevice(gib * GIB, contents=False)
    cache = cache_on(device, ram_budget_bytes=64 * GIB, headroom_bytes=200 * MIB)
    for _ in range(2):
        for names, work in stages:
            below = {"unet"} & set(names) if in_parts else set()
            with cache.lease(
                {name: parts[name] for name in names}, work=work, exclusive=bool(below), off_device=below
            ) as held:
                need = cache.snapshot().work_bytes + (SDXL_BYTES["unet"] // 20 if below else 0)
                assert all(held[name].weight.numel() for name in names)
                device.allocate(need)
                device.give_back(need)
    assert cache.stats().loads == len(parts), "masters stayed in main memory"
    assert device.most <= gib * GIB
    assert not cache.fits(parts.values(), work=stages[1][1])
    assert cache.fits([parts["unet"]], work=stages[1][1]) is not in_parts
    assert cache.snapshot().ooms == 0


def test_the_unet_of_sdxl_is_refused_at_once_where_it_is_known_not_to_fit() -> None:
    cache = cache_on(SimDevice(4 * GIB, contents=False))
    cache._residents.known_sizes[key("unet")] = SDXL_BYTES["unet"]
    with pytest.raises(ModelError, match="it needs 4897 MiB, 4096 MiB are free"):
        cache.acquire({"unet": net("unet")})
    assert cache.stats().loads == 0


def test_what_is_leased_off_the_device_goes_off_it_and_computes_there() -> None:
    device = SimDevice(GIB)
    cache = cache_on(device)
    plain = output(cache, "a")
    with cache.lease({"a": net("a")}, exclusive=True, off_device={"a"}) as held, torch.inference_mode():
        assert device.allocated() == 0
        assert torch.equal(held["a"](torch.linspace(-1, 1, 16)), plain)
    assert torch.equal(output(cache, "a"), plain)


def test_stages_are_leased_inside_a_lease_that_holds_all_in_memory() -> None:
    """One set of weights fits; each stage is loaded once, and moves out of the next one's way."""
    device = SimDevice(net_bytes())
    cache = cache_on(device, ram_budget_bytes=0)
    plain = [output(cache, name) for name in "ab"]
    loads: list[str] = []
    names = {name: net(name, loads=loads) for name in "ab"}
    with cache.lease(names, off_device=set(names)) as held, torch.inference_mode():
        for _ in range(2):
            for name, expected in zip("ab", plain, strict=True):
                with cache.lease({name: names[name]}):
                    assert torch.equal(held[name](torch.linspace(-1, 1, 16)), expected)
                    assert device.allocated() == net_bytes()
                    with pytest.raises(ModelError, match="does not fit"):
                        cache.acquire(names)
        assert len(loads) <= 2
    assert all(row.leases == 0 for row in cache.stats().entries)


def test_a_lease_in_memory_alone_leaves_what_is_on_the_device_there() -> None:
    device = SimDevice(3 * net_bytes())
    cache = cache_on(device)
    output(cache, "a", "b")
    with cache.lease({"a": net("a"), "b": net("b")}, off_device={"a", "b"}):
        output(cache, "a", "b")
    assert cache.stats().evictions == 0
    assert cache.snapshot().moves == 2


def test_a_part_is_on_the_device_for_its_block_alone() -> None:
    device = SimDevice(GIB)
    cache = cache_on(device)
    plain = output(cache, "a")
    with cache.lease({"a": net("a")}, exclusive=True, off_device={"a"}) as held, torch.inference_mode():
        with cache.part(held["a"].a):
            assert device.allocated() == 4 * 16 * 16
            assert torch.equal(held["a"](torch.linspace(-1, 1, 16)), plain)
        assert device.allocated() == 0
        device.fail_next = 1
        with pytest.raises(SimulatedOutOfMemory), cache.part(held["a"]):
            pass
    assert torch.equal(output(cache, "a"), plain)


SWITCHES = """
    import gc, sys
    import psutil, torch
    from webui.core.specs import Component, ComponentKey
    from webui.engine.cache import ModelCache
    from webui.engine.device import Device
    from webui.engine.simdevice import SimDevice

    def part(name):
        key = ComponentKey(path="/m", size_bytes=0, mtime_ns=1, component=name, dtype="float32")
        return Component(key, lambda: torch.nn.Linear(2048, 2048))

    def private():
        gc.collect()
        memory = psutil.Process().memory_full_info()
        return memory.uss

    size = 4 * (2048 * 2048 + 2048)
    for memory in (None, SimDevice(size)):
        cache = ModelCache(Device(torch.device("cpu"), torch.float32, "here"), size if memory is None else None,
                           memory=memory, headroom_bytes=0, ram_budget_bytes=2 * size)
        for turn in range(54):
            if turn == 4:
                before = private()
            with cache.lease({"m": part("ab"[turn % 2])}) as held:
                held["m"](torch.ones(1, 2048))
        print(private() / before)
"""


def test_fifty_switches_to_and_fro_do_not_grow() -> None:
    """Private memory of a process of their own, where models are loaded each time and where they are moved."""
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-c", dedent(SWITCHES)]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    growth = [float(line) for line in done.stdout.split()]
    assert len(growth) == 2
    assert max(growth) <= 1.01


WIDTHS = {"a": 4, "b": 8, "c": 12, "d": 16}


class Residents(RuleBasedStateMachine):
    """Leases with real tensors on a device that fails now and then: its bytes are the books' after every step."""

    @initialize(total=st.integers(100, 5000), ram=st.integers(0, 5000))
    def begin(self, total: int, ram: int) -> None:
        self.device = SimDevice(total)
        self.cache = cache_on(self.device, ram_budget_bytes=ram)
        self.open: list[Any] = []

    @rule(
        names=st.sets(st.sampled_from(sorted(WIDTHS)), min_size=1),
        below=st.sets(st.sampled_from(sorted(WIDTHS))),
        exclusive=st.booleans(),
        faults=st.integers(0, 3),
    )
    def take(self, names: set[str], below: set[str], exclusive: bool, faults: int) -> None:
        """``below``: those that are wanted in memory alone."""
        before = self.cache.stats()
        self.device.fail_next = faults
        try:
            held = self.cache.acquire(
                {name: net(name, WIDTHS[name]) for name in names}, exclusive=exclusive, off_device=below & names
            )
        except ModelError:
            assert sum(row.leases for row in self.cache.stats().entries) == sum(row.leases for row in before.entries)
        else:
            self.open.append(held)
            for name, value in held.values.items():
                assert torch.equal(value.a.weight, Net(sum(name.encode()), WIDTHS[name]).a.weight)
        self.device.fail_next = 0

    @rule(data=st.data())
    def give_back(self, data: st.DataObject) -> None:
        if self.open:
            self.cache.release(self.open.pop(data.draw(st.integers(0, len(self.open) - 1))))

    @rule(budget=st.none() | st.integers(1, 5000))
    def another_budget(self, budget: int | None) -> None:
        self.cache.set_budget(budget)

    @rule(foreign=st.integers(0, 1000))
    def others_come_and_go(self, foreign: int) -> None:
        self.device.foreign_bytes = min(foreign, self.device.total_bytes - self.device.allocated())

    @rule(name=st.sampled_from(sorted(WIDTHS)))
    def unload(self, name: str) -> None:
        self.cache.unload(entry_id(key(name)))

    @invariant()
    def bytes_agree(self) -> None:
        if hasattr(self, "cache"):
            assert self.cache.stats().held_bytes == self.device.allocated()
            leases = sum(row.leases for row in self.cache.stats().entries)
            assert leases == sum(len(held.keys) for held in self.open)

    def teardown(self) -> None:
        if hasattr(self, "cache"):
            for held in self.open:
                self.cache.release(held)
            self.cache.clear()
            gc.collect()
            assert self.device.allocated() == 0
            assert self.cache.stats().entries == ()


Residents.TestCase.settings = examples(max_examples=20, stateful_step_count=12, deadline=None)
TestResidents = Residents.TestCase
