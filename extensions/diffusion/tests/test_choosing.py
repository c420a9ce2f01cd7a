"""The choice of an attention backend by measuring: only what is clearly faster and as exact, once for each shape."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from extensions.diffusion.compute import attention, choosing
from extensions.diffusion.compute.choosing import Chooser, Shape, measured, quickest
from webui.testing import Outcome, Studio

CPU = torch.device("cpu")
SHAPE = Shape(2, 4, 4, 16, 8, 8, torch.float32)
MASKED = Shape(1, 4, 2, 8, 8, 8, torch.float32, mask=(1, 1, 8, 8))


class Bench:
    """Backends whose calls take the seconds they are given, by a clock of its own."""

    def __init__(self, **seconds: float) -> None:
        self.seconds = {attention.NATIVE: 1.0, **seconds}
        self.now = 0.0
        self.calls: list[str] = []

    def clock(self) -> float:
        return self.now

    def attend(self, name: str, *inputs: torch.Tensor, **options: Any) -> torch.Tensor:
        self.calls.append(name)
        self.now += self.seconds[name]
        if name == "broken":
            raise attention.BackendFailed("no kernel")
        result = scaled_dot_product_attention(*inputs, **options)
        return result * 1.001 if name == "wrong" else result


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        ({}, attention.NATIVE),
        ({"a": 0.96}, attention.NATIVE),
        ({"a": 0.952}, "a"),
        ({"a": 0.9, "b": 0.5}, "b"),
        ({"a": 2.0}, attention.NATIVE),
        ({"wrong": 0.1, "a": 0.9}, "a"),
        ({"broken": 0.1}, attention.NATIVE),
    ],
)
def test_another_is_taken_only_where_it_is_faster_and_as_exact(seconds: dict[str, float], expected: str) -> None:
    bench = Bench(**seconds)
    ratios = measured({SHAPE: 3, MASKED: 1}, list(seconds), CPU, attend=bench.attend, clock=bench.clock)
    assert quickest(ratios) == expected
    assert ratios[attention.NATIVE] == 1.0
    assert not {"wrong", "broken"} & ratios.keys()


def test_each_shape_counts_as_often_as_the_model_calls_it() -> None:
    bench = Bench(a=0.5)
    slow_once = lambda name, *inputs, **options: bench.attend(  # noqa: E731
        "native" if name == "a" and inputs[0].shape[2] == 8 else name, *inputs, **options
    )
    ratios = measured({SHAPE: 3, MASKED: 1}, ["a"], CPU, attend=slow_once, clock=bench.clock)
    assert ratios["a"] == pytest.approx((3 * 0.5 + 1) / 4)


def test_it_is_measured_once_and_read_from_then_on() -> None:
    kept: dict[str, Any] = {}

    class Kept:
        get = staticmethod(kept.get)
        keep = staticmethod(kept.__setitem__)

    module = torch.nn.MultiheadAttention(8, 2)
    computed: list[torch.Tensor] = []

    def compute(query: torch.Tensor) -> None:
        computed.append(query)
        scaled_dot_product_attention(query, query, query)

    bench = Bench(a=0.5)
    query = torch.ones(1, 2, 4, 8)
    for _ in range(2):
        chooser = Chooser("sd1", Kept(), ["a"], CPU, attend=bench.attend, clock=bench.clock)
        assert chooser.choose(module, compute, (query,), {}) == "a"
    assert len(computed) == 1
    ((value),) = kept.values()
    assert value == {"model": "sd1", "backend": "a", "ratios": {"native": 1.0, "a": 0.5}}
    assert chooser.choose(module, compute, (query[:, :, :2],), {}) == "a"
    assert len(kept) == 2, "another shape is another question"


def test_a_processor_is_left_to_torch() -> None:
    assert choosing.candidates(CPU, torch.float32) == ()


@pytest.fixture
def flash(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A machine on which the flash kernel takes a fifth of the time."""
    used: list[str] = []
    real = attention._attend

    def watched(name: str, *inputs: Any, **options: Any) -> torch.Tensor:
        used.append(name)
        return real(name, *inputs, **options)

    monkeypatch.setattr("extensions.diffusion.drawing.groups.candidates", lambda device, dtype: ("_native_flash",))
    monkeypatch.setattr(choosing, "measured", lambda *rest, **options: {"native": 1.0, "_native_flash": 0.2})
    monkeypatch.setattr(attention, "_attend", watched)
    return used


@pytest.mark.parametrize("family", ["sd1", "flux"])
def test_a_whole_picture_is_drawn_by_what_was_chosen(
    generate: Callable[..., Outcome], studio: Studio, flash: list[str], family: str
) -> None:
    first = generate(family, seed=77)
    assert first.state == "done", first.error
    assert set(flash) == {"_native_flash"}
    calls = len(flash)
    again = generate(family, seed=77)
    assert len(flash) == 2 * calls
    assert (np.asarray(first.images[0]) == np.asarray(again.images[0])).all()
    told = studio.runner().memory().attention_choices
    assert ("_native_flash", 0.2) in {(row.backend, row.ratios["_native_flash"]) for row in told}
    files = list(Path(studio.settings.data_dir).glob("memory/*.attention.json"))
    assert len(files) == 1
    files[0].unlink()
