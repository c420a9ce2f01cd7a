"""Many families through one loader: a folder given as a plain path draws the pixels that diffusers itself draws."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from extensions.diffusion.models.libraries import find_class
from extensions.diffusion.tests import families, tiny_models
from webui.testing import Outcome, Studio, run_pipeline

OTHERS = ("sd1", "sdxl", "sd3", "flux")
PROMPT, SEED, STEPS = "a cat", 5, 2
Draw = Callable[..., Outcome]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a family's tiny model, outside every models folder."""
    base = tmp_path_factory.mktemp("elsewhere")

    def make(family: str) -> Path:
        place = base / family
        if not place.exists():
            own = families.FAMILIES.get(family) or getattr(tiny_models, family)
            families.prepare()
            own(place)
        return place

    return make


@pytest.fixture
def draw(studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Draw:
    monkeypatch.setattr("webui.engine.device.usable_cores", lambda: 1)

    def run(model: Path, **params: Any) -> Outcome:
        asked = {"prompt": PROMPT, "steps": STEPS, "width": 64, "height": 64, "seed": SEED, "model": str(model)}
        return run_pipeline("diffusion.txt2img", {**asked, **params}, tmp_path, studio=studio)

    return run


def by_diffusers(folder: Path, size: int) -> np.ndarray:
    """What the library draws when it is asked for the same: uint8 [H,W,3]."""
    import diffusers

    absent = {"text_encoder_3": None, "tokenizer_3": None} if folder.name == "sd3" else {}
    pipe = diffusers.DiffusionPipeline.from_pretrained(
        str(folder), dtype=torch.float32, local_files_only=True, **absent
    )
    pipe.set_progress_bar_config(disable=True)
    known = inspect.signature(type(pipe).__call__).parameters
    wanted: dict[str, Any] = {
        "num_inference_steps": STEPS,
        "prior_num_inference_steps": STEPS,
        "width": size,
        "height": size,
        "guidance_scale": 7.0,
        "prior_guidance_scale": 7.0,
        "use_resolution_binning": False,
    }
    if folder.name == "qwen_image":
        wanted = {**wanted, "true_cfg_scale": 7.0, "negative_prompt": " "}
        del wanted["guidance_scale"]
    arguments = {name: value for name, value in wanted.items() if name in known}
    image = pipe(PROMPT, generator=torch.Generator("cpu").manual_seed(SEED), **arguments)[0][0]
    return np.asarray(image)


@pytest.mark.parametrize("family", [*OTHERS, *families.FAMILIES])
def test_a_family_draws_what_diffusers_draws(
    folder: Callable[[str], Path], draw: Draw, monkeypatch: pytest.MonkeyPatch, family: str
) -> None:
    size = 128 if family == "stable_cascade" else 64
    outcome = draw(folder(family), width=size, height=size, guidance_scale=7.0)
    assert outcome.state == "done", outcome.error
    drawn = np.asarray(outcome.images[0])
    assert drawn.shape == (size, size, 3)
    assert drawn.std() > 0
    moved = find_class("diffusers", "PaellaVQModel")  # diffusers itself no longer finds it under the saved name
    monkeypatch.setattr("diffusers.PaellaVQModel", moved, raising=False)
    # A bit of rounding may differ: our decoding clamps and rounds once.
    difference = np.abs(drawn.astype(int) - by_diffusers(folder(family), size).astype(int))
    assert difference.max() <= 1


@pytest.mark.parametrize("family", ["z_image", "qwen_image", "chroma", "sana", "sd2"])
def test_previews_know_how_latents_are_packed(folder: Callable[[str], Path], draw: Draw, family: str) -> None:
    outcome = draw(folder(family), steps=3)
    assert outcome.previews > 0
    assert not any("previews" in words for words in outcome.warnings)


@pytest.mark.parametrize(
    ("family", "asked", "drawn"),
    [
        ("stable_cascade", 200, 256),
        ("hunyuan_dit", 72, 80),
        ("cogview4", 72, 80),
        ("auraflow", 72, 72),
        ("pixart_sigma", 72, 72),
    ],
)
def test_a_size_that_does_not_fit_is_rounded_and_said(
    folder: Callable[[str], Path], draw: Draw, family: str, asked: int, drawn: int
) -> None:
    outcome = draw(folder(family), width=asked, height=asked)
    assert outcome.state == "done", outcome.error
    assert {(row.width, row.height) for row in outcome.records} == {(drawn, drawn)}
    assert any(f"{drawn}x{drawn}" in words for words in outcome.warnings) == (asked != drawn)


@pytest.mark.parametrize(
    ("family", "params", "words"),
    [
        ("lcm", {"negative_prompt": "rain"}, "takes no negative prompt"),
        ("flux", {"negative_prompt": "rain"}, "uses no negative prompt"),
        ("sd2", {"negative_prompt": "rain", "guidance_scale": 1.0}, "has no effect"),
    ],
)
def test_what_a_family_ignores_is_said(
    folder: Callable[[str], Path], draw: Draw, family: str, params: dict[str, Any], words: str
) -> None:
    outcome = draw(folder(family), **params)
    assert outcome.state == "done", outcome.error
    assert any(words in said for said in outcome.warnings), outcome.warnings
