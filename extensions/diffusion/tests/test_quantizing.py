"""Quantized denoisers: they draw nearly the same picture, and the default one stays as it is, bit by bit;
what cannot be used here is refused with the reason.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch

from extensions.diffusion.compute import quantizing, speed
from extensions.diffusion.models.loading import make_plan, requests
from extensions.diffusion.params import QUANTIZATIONS
from webui.api import ModelError, ResolvedModel
from webui.testing import Outcome

CPU = torch.device("cpu")


def drawn(outcome: Outcome) -> np.ndarray:
    assert outcome.state == "done", outcome.error
    return np.asarray(outcome.images[0]).astype(int)


@pytest.fixture
def available() -> Callable[[str], None]:
    def need(choice: str) -> None:
        if (found := quantizing.trouble(choice, CPU)) is not None:
            pytest.skip(found.words)

    return need


def test_every_choice_of_the_form_has_a_backend() -> None:
    assert set(QUANTIZATIONS) == {quantizing.NONE, *quantizing.BACKENDS}


@pytest.mark.parametrize("choice", ["torchao_int8", "torchao_float8", "quanto_int8"])
def test_a_quantized_picture_is_near_and_the_default_one_the_same(
    generate: Callable[..., Outcome], available: Callable[[str], None], choice: str
) -> None:
    available(choice)
    for name in ("sd1", "flux"):
        plain = drawn(generate(name))
        changed = np.abs(drawn(generate(name, quantization=choice)) - plain)
        assert 0 < changed.mean() < 8, name
        assert (drawn(generate(name)) == plain).all()


def test_only_the_denoiser_has_a_key_of_its_own(tiny: Any) -> None:
    facts = {"ref": "sd1", "path": tiny("sd1"), "format": "diffusers", "family": "", "sha256": "", "recommended": {}}
    plan = make_plan(cast(ResolvedModel, SimpleNamespace(**facts)))
    plain = requests(plan, lambda name: torch.float32)
    changed = requests(plan, lambda name: torch.float32, speed.Speed(quantization="torchao_int8"))
    assert {name for name in plain if plain[name].key != changed[name].key} == {"unet"}
    assert plain["unet"].key.quantization == ""
    assert changed["unet"].key.quantization == "torchao_int8"


@pytest.mark.parametrize("choice", ["bitsandbytes_int8", "bitsandbytes_nf4"])
def test_a_device_without_its_kernels_is_refused_with_the_reason(generate: Callable[..., Outcome], choice: str) -> None:
    if torch.cuda.is_available():
        pytest.skip("needs a machine without CUDA")
    refused = generate("sd1", quantization=choice)
    assert refused.error is not None
    assert f"Quantization by {choice} cannot be used: it needs cuda, this device is cpu." in refused.error.message


def test_a_package_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    quantizing._import_trouble.cache_clear()
    monkeypatch.setattr(sys, "path", [])
    for name in [name for name in sys.modules if name.split(".")[0] == "torchao"]:
        monkeypatch.delitem(sys.modules, name)
    found = quantizing.trouble("torchao_int8", CPU)
    quantizing._import_trouble.cache_clear()
    assert found == quantizing.Unusable("not_installed", "torchao is not installed", "Install it: pip install torchao")


def test_what_is_quantized_already_is_refused(available: Callable[[str], None]) -> None:
    available("torchao_int8")
    with pytest.raises(ModelError, match=r"big-Q4_0\.gguf is quantized already"):
        quantizing.check("torchao_int8", CPU, {"transformer": Path("big-Q4_0.gguf")})


def test_a_fault_of_the_library_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(module: torch.nn.Module, dtype: torch.dtype) -> None:
        raise RuntimeError("no kernel\nfor this")

    backend = quantizing.Backend("torchao", "torch", frozenset({"cpu"}), failing)
    monkeypatch.setattr(quantizing, "BACKENDS", {"torchao_int8": backend})
    with pytest.raises(ModelError, match=r"Linear cannot be quantized by torchao_int8: .*: no kernel for this"):
        quantizing.apply(torch.nn.Linear(2, 2), "torchao_int8", torch.float32)


def test_quantized_and_stored_in_8_bits_exclude_each_other(generate: Callable[..., Outcome]) -> None:
    refused = generate("sd1", quantization="torchao_int8", storage_8bit=True)
    assert refused.error is not None
    assert "not both" in refused.error.message
