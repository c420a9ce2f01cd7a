"""Inpainting as a job runs it: what is masked changes, what is not stays bit by bit, on base and inpainting models."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from extensions.diffusion.params_pictures import Inpaint
from extensions.diffusion.pictures import masks
from extensions.diffusion.tests import families, tiny_models
from extensions.diffusion.tests.test_img2img import scene
from webui.testing import Outcome, Studio, run_pipeline

Paint = Callable[..., Outcome]
BOX = (16, 24, 40, 48)


@pytest.fixture
def paint(tiny: Any, studio: Studio, models_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paint:
    """Run inpaint on a tiny model with a square mask: ``paint("sd1", mask_blur=0)``."""
    monkeypatch.setattr("webui.engine.device.usable_cores", lambda: 1)

    def run(family: str, **params: Any) -> Outcome:
        if family in families.FAMILIES:
            if not (models_dir / "diffusers" / family).exists():
                families.make(family, models_dir / "diffusers" / family)
        elif hasattr(tiny_models, family):
            tiny(family)
        studio.catalog.refresh()
        scene(tmp_path / "in.png", (72, 64))
        mask = Image.new("L", (72, 64))
        mask.paste(255, BOX)
        mask.save(tmp_path / "mask.png")
        asked = {
            "prompt": "a cat",
            "steps": 4,
            "seed": 5,
            "model": f"diffusers/{family}",
            "image": str(tmp_path / "in.png"),
            "mask": str(tmp_path / "mask.png"),
            "mask_blur": 0,
            **params,
        }
        return run_pipeline("diffusion.inpaint", asked, tmp_path, studio=studio)

    return run


def changed(outcome: Outcome, tmp_path: Path, index: int = 0) -> np.ndarray:
    """bool [H,W]: which pixels are not those of the source."""
    assert outcome.state == "done", outcome.error
    made = np.asarray(outcome.images[index].convert("RGB")).astype(int)
    return (made != np.asarray(Image.open(tmp_path / "in.png")).astype(int)).any(axis=2)


def inside(box: masks.Box = BOX, size: tuple[int, int] = (72, 64)) -> np.ndarray:
    field = np.zeros((size[1], size[0]), bool)
    field[box[1] : box[3], box[0] : box[2]] = True
    return field


@pytest.mark.parametrize("family", ["sd1", "sdxl", "sd3", "flux", "z_image", "qwen_image"])
def test_only_what_is_masked_changes(paint: Paint, tmp_path: Path, family: str) -> None:
    difference = changed(paint(family), tmp_path)
    assert not difference[~inside()].any()
    assert difference[inside()].mean() > 0.5


@pytest.mark.parametrize("sampler", ["Euler", "DPM++ 2M", "Heun", "LCM", "PNDM"])
def test_samplers_of_every_kind_keep_to_the_mask(paint: Paint, tmp_path: Path, sampler: str) -> None:
    assert not changed(paint("sd1", sampler=sampler, steps=6, strength=0.7), tmp_path)[~inside()].any()


def test_a_general_solver_follows_a_flow_model(paint: Paint, tmp_path: Path) -> None:
    assert not changed(paint("sd3", sampler="UniPC"), tmp_path)[~inside()].any()


def test_a_model_made_for_inpainting_takes_the_mask_as_input(
    paint: Paint, tmp_path: Path, models_dir: Path, studio: Studio
) -> None:
    if not (models_dir / "diffusers" / "nine").exists():
        tiny_models.sd1(models_dir / "diffusers" / "nine", in_channels=9)
    for strength in (0.6, 1.0):
        difference = changed(paint("nine", strength=strength), tmp_path)
        assert not difference[~inside()].any()
        assert difference[inside()].mean() > 0.5
    twice, alone = paint("nine", batch_size=2), paint("nine", seed=6)
    assert twice.images[1].tobytes() == alone.images[0].tobytes()


def test_a_picture_is_the_same_alone_and_in_a_batch(paint: Paint) -> None:
    batch, alone = paint("sd1", batch_size=2), paint("sd1", seed=6)
    assert batch.images[0].tobytes() != batch.images[1].tobytes() == alone.images[0].tobytes()


def test_the_blur_fades_beyond_the_mask_and_no_further(paint: Paint, tmp_path: Path) -> None:
    difference = changed(paint("sd1", mask_blur=6), tmp_path)
    left, top, right, bottom = BOX
    assert difference[~inside()].any()
    assert not difference[~inside((left - 6, top - 6, right + 6, bottom + 6))].any()


def test_what_stands_under_the_mask_at_first_counts(paint: Paint) -> None:
    made = [paint("sd1", masked_content=one, strength=0.5).images[0].tobytes() for one in ("original", "fill", "noise")]
    assert len({*made, paint("sd1", masked_content="nothing", strength=0.5).images[0].tobytes()}) == 4


def test_only_masked_draws_the_region_and_puts_it_back(paint: Paint, tmp_path: Path) -> None:
    outcome = paint("sd1", only_masked=True, padding=8)
    assert outcome.images[0].size == (72, 64)
    difference = changed(outcome, tmp_path)
    assert not difference[~inside()].any()
    assert difference[inside()].mean() > 0.5


def test_an_inverted_mask_keeps_what_was_painted(paint: Paint, tmp_path: Path) -> None:
    difference = changed(paint("sd1", mask_invert=True), tmp_path)
    assert not difference[inside()].any()
    assert difference[~inside()].mean() > 0.5


def test_a_mask_by_colour_and_one_by_transparency(paint: Paint, tmp_path: Path) -> None:
    picture = Image.open(scene(tmp_path / "plain.png", (72, 64)))
    picture.paste((0, 250, 10), BOX)
    picture.save(tmp_path / "green.png")
    see_through = picture.convert("RGBA")
    see_through.paste((0, 0, 0, 0), BOX)
    see_through.save(tmp_path / "holes.png")
    for file, by in (("green.png", "colour"), ("holes.png", "transparency")):
        outcome = paint("sd1", image=str(tmp_path / file), mask=None, mask_by=by)
        assert outcome.state == "done", outcome.error
        difference = (np.asarray(outcome.images[0]) != np.asarray(picture)).any(axis=2)
        assert not difference[~inside()].any()
        assert difference[inside()].any()


def test_outpainting_adds_to_the_sides_and_keeps_the_picture(paint: Paint, tmp_path: Path) -> None:
    outcome = paint("sd1", mask=None, outpaint_left=16, outpaint_top=8, outpaint_right=24)
    made = np.asarray(outcome.images[0])
    assert made.shape == (72, 112, 3)
    assert (made[8:, 16:88] == np.asarray(Image.open(tmp_path / "in.png"))).all()
    blurred = np.asarray(paint("sd1", mask=None, outpaint_left=16, mask_blur=4).images[0])
    source = np.asarray(Image.open(tmp_path / "in.png"))
    assert (blurred[:, 16 + 8 :] == source[:, 8:]).all()


def test_strength_0_gives_the_picture_back(paint: Paint, tmp_path: Path) -> None:
    assert not changed(paint("sd1", strength=0.0), tmp_path).any()


def test_without_a_mask_it_says_what_to_do(paint: Paint) -> None:
    outcome = paint("sd1", mask=None)
    assert outcome.error is not None
    assert "Nothing is masked" in outcome.error.message
    assert "outpaint" in outcome.error.hint


def test_families_without_a_way_to_inpaint_are_refused(paint: Paint) -> None:
    outcome = paint("pixart_sigma")
    assert outcome.error is not None
    assert "no way to inpaint" in outcome.error.message


def test_declared_defaults_are_calm() -> None:
    assert Inpaint(image="upload:x").masked_content == "original"


@given(
    box=st.tuples(st.integers(0, 30), st.integers(0, 20), st.integers(1, 18), st.integers(1, 12)),
    blur=st.integers(0, 12),
    padding=st.integers(0, 20),
    ratio=st.sampled_from([None, 1.0, 0.5, 2.0]),
)
@settings(max_examples=60, deadline=None)
def test_laws_of_masks(box: tuple[int, int, int, int], blur: int, padding: int, ratio: float | None) -> None:
    left, top, width, height = box
    mask = Image.new("L", (48, 32))
    mask.paste(255, (left, top, left + width, top + height))
    soft = np.asarray(masks.softened(mask, blur))
    assert (soft[np.asarray(mask) == 255] == 255).all()
    assert (soft[np.asarray(masks.grown(mask, blur)) == 0] == 0).all()
    found = masks.region(mask, padding, ratio)
    assert found is not None
    assert found[0] <= left
    assert found[1] <= top
    assert left + width <= found[2] <= 48
    assert top + height <= found[3] <= 32
    latents = masks.of_latents(mask, (8, 12))
    free = np.kron(latents[0, 0].numpy(), np.ones((4, 4)))
    assert (free[np.asarray(mask) > 0] == 1).all()


def test_a_hole_is_filled_from_its_surroundings_and_nothing_else_changes() -> None:
    values = np.zeros((33, 47, 3), np.uint8)
    values[:, :23], values[:, 23:] = (200, 10, 10), (10, 10, 200)
    picture, hole = Image.fromarray(values), Image.new("L", (47, 33))
    hole.paste(255, (10, 8, 36, 25))
    noisy = picture.copy()
    noisy.paste((0, 255, 0), (10, 8, 36, 25))
    result = np.asarray(masks.filled(noisy, hole))
    assert (result[np.asarray(hole) == 0] == values[np.asarray(hole) == 0]).all()
    assert result[..., 1].max() <= 11
    assert result[16, 12, 0] > result[16, 33, 0]
