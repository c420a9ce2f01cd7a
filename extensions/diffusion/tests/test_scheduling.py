"""Schedules and turns for families whose text encoders are T5 or language models: what swapping embeddings between
steps by hand draws, in every family that can, and words where one cannot.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from extensions.diffusion.tests import families
from webui.testing import Outcome

Generate = Callable[..., Outcome]
FAMILIES = ["sd3", "flux", "pixart_sigma", "sana", "qwen_image", "z_image", "chroma", "lumina2"]


@pytest.fixture
def draw(generate: Generate, models_dir: Path) -> Generate:
    def run(family: str, **params: Any) -> Outcome:
        if family in families.FAMILIES and not (models_dir / "diffusers" / family).exists():
            families.make(family, models_dir / "diffusers" / family)
        return generate(family, model=f"diffusers/{family}", **params)

    return run


def pixels(outcome: Outcome, index: int = 0) -> np.ndarray:
    assert outcome.state == "done", outcome.error
    return np.asarray(outcome.images[index].convert("RGB")).astype(int)


def test_flux_is_what_swapping_by_hand_draws(draw: Generate, tiny: Any) -> None:
    from diffusers import FluxPipeline

    pipe = FluxPipeline.from_pretrained(str(tiny("flux")))
    pipe.set_progress_bar_config(disable=True)
    embeds, pooled, ids = pipe.encode_prompt(prompt="a dog", prompt_2=None)
    calls = iter(range(99))

    def swap(_module: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        if next(calls) < 2:
            return None
        return args, {**kwargs, "encoder_hidden_states": embeds, "pooled_projections": pooled, "txt_ids": ids}

    pipe.transformer.register_forward_pre_hook(swap, with_kwargs=True)
    expected = pipe(
        prompt="a cat",
        num_inference_steps=4,
        guidance_scale=7.0,
        width=64,
        height=64,
        generator=torch.Generator().manual_seed(5),
    ).images[0]
    found = draw("flux", prompt="a [cat:dog:2]", steps=4, guidance_scale=7.0)
    assert found.warnings == []
    assert np.abs(pixels(found) - np.asarray(expected).astype(int)).max() <= 1


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_follows_a_schedule_or_says_that_it_does_not(draw: Generate, family: str) -> None:
    asked = {"steps": 4, "guidance_scale": 4.0}
    cat, dog = (pixels(draw(family, prompt=f"a {word} here", **asked)) for word in ("cat", "dog"))
    assert (cat != dog).any(), "the prompt counts"
    half = draw(family, prompt="a [cat:dog:0.5] here", **asked)
    if half.warnings:
        assert any("left out" in words for words in half.warnings), half.warnings
        assert (pixels(half) == cat).all()
        return
    assert (pixels(half) != cat).any()
    assert (pixels(half) != dog).any()
    assert (pixels(draw(family, prompt="a [cat:dog:4] here", **asked)) == cat).all()
    assert (pixels(draw(family, prompt="a [cat:dog:0] here", **asked)) == dog).all()
    turns = draw(family, prompt="a [cat|dog] here", **asked, batch_size=2)
    assert (pixels(turns) != pixels(half)).any()
    assert (pixels(turns, 1) == pixels(draw(family, prompt="a [cat|dog] here", **asked, seed=6))).all()


def test_which_families_follow(draw: Generate) -> None:
    """So that one that stops following is seen."""
    asked = {"prompt": "a [cat:dog:0.5] here", "steps": 2, "guidance_scale": 4.0}
    following = [family for family in FAMILIES if not draw(family, **asked).warnings]
    assert following == FAMILIES


def test_a_negative_prompt_has_schedules_too(draw: Generate) -> None:
    asked = {"prompt": "a cat", "steps": 4, "guidance_scale": 4.0}
    cold, warm, half = (
        pixels(draw("sd3", **asked, negative_prompt=text)) for text in ("cold", "warm", "[cold:warm:0.5]")
    )
    assert (half != cold).any()
    assert (half != warm).any()
    both = draw("sd3", **{**asked, "prompt": "a [cat:dog:1]"}, negative_prompt="[cold:warm:0.5]")
    assert both.warnings == []
    assert (pixels(both) != half).any()
    weighed = draw("sd3", **{**asked, "prompt": "a ([cat:dog:1]:1.3) AND hat"})
    assert any("weights and AND of the prompt were left out" in words for words in weighed.warnings)
