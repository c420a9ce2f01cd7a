"""The bundled starter model with real pixels: how far pictures go from where they began."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from webui.testing import Outcome, Studio, make_studio, run_pipeline

PROMPT = "a smiling person with long red hair and glasses, blue background"
OTHER = "a sad person with short black hair, yellow background"
Run = Callable[..., Outcome]


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Studio:
    return make_studio(tmp_path_factory.mktemp("starter"), offline=True)


@pytest.fixture(scope="module")
def run(studio: Studio) -> Run:
    def run(pipeline: str, **params: Any) -> Outcome:
        asked = {"prompt": PROMPT, "model": "starter/avatar", "seed": 1, "steps": 6, **params}
        outcome = run_pipeline(f"diffusion.{pipeline}", asked, Path("unused"), studio=studio)
        assert outcome.state == "done", outcome.error
        return outcome

    return run


@pytest.fixture(scope="module")
def drawn(run: Run) -> Outcome:
    """A person drawn by the model, to begin with."""
    return run("txt2img")


def pixels(outcome: Outcome, index: int = 0) -> np.ndarray:
    return np.asarray(outcome.images[index].convert("RGB")).astype(int)


def test_more_strength_goes_further_from_the_picture(run: Run, drawn: Outcome) -> None:
    source, path = pixels(drawn), str(drawn.paths[0])
    strengths = (0.0, 0.3, 0.6, 0.9)
    made = [pixels(run("img2img", image=path, prompt=OTHER, strength=strength, steps=10)) for strength in strengths]
    distances = [float(np.abs(row - source).mean()) for row in made]
    assert distances[0] == 0
    assert all(less < more for less, more in pairwise(distances)), distances
    same = pixels(run("img2img", image=path, prompt=PROMPT, strength=0.3, steps=10))
    assert 0 < np.abs(same - source).mean() < distances[3] / 3, "what the picture shows already stays as it is"


def test_what_is_masked_is_drawn_anew_and_the_rest_stays(run: Run, drawn: Outcome, tmp_path: Path) -> None:
    width, height = drawn.images[0].size
    box = (width // 4, height // 2, 3 * width // 4, height - 8)
    mask = Image.new("L", (width, height))
    mask.paste(255, box)
    mask.save(tmp_path / "mask.png")
    asked = {"image": str(drawn.paths[0]), "mask": str(tmp_path / "mask.png"), "prompt": OTHER, "mask_blur": 0}
    new = run("inpaint", **asked, strength=0.9, batch_size=2)
    outside = np.ones((height, width), bool)
    outside[box[1] : box[3], box[0] : box[2]] = False
    difference = np.abs(pixels(new) - pixels(drawn)).max(axis=2)
    assert (difference[outside] == 0).all()
    assert (difference[~outside] > 8).mean() > 0.2
    again = run("inpaint", **asked, strength=0.9, seed=2)
    assert (pixels(again) == pixels(new, 1)).all()
