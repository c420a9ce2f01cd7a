"""Image to image as a job runs it: strength, sizes, batches, sources, families, refusals; odd pictures at the edge."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from extensions.diffusion.drawing.from_pictures import enough_steps
from extensions.diffusion.pictures import inputs
from extensions.diffusion.tests import tiny_models
from webui.testing import Outcome, Studio, run_pipeline

Change = Callable[..., Outcome]


def scene(path: Path, size: tuple[int, int] = (64, 64), mode: str = "RGB") -> Path:
    """A drawing with edges and colours that nothing repeats."""
    picture = Image.linear_gradient("L").resize(size).convert("RGB")
    draw = ImageDraw.Draw(picture)
    draw.ellipse((size[0] // 4, size[1] // 4, size[0] // 2, size[1] // 2), fill=(200, 40, 40))
    draw.rectangle((size[0] // 2, size[1] // 2, size[0] - 6, size[1] - 3), fill=(20, 90, 220))
    picture.convert(mode).save(path)
    return path


@pytest.fixture
def change(tiny: Any, studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Change:
    """Run img2img on a tiny model: ``change("sd1", strength=0.5)``."""
    monkeypatch.setattr("webui.engine.device.usable_cores", lambda: 1)

    def run(family: str, *, how: dict[str, Any] | None = None, **params: Any) -> Outcome:
        model = {"model": f"diffusers/{family}"} if hasattr(tiny_models, family) else {}
        if model:
            tiny(family)
        studio.catalog.refresh()
        asked = {"prompt": "a cat", "steps": 4, "seed": 5, **model, **params}
        if "image" not in asked:
            asked["image"] = str(scene(tmp_path / "scene.png"))
        return run_pipeline("diffusion.img2img", asked, tmp_path, studio=studio, **(how or {}))

    return run


def array(outcome: Outcome, index: int = 0) -> np.ndarray:
    assert outcome.state == "done", outcome.error
    return np.asarray(outcome.images[index]).astype(int)


@pytest.mark.parametrize("size", [(64, 64), (57, 83)])
def test_strength_0_gives_the_picture_back_bit_by_bit(change: Change, tmp_path: Path, size: tuple[int, int]) -> None:
    source = scene(tmp_path / "in.png", size)
    outcome = change("sd1", image=str(source), strength=0.0)
    assert (array(outcome) == np.asarray(Image.open(source))).all()


@pytest.mark.parametrize("family", ["sd1", "sdxl", "sd3", "flux"])
def test_families_draw_at_the_very_size_of_the_picture(change: Change, tmp_path: Path, family: str) -> None:
    source = scene(tmp_path / "odd.png", (75, 61))
    outcome = change(family, image=str(source), strength=0.5, batch_size=2)
    first, second = array(outcome), array(outcome, 1)
    assert first.shape == (61, 75, 3)
    assert (first != second).any()
    assert (array(change(family, image=str(source), strength=0.5, seed=6)) == second).all()


def test_several_pictures_are_sources_one_after_the_other(change: Change, tmp_path: Path) -> None:
    others = [str(scene(tmp_path / f"{edge}.png", (edge, 64))) for edge in (72, 80)]
    outcome = change("sd1", images=others, batch_size=2, steps=2)
    assert [record.width for record in outcome.records] == [64, 64, 72, 72, 80, 80]
    assert [record.seed for record in outcome.records] == [5, 6, 7, 8, 9, 10]
    rest = change("sd1", images=others, batch_size=2, steps=2, how={"done_indices": [0, 1, 2, 4]})
    assert [record.index for record in rest.records] == [3, 5]
    assert (array(rest, 1) == array(outcome, 5)).all()


def test_a_size_may_be_asked_for_and_the_resize_mode_fits_the_picture(change: Change, tmp_path: Path) -> None:
    source = scene(tmp_path / "wide.png", (128, 64))
    made = {
        mode: change("sd1", image=str(source), width=64, height=64, resize_mode=mode, strength=0.0)
        for mode in ("stretch", "crop", "fill")
    }
    results = {mode: array(outcome) for mode, outcome in made.items()}
    assert {row.shape for row in results.values()} == {(64, 64, 3)}
    whole = np.asarray(Image.open(source)).astype(int)
    assert np.abs(results["crop"] - whole[:, 32:96]).max() <= 1
    assert (results["fill"][0] == results["fill"][16]).all()  # the uppermost row of the picture, drawn out
    one_side = change("sd1", image=str(source), width=256, strength=0.0)
    assert (one_side.records[0].width, one_side.records[0].height) == (256, 128)


def test_a_little_strength_is_one_step_and_no_error(change: Change) -> None:
    assert change("sd1", strength=0.01, steps=3).state == "done"
    assert [int(enough_steps(steps, strength) * strength) for steps, strength in ((3, 0.01), (20, 0.04), (7, 1.0))] == [
        1,
        1,
        7,
    ]


def test_the_text_for_other_programs_names_the_strength(change: Change) -> None:
    with Image.open(change("sd1", strength=0.6).paths[0]) as image:
        assert "Denoising strength: 0.6" in image.info["parameters"]


def test_models_made_for_other_tasks_are_refused_with_the_form_to_use(change: Change, models_dir: Path) -> None:
    tiny_models.sd1(models_dir / "diffusers" / "eight", in_channels=8)
    outcome = change("sd1", model="diffusers/eight")
    assert outcome.error is not None
    assert "made for editing" in outcome.error.message
    assert "Edit" in outcome.error.hint


@pytest.mark.parametrize("mode", ["L", "P", "CMYK", "1", "LA", "RGBA"])
def test_pictures_of_any_colour_mode_are_taken(change: Change, tmp_path: Path, mode: str) -> None:
    source = scene(tmp_path / ("in.tif" if mode == "CMYK" else "in.png"), mode=mode)
    assert array(change("sd1", image=str(source), strength=0.0)).shape == (64, 64, 3)


def test_transparent_places_are_white_and_said(change: Change, tmp_path: Path) -> None:
    picture = Image.new("RGBA", (64, 64), (10, 20, 30, 255))
    picture.paste((0, 0, 0, 0), (0, 0, 32, 64))
    picture.save(tmp_path / "alpha.png")
    outcome = change("sd1", image=str(tmp_path / "alpha.png"), strength=0.0)
    assert (array(outcome)[:, :32] == 255).all()
    assert (array(outcome)[:, 32:] == (10, 20, 30)).all()
    assert any("white" in words for words in outcome.warnings)


def test_16_bits_are_scaled_and_not_cut_off(change: Change, tmp_path: Path) -> None:
    Image.fromarray(np.linspace(0, 65535, 64 * 64, dtype=np.uint16).reshape(64, 64)).save(tmp_path / "deep.png")
    result = array(change("sd1", image=str(tmp_path / "deep.png"), strength=0.0))
    assert result[0, 0, 0] == 0
    assert result[-1, -1, 0] == 255
    assert len(np.unique(result)) > 200


def test_exif_orientation_is_applied(change: Change, tmp_path: Path) -> None:
    picture = Image.open(scene(tmp_path / "up.png", (64, 96)))
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held a quarter turn to the left
    picture.save(tmp_path / "turned.jpg", exif=exif, quality=100)
    outcome = change("sd1", image=str(tmp_path / "turned.jpg"), strength=0.0)
    assert (outcome.records[0].width, outcome.records[0].height) == (96, 64)


def test_an_animation_gives_its_first_frame_and_says_so(change: Change, tmp_path: Path) -> None:
    frames = [Image.new("RGB", (64, 64), colour) for colour in ("red", "green", "blue")]
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:])
    outcome = change("sd1", image=str(tmp_path / "moving.gif"), strength=0.0)
    assert tuple(array(outcome)[5, 5]) == (255, 0, 0)
    assert any("3 frames" in words for words in outcome.warnings)


def test_a_huge_and_a_broken_picture_are_refused_before_a_job(change: Change, tmp_path: Path) -> None:
    Image.new("1", (30_000, 10_000)).save(tmp_path / "huge.png")
    with pytest.raises(Exception, match="more than the 178,956,970 pixels allowed"):
        change("sd1", image=str(tmp_path / "huge.png"))
    whole = scene(tmp_path / "whole.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(Exception, match="damaged or cut short"):
        change("sd1", image=str(tmp_path / "cut.png"))


def test_edges_are_drawn_out_on_all_sides() -> None:
    picture = Image.fromarray(np.arange(12, dtype=np.uint8).reshape(3, 4))
    larger = np.asarray(inputs.extended(picture, 2, 1, 1, 2))
    assert (larger == np.pad(np.asarray(picture), ((1, 2), (2, 1)), mode="edge")).all()
    assert inputs.within((4000, 3000), 2048 * 2048) == (2364, 1773)


def test_schedules_count_the_steps_that_are_drawn(change: Change) -> None:
    def of(prompt: str) -> np.ndarray:
        return array(change("sd1", prompt=prompt, steps=8, strength=0.5))

    assert (of("[cat:dog:0.5]") == of("[cat:dog:2]")).all()
    assert (of("[cat:dog:4]") == of("cat")).all()
    assert (of("[cat:dog:3]") != of("cat")).any()
