"""Words changed after inversion: alignment of prompts, the way down and up the noise levels, attention handed over, and
the job on tiny models.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from extensions.diffusion.compute.handing import Handing, handed
from extensions.diffusion.drawing.inverting import Ladder
from extensions.diffusion.tests import tiny_models
from extensions.diffusion.tests.test_img2img import scene
from extensions.diffusion.text.aligning import align, places_of, read_emphasis
from webui.api import ParameterError
from webui.testing import Outcome, Studio, run_pipeline

BETAS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "num_train_timesteps": 1000}
Reword = Callable[..., Outcome]


def test_words_in_place_of_others_take_over_their_attention() -> None:
    matrix, kept = align([1, 5, 6, 7, 9, 9], [1, 5, 8, 7, 9, 9])
    assert matrix.equal(torch.eye(6))
    assert kept.equal(torch.ones(6))
    matrix, kept = align([1, 5, 6, 9, 9, 9], [1, 4, 5, 6, 9, 9])
    assert kept.tolist() == [1, 0, 1, 1, 1, 1], "what is added keeps its own"
    matrix, _ = align([1, 2, 3, 9], [1, 4, 9, 9])
    assert matrix[:, 1].tolist() == [0, 0.5, 0.5, 0]


@given(st.lists(st.integers(0, 5), min_size=1, max_size=12), st.lists(st.integers(0, 5), min_size=1, max_size=12))
def test_a_token_takes_over_all_of_an_attention_or_none(source: list[int], target: list[int]) -> None:
    matrix, kept = align(source, target)
    assert torch.allclose(matrix.sum(0), kept)


def test_emphasis_is_read_and_its_errors_are_said() -> None:
    assert read_emphasis("blue: 2, a top hat : -0.5\n") == {"blue": 2.0, "a top hat": -0.5}
    assert read_emphasis("") == {}
    for wrong in ("blue", "blue: much", "blue: 99", ": 2"):
        with pytest.raises(ParameterError):
            read_emphasis(wrong)
    assert places_of([1, 2, 3, 2, 3], [2, 3]) == [1, 2, 3, 4]


def test_an_inversion_that_asks_at_the_rung_above_leads_back_whatever_the_model_answers() -> None:
    generator = torch.Generator().manual_seed(3)
    weights = torch.randn(3, 3, generator=generator) * 0.3
    clean = torch.randn(1, 3, 4, 4, generator=generator)
    ends = []
    for prediction in ("epsilon", "v_prediction", "sample"):
        ladder = Ladder.of({**BETAS, "prediction_type": prediction}, 12)

        def predict(latents: torch.Tensor, time: int, ladder: Ladder = ladder) -> torch.Tensor:
            a = ladder.signal[ladder.times.index(time) + 1]
            noise = torch.einsum("ij,njhw->nihw", weights, latents).tanh()
            picture = (latents - (1 - a) ** 0.5 * noise) / a**0.5
            answers = {"epsilon": noise, "sample": picture}
            return answers.get(ladder.prediction, a**0.5 * noise - (1 - a) ** 0.5 * picture)

        losses = []
        for refinements in (0, 2, 8):
            way = ladder.inverted(clean, predict, refinements, lambda done, total: None)
            assert len(way) == 13
            losses.append(float((ladder.redrawn(way, predict) - clean).norm() / clean.norm()))
        assert losses[2] < losses[1] < losses[0]
        assert losses[2] < 1e-3
        ends.append(way[-1])
    assert torch.allclose(ends[0], ends[1], atol=1e-3)
    assert torch.allclose(ends[0], ends[2], atol=1e-3)


def test_attention_in_the_open_is_the_models_own_and_can_be_handed_over(tiny: Any) -> None:
    from diffusers import UNet2DConditionModel

    unet = UNet2DConditionModel.from_pretrained(str(tiny("sd1") / "unet"))
    generator = torch.Generator().manual_seed(0)
    latents = torch.randn(3, unet.config.in_channels, 8, 8, generator=generator)
    words = torch.randn(3, 77, unet.config.cross_attention_dim, generator=generator)
    nothing = Handing(torch.eye(77), torch.ones(77), torch.ones(77))
    all_of_it = Handing(torch.eye(77), torch.ones(77), torch.ones(77))
    all_of_it.cross = all_of_it.own = True
    before = dict(unet.attn_processors)
    with torch.inference_mode():
        plain = unet(latents, 7, words).sample
        with handed(unet, nothing):
            assert torch.allclose(unet(latents, 7, words).sample, plain, atol=1e-5)
        with handed(unet, all_of_it):
            made = unet(latents, 7, words).sample
    assert torch.allclose(made[:2], plain[:2], atol=1e-5), "the source and rows between stay"
    assert not torch.allclose(made[2], plain[2], atol=1e-3)
    assert unet.attn_processors == before


@pytest.fixture
def reword(tiny: Any, studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Reword:
    monkeypatch.setattr("webui.engine.device.usable_cores", lambda: 1)

    def run(family: str, **params: Any) -> Outcome:
        tiny(family)
        studio.catalog.refresh()
        image = str(scene(tmp_path / "in.png", (64, 48)))
        asked = {"image": image, "before": "a red cat", "prompt": "a blue cat", "steps": 3, "edge": 64}
        return run_pipeline(
            "diffusion.reword", {**asked, "model": f"diffusers/{family}", **params}, tmp_path, studio=studio
        )

    return run


def pixels(outcome: Outcome) -> np.ndarray:
    assert outcome.state == "done", outcome.error
    return np.asarray(outcome.images[0].convert("RGB")).astype(int)


def numbers(outcome: Outcome) -> dict[str, float]:
    found: dict[str, float] = json.loads(outcome.paths[1].read_text(encoding="utf-8"))
    return found


@pytest.mark.parametrize("family", ["sd1", "sdxl"])
def test_the_same_words_give_what_the_autoencoder_gives_and_others_something_else(reword: Reword, family: str) -> None:
    same = reword(family, prompt="a red cat", measured=True)
    again = pixels(reword(family, prompt="a red cat", guidance_scale=1.0))
    assert np.abs(pixels(same) - again).max() <= 1, "whatever the guidance"
    other = pixels(reword(family))
    assert np.abs(other - again).max() > 1
    told = numbers(same)
    assert told["inversion_error"] > 0
    assert same.images[0].size == (64, 48)
    freer = pixels(reword(family, cross_keep=0.0, self_keep=0.0))
    assert (freer != other).any()


def test_what_is_not_masked_is_the_autoencoders(reword: Reword, tmp_path: Path) -> None:
    mask = Image.new("L", (64, 48))
    mask.paste(255, (0, 0, 16, 48))
    mask.save(tmp_path / "mask.png")
    same = pixels(reword("sd1", prompt="a red cat"))
    masked = pixels(reword("sd1", mask=str(tmp_path / "mask.png"), guidance_scale=12.0))
    whole = pixels(reword("sd1", guidance_scale=12.0))
    right = (slice(None), slice(48, None))
    assert np.abs(masked - same)[right].mean() < np.abs(whole - same)[right].mean()


def test_emphasis_counts_and_a_word_that_is_not_there_is_named(reword: Reword) -> None:
    assert (pixels(reword("sd1", emphasis="blue: 4")) != pixels(reword("sd1"))).any()
    wrong = reword("sd1", emphasis="dog: 2")
    assert wrong.error is not None
    assert "dog" in str(wrong.error.message)
    unsaid = reword("sd1", before=" ")
    assert unsaid.error is not None


def test_models_without_such_a_unet_are_refused(reword: Reword) -> None:
    assert hasattr(tiny_models, "sd3")
    outcome = reword("sd3")
    assert outcome.error is not None
    assert "words cannot be changed" in outcome.error.message
