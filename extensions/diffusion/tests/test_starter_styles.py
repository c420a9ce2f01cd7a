"""Styles taken over by attention, on the bundled starter with real pixels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from webui.testing import Outcome, make_studio, run_pipeline

LINES = ("a smiling person with long red hair, orange background", "a sad person with short black hair")
Run = Callable[..., Outcome]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    studio = make_studio(tmp_path_factory.mktemp("starter-styles"), offline=True)

    def run(pipeline: str, **params: Any) -> Outcome:
        asked = {"model": "starter/avatar", **params}
        outcome = run_pipeline(f"diffusion.{pipeline}", asked, Path("unused"), studio=studio)
        assert outcome.state == "done", outcome.error
        return outcome

    return run


@pytest.fixture(scope="module")
def alone(run: Run) -> list[Outcome]:
    """Both lines drawn by themselves."""
    return [run("txt2img", prompt=line, seed=3 + place, steps=10) for place, line in enumerate(LINES)]


def pixels(outcome: Outcome, index: int = 0) -> np.ndarray:
    return np.asarray(outcome.images[index].convert("RGB")).astype(float)


def apart(one: np.ndarray, other: np.ndarray) -> float:
    """How far the mean colours are from one another, summed over the channels."""
    return float(np.abs(one.mean((0, 1)) - other.mean((0, 1))).sum())


def test_a_line_takes_the_first_ones_background(run: Run, alone: list[Outcome]) -> None:
    made = run("align", prompt="\n".join(LINES), seed=3, steps=10)
    first, second, plain = pixels(made), pixels(made, 1), pixels(alone[1])
    assert np.array_equal(first, pixels(alone[0]))
    corner = np.s_[:24, :24]
    assert apart(second[corner], first[corner]) < 0.6 * apart(plain[corner], first[corner])


def test_an_own_style_gives_a_picture_back_and_anothers_colours_come_over(run: Run, alone: list[Outcome]) -> None:
    content, style = (str(one.paths[0]) for one in alone)
    source, other = (pixels(one) for one in alone)
    asked = {"image": content, "steps": 20}
    same = pixels(run("inject", **asked, style_image=content, preservation=0.0, temperature=1.0))
    assert 10 * np.log10(255**2 / np.square(same - source).mean()) > 28
    styled = pixels(run("inject", **asked, style_image=style))
    assert apart(styled, other) < 0.6 * apart(source, other)


def test_a_texture_gives_its_colours_and_leaves_the_face(run: Run, alone: list[Outcome], tmp_path: Path) -> None:
    """The model knows no textures: begun with their noise as it is, blotches are drawn."""
    cells = np.random.RandomState(0).randint(0, 3, (16, 16))
    colours = np.array([(30, 130, 150), (90, 190, 210), (20, 50, 60)], np.uint8)
    Image.fromarray(colours[cells].repeat(8, 0).repeat(8, 1)).save(tmp_path / "texture.png")
    content, texture = pixels(alone[0]), np.asarray(Image.open(tmp_path / "texture.png")).astype(float)
    asked = {"image": str(alone[0].paths[0]), "style_image": str(tmp_path / "texture.png"), "steps": 10}
    made, papers = pixels(run("inject", **asked)), pixels(run("inject", **asked, start="adain"))
    assert apart(made, texture) < 0.5 * apart(content, texture)
    assert edges_alike(made, content) > edges_alike(papers, content) + 0.1


def edges_alike(one: np.ndarray, other: np.ndarray) -> float:
    """The correlation of how steep two pictures are, place by place."""
    steep = [np.hypot(*np.gradient(picture.mean(2))).ravel() for picture in (one, other)]
    return float(np.corrcoef(*steep)[0, 1])
