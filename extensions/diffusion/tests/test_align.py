"""Pictures in one style, and a picture in another's, by attention: the same bytes for a seed, and nothing stays."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from extensions.diffusion.tests.test_img2img import scene
from webui.testing import Outcome, Studio, run_pipeline

LINES = "a red house\na blue dog"
Run = Callable[..., Outcome]


@pytest.fixture
def styled(tiny: Any, studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setattr("webui.engine.device.usable_cores", lambda: 1)

    def run(pipeline: str, family: str = "sd1", **params: Any) -> Outcome:
        tiny(family)
        studio.catalog.refresh()
        asked = {"steps": 3, "width": 64, "height": 64, "model": f"diffusers/{family}", **params}
        return run_pipeline(pipeline, asked, tmp_path, studio=studio)

    return run


def pixels(outcome: Outcome) -> list[bytes]:
    assert outcome.state == "done", outcome.error
    return [picture.convert("RGB").tobytes() for picture in outcome.images]


@pytest.mark.parametrize("family", ["sd1", "sdxl"])
def test_lines_share_the_first_ones_style_and_nothing_stays(styled: Run, generate: Run, family: str) -> None:
    alone = [pixels(generate(family, prompt=line, seed=5 + i, steps=3))[0] for i, line in enumerate(LINES.split("\n"))]
    made = pixels(styled("diffusion.align", family, prompt=LINES, seed=5))
    assert len(made) == 2
    assert made[0] == alone[0], "the first one is drawn as alone"
    assert made[1] != alone[1]
    assert pixels(styled("diffusion.align", family, prompt=LINES, seed=5)) == made
    assert pixels(generate(family, prompt="a blue dog", seed=6, steps=3))[0] == alone[1], "nothing stays"


def test_without_weight_and_statistics_each_is_drawn_alone(styled: Run, generate: Run) -> None:
    made = pixels(styled("diffusion.align", prompt=LINES, seed=5, weight=0.0, normalised=False))
    alone = pixels(generate("sd1", prompt="a blue dog", seed=6, steps=3))[0]
    assert max(abs(a - b) for a, b in zip(made[1], alone, strict=True)) <= 1


def test_a_picture_is_the_reference(styled: Run, tmp_path: Path) -> None:
    image = str(scene(tmp_path / "in.png"))
    made = pixels(styled("diffusion.align", prompt="a blue dog", image=image, image_prompt="shapes", seed=5))
    assert len(made) == 1
    assert made != pixels(styled("diffusion.align", prompt="a blue dog", seed=5))


def test_a_picture_takes_another_ones_style_and_nothing_stays(styled: Run, generate: Run, tmp_path: Path) -> None:
    plain = pixels(generate("sd1", steps=3))
    asked = {"image": str(scene(tmp_path / "a.png")), "style_image": str(scene(tmp_path / "b.png", (96, 64)))}
    made = pixels(styled("diffusion.inject", **asked))
    assert pixels(styled("diffusion.inject", **asked)) == made
    assert pixels(styled("diffusion.inject", **asked, preservation=0.0)) != made
    assert pixels(generate("sd1", steps=3)) == plain


def test_models_without_a_unet_and_prompts_with_turns_are_refused(styled: Run, tmp_path: Path) -> None:
    image = str(scene(tmp_path / "a.png"))
    for pipeline, asked in (
        ("diffusion.align", {"prompt": LINES}),
        ("diffusion.inject", {"image": image, "style_image": image}),
    ):
        outcome = styled(pipeline, "flux", **asked)
        assert outcome.error is not None
        assert "UNet" in outcome.error.message
    turned = styled("diffusion.align", prompt="a red house\na [blue|green] dog")
    assert turned.error is not None
    nothing = styled("diffusion.align", prompt=" \n ")
    assert "prompt" in str(nothing.error)
