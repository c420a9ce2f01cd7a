"""The bundled starter model with real pixels: how far pictures go from where they began."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

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
    assert distances == sorted(distances)
    assert distances[3] > 3 * distances[1] > 0, distances
