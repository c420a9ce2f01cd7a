"""Attention backends and options of speed: exact ones give the same pixels, others say what they change, and none stays
behind in a model that other jobs share.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from extensions.diffusion.compute import attention
from extensions.diffusion.tests import families
from webui.testing import Outcome

Generate = Callable[..., Outcome]
CPU = torch.device("cpu")


def drawn(outcome: Outcome) -> np.ndarray:
    assert outcome.state == "done", outcome.error
    return np.asarray(outcome.images[0]).astype(int)


@pytest.fixture
def family(tiny: Any, models_dir: Path) -> Callable[[str], str]:
    """The reference of a family's model in the models folder."""

    def make(name: str) -> str:
        folder = models_dir / "diffusers" / name
        if not folder.exists():
            families.make(name, folder)
        return f"diffusers/{name}"

    return make


@pytest.mark.parametrize("backend", ["_native_flash", "sliced"])
@pytest.mark.parametrize("name", ["sd1", "sd3", "flux"])
def test_another_backend_is_taken_by_models_with_and_without_the_dispatcher(
    generate: Generate, monkeypatch: pytest.MonkeyPatch, name: str, backend: str
) -> None:
    plain = drawn(generate(name))
    used: list[str] = []
    real = attention._attend

    def watched(chosen: str, *arguments: Any, **options: Any) -> torch.Tensor:
        used.append(chosen)
        return real(chosen, *arguments, **options)

    monkeypatch.setattr(attention, "_attend", watched)
    outcome = generate(name, attention=backend)
    assert np.abs(drawn(outcome) - plain).max() <= 2
    assert backend in used
    assert outcome.warnings == []
    used.clear()
    assert (drawn(generate(name)) == plain).all()
    assert used == []


@pytest.mark.parametrize("name", ["pixart_sigma", "sana", "hunyuan_dit", "auraflow"])
def test_transformers_without_the_dispatcher_take_it_too(
    generate: Generate, family: Callable[[str], str], name: str
) -> None:
    plain = drawn(generate(name, model=family(name)))
    assert np.abs(drawn(generate(name, model=family(name), attention="sliced")) - plain).max() <= 2


def test_a_backend_that_cannot_run_here_is_replaced_and_said(generate: Generate) -> None:
    if torch.cuda.is_available():
        pytest.skip("needs a machine without CUDA")
    outcome = generate("sd1", attention="xformers")
    assert any("xformers cannot be used: it needs cuda" in words for words in outcome.warnings)
    assert (drawn(outcome) == drawn(generate("sd1"))).all()


def test_a_backend_that_fails_in_the_middle_gives_way_to_torchs_own(
    generate: Generate, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = attention._attend

    def failing(chosen: str, *arguments: Any, **options: Any) -> torch.Tensor:
        if chosen == "_native_flash":
            raise attention.BackendFailed("no kernel for this shape")
        return real(chosen, *arguments, **options)

    assert attention.trouble("_native_flash", CPU, torch.float32) == ""
    monkeypatch.setattr(attention, "_attend", failing)
    outcome = generate("sd1", attention="_native_flash")
    assert outcome.warnings == [
        "Attention by _native_flash failed: no kernel for this shape; torch's own is used instead."
    ]
    assert (drawn(outcome) == drawn(generate("sd1"))).all()


def test_invalid_values_of_a_backend_are_drawn_again(generate: Generate, monkeypatch: pytest.MonkeyPatch) -> None:
    assert attention.trouble("_native_flash", CPU, torch.float32) == ""
    monkeypatch.setattr(attention, "_attend", lambda chosen, query, *rest, **options: query * float("nan"))
    outcome = generate("sd1", attention="_native_flash")
    assert outcome.warnings == ["Attention by _native_flash gave invalid values; torch's own is used instead."]
    assert (drawn(outcome) == drawn(generate("sd1"))).all()


def test_a_backend_is_held_against_attention_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attention, "_attend", lambda chosen, query, key, value: value)
    attention.trouble.cache_clear()
    assert "off by" in attention.trouble("_native_flash", CPU, torch.float32)
    attention.trouble.cache_clear()


def test_slices_keep_the_mask_of_their_head() -> None:
    generator = torch.Generator().manual_seed(3)
    query, key, value = (torch.randn(2, 4, 8, 16, generator=generator) for _ in range(3))
    for heads in (1, 4):
        mask = torch.randn(2, heads, 8, 8, generator=generator)
        whole = torch.nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        assert torch.allclose(attention._attend("sliced", query, key, value, attn_mask=mask), whole, atol=1e-6)


def test_bfloat16_is_taken_where_it_is_chosen(generate: Generate) -> None:
    wide, narrow = drawn(generate("sd1")), drawn(generate("sd1", precision="bfloat16"))
    assert 0 < np.abs(wide - narrow).mean() < 8
    assert (drawn(generate("sd1")) == wide).all()


@pytest.mark.parametrize(
    ("options", "most"),
    [({"channels_last": True}, 2), ({"vae_tiling": True}, 0), ({"storage_8bit": True}, 80)],
    ids=["channels_last", "vae_tiling", "storage_8bit"],
)
def test_an_option_serves_its_own_job_alone(generate: Generate, options: dict[str, Any], most: int) -> None:
    plain = drawn(generate("sd1"))
    changed = np.abs(drawn(generate("sd1", **options)) - plain)
    assert changed.max() <= most
    assert changed.max() > 0 or "storage_8bit" not in options
    assert (drawn(generate("sd1")) == plain).all()


def test_a_step_cache_is_refused_where_a_model_has_none_and_repeats_where_it_has(generate: Generate) -> None:
    refused = generate("sd1", step_cache=True)
    assert refused.error is not None
    assert "UNet2DConditionModel has no step cache" in refused.error.message
    first = drawn(generate("flux", step_cache=True, steps=4))
    assert (drawn(generate("flux", step_cache=True, steps=4)) == first).all()


def test_steps_are_forecast_where_that_was_chosen_alone(generate: Generate) -> None:
    plain = drawn(generate("flux", steps=8))
    first = drawn(generate("flux", step_forecast=True, steps=8))
    assert 0 < np.abs(first - plain).max() < 128
    assert (drawn(generate("flux", step_forecast=True, steps=8)) == first).all()
    assert (drawn(generate("flux", steps=8)) == plain).all()
    for options, words in (({}, "has no step forecast"), ({"step_cache": True}, "not both")):
        refused = generate("sd1", step_forecast=True, **options)
        assert refused.error is not None
        assert words in refused.error.message
