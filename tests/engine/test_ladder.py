"""The measures against running out of memory: in their order, each once, and nothing of a failed attempt stays."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from functools import partial

import pytest
import torch

from webui.engine.ladder import RUNGS, OutOfRungs, climb
from webui.engine.simdevice import SimDevice, SimulatedOutOfMemory
from webui.engine.tiers import CpuMemory, is_oom

ENGINE = ("collect", "evict_idle")


def measures(taken: list[str], *names: str) -> dict[str, Callable[[], None]]:
    return {name: partial(taken.append, name) for name in names}


@pytest.mark.parametrize("failures", range(len(ENGINE) + len(RUNGS) + 1))
def test_each_rung_is_reached_and_the_work_resumes(failures: int) -> None:
    device = SimDevice(1000)
    device.fail_next = failures
    taken: list[str] = []
    raised: list[str] = []
    done: list[int] = []

    def attempt() -> str:
        for step in range(len(done), 3):
            if step == 1:
                device.allocate(10)
            done.append(step)
        return "made"

    knobs = measures(taken, *reversed(RUNGS))
    engine = measures(taken, *ENGINE)
    assert climb(attempt, knobs, engine=engine, is_oom=device.is_oom, raised=raised.append) == "made"
    assert taken == raised == [*ENGINE, *RUNGS][:failures]
    assert done == [0, 1, 2], "no step was made twice"


def test_a_failed_attempts_tensors_are_gone_before_the_next_measure() -> None:
    ghosts: list[weakref.ref[torch.Tensor]] = []
    alive: list[bool] = []

    def attempt() -> None:
        latents = torch.ones(4)
        ghosts.append(weakref.ref(latents))
        if len(ghosts) < 3:
            raise SimulatedOutOfMemory("full")

    engine = {name: lambda: alive.append(any(ghost() is not None for ghost in ghosts)) for name in ENGINE}
    climb(attempt, {}, engine=engine, is_oom=SimDevice(1).is_oom, raised=lambda name: None)
    assert alive == [False, False]


def test_at_the_end_it_says_what_was_tried() -> None:
    device = SimDevice(1000)
    with pytest.raises(OutOfRungs, match="1001 bytes asked for, 1000 free") as caught:
        climb(
            lambda: device.allocate(1001),
            measures([], "vae_tiling"),
            engine=measures([], *ENGINE),
            is_oom=device.is_oom,
            raised=lambda name: None,
        )
    assert caught.value.taken == (*ENGINE, "vae_tiling")


def test_an_unknown_knob_is_refused_before_anything_runs() -> None:
    with pytest.raises(ValueError, match="unknown knobs turbo; expected some of drop_idle_stages"):
        climb(pytest.fail, measures([], "turbo"), engine={}, is_oom=is_oom, raised=lambda name: None)


@pytest.mark.parametrize(
    ("error", "out"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), True),
        (MemoryError(), True),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"), True),
        (RuntimeError("MPS backend out of memory"), True),
        (RuntimeError("expected scalar type Half"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_which_errors_mean_that_memory_is_exhausted(error: BaseException, out: bool) -> None:
    assert CpuMemory().is_oom(error) is out
