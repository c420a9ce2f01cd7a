"""Forms that draw by diffusion models, on the starter: what they ask for is what those pipelines draw."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from webui.testing import run_pipeline

from .test_pipelines import done

# diffusers asks NumPy to convert a tensor in a way that NumPy 2 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def test_a_redrawn_picture_is_that_of_its_lora(studio: Any, tmp_path: Path, pictures: dict[str, Path]) -> None:
    """The starter's watercolour is found by itself, and the picture is that of image to image asked directly."""
    Image.open(pictures["warm"]).resize((64, 64)).save(tmp_path / "small.png")
    common = {"image": str(tmp_path / "small.png"), "seed": 3, "steps": 2, "strength": 0.5}
    made = done(studio, "style.redraw", tmp_path, **common, weight=1.5)
    look = next(one.ref for one in studio.catalog.entries("lora") if "watercolour" in one.ref)
    asked = {"prompt": "watercolour", "lora_1": look, "lora_1_weight": 1.5}
    direct = done(studio, "diffusion.img2img", tmp_path, **common, **asked)
    assert made.images[0].tobytes() == direct.images[0].tobytes()
    assert made.images[0].size == (64, 64)


def test_what_a_reference_needs_is_said(studio: Any, tmp_path: Path, pictures: dict[str, Path]) -> None:
    nothing = run_pipeline("style.reference", {"prompt": "a house"}, tmp_path, studio=studio)
    assert nothing.state == "failed"
    assert "references" in str(nothing.error)
    asked = {"prompt": "a house", "references": [str(pictures["cold"])]}
    without = run_pipeline("style.reference", asked, tmp_path, studio=studio)
    assert without.state == "failed"
    assert without.error is not None
    assert "IP-Adapter" in without.error.message


def test_an_instruction_needs_words(studio: Any, tmp_path: Path, pictures: dict[str, Path]) -> None:
    outcome = run_pipeline("style.instruct", {"image": str(pictures["warm"]), "look": "own"}, tmp_path, studio=studio)
    assert outcome.state == "failed"
    assert "prompt" in str(outcome.error)
