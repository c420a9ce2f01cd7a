"""Editing by families after InstructPix2Pix, from their folders to pixels: FLUX Kontext, Qwen-Image-Edit, FLUX.2."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from extensions.diffusion.models.siblings import edits
from extensions.diffusion.tests import editors, tiny_models
from extensions.diffusion.tests.test_img2img import scene
from webui.testing import Outcome, Studio, run_pipeline, simulated_device

FAMILIES = ("flux_kontext", "qwen_image_edit", "qwen_image_edit_plus", "flux2", "flux2_klein")
Edit = Callable[..., Outcome]


@pytest.fixture(scope="module")
def edited(tmp_path_factory: pytest.TempPathFactory, studio: Studio) -> Edit:
    """Run an edit with a tiny model of a family: ``edited("flux2", seed=6)``. The same run is made once."""
    base, made = tmp_path_factory.mktemp("editors"), dict[str, Outcome]()
    picture = scene(base / "scene.png", (64, 80))

    def run(family: str, *, how: dict[str, Any] | None = None, **params: Any) -> Outcome:
        folder = base / family
        if not folder.exists():
            (getattr(editors, family, None) or getattr(tiny_models, family))(folder)
        asked: dict[str, Any] = {"prompt": "make it red", "steps": 2, "seed": 5, "image": str(picture)}
        asked |= {"model": str(folder), **params}
        name = repr((family, sorted(asked.items())))
        if name in made and how is None:
            return made[name]
        return made.setdefault(name, run_pipeline("diffusion.edit", asked, base, studio=studio, **(how or {})))

    return run


@pytest.fixture(autouse=True)
def small_references(monkeypatch: pytest.MonkeyPatch) -> None:
    """Qwen's pipelines encode every picture at a million pixels, which takes 20 s here: at 64 times fewer."""
    monkeypatch.setattr("webui.engine.device.usable_cores", lambda: 1)
    from extensions.diffusion.models.libraries import prepare

    prepare()
    from diffusers.pipelines.qwenimage import pipeline_qwenimage_edit, pipeline_qwenimage_edit_plus

    for module in (pipeline_qwenimage_edit, pipeline_qwenimage_edit_plus):
        whole = module.calculate_dimensions
        monkeypatch.setattr(module, "calculate_dimensions", lambda area, ratio, whole=whole: whole(area // 256, ratio))


def pixels(outcome: Outcome, index: int = 0) -> bytes:
    assert outcome.state == "done", outcome.error
    return outcome.images[index].tobytes()


@pytest.mark.parametrize("family", FAMILIES)
def test_instruction_and_picture_decide_the_result(edited: Edit, tmp_path: Path, family: str) -> None:
    other = tmp_path / "other.png"
    Image.open(scene(other, (80, 64))).rotate(90, expand=True).save(other)
    first = edited(family)
    assert first.images[0].size == (64, 80)
    changes: tuple[dict[str, Any], ...] = ({}, {"prompt": "a dog instead"}, {"image": str(other)})
    assert len({pixels(edited(family, **change)) for change in changes}) == 3


@pytest.mark.parametrize("family", FAMILIES)
def test_progress_previews_and_a_recipe_that_makes_the_same_bytes(
    edited: Edit, studio: Studio, tmp_path: Path, family: str
) -> None:
    first = edited(family)
    assert {(row.step, row.steps) for row in first.progress if row.step} == {(1, 2), (2, 2)}
    assert first.previews > 0
    assert not first.warnings
    told = studio.files.describe(first.records[0].path)
    assert told is not None
    assert told.recipe is not None
    asked = {**told.recipe.params, "seed": told.recipe.seed - 1, "batch_size": 2}
    again = run_pipeline(told.recipe.pipeline, asked, tmp_path, studio=studio)
    assert pixels(again) != pixels(again, 1) == pixels(first)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_cancel_ends_it_within_a_step(edited: Edit, family: str) -> None:
    stopped = edited(family, seed=9, steps=6, how={"cancel_when": lambda told: bool(told.progress[-1:])})
    assert stopped.state == "cancelled"
    assert not stopped.records
    assert max((row.step for row in stopped.progress), default=0) <= 2


@pytest.mark.parametrize("family", FAMILIES)
def test_it_draws_what_diffusers_draws(edited: Edit, tmp_path: Path, family: str) -> None:
    import diffusers
    import torch

    first = edited(family)
    picture = Image.open(scene(tmp_path / "scene.png", (64, 80)))
    pipe = diffusers.DiffusionPipeline.from_pretrained(first.job.params["model"], local_files_only=True)
    pipe.set_progress_bar_config(disable=True)
    scale = first.job.params["guidance_scale"]  # the family's own
    own: dict[str, Any] = {"guidance_scale": scale}
    if family == "flux_kontext":
        own |= {"max_area": 64 * 80, "_auto_resize": False}
    elif family.startswith("qwen"):
        own = {"true_cfg_scale": scale, "negative_prompt": " "}
    torch.manual_seed(0)
    made = pipe(
        image=picture,
        prompt="make it red",
        num_inference_steps=2,
        width=64,
        height=80,
        generator=torch.Generator("cpu").manual_seed(5),
        **own,
    )[0][0]
    difference = np.asarray(first.images[0]).astype(int) - np.asarray(made).astype(int)
    assert np.abs(difference).max() <= 1


def test_a_picture_smaller_than_the_model_reads_is_drawn_larger_and_cut_back(edited: Edit, tmp_path: Path) -> None:
    small = edited("flux2_klein", image=str(scene(tmp_path / "small.png", (40, 56))))
    assert small.images[0].size == (40, 56)


def test_a_picture_that_the_model_does_not_read_is_refused_in_its_words(edited: Edit, tmp_path: Path) -> None:
    outcome = edited("flux2_klein", image=str(scene(tmp_path / "long.png", (64, 640))))
    assert outcome.error is not None
    assert "does not take this picture: Aspect ratio too extreme" in outcome.error.message


def test_one_stage_after_the_other_gives_the_same_picture(edited: Edit, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a device that holds one component at a time."""
    monkeypatch.setattr("webui.engine.work.formula", lambda work, dtype_bytes: 0)
    plain = edited("flux2", how={"device": simulated_device(2**30)})
    assert plain.memory is not None
    largest = max(row.device_bytes for row in plain.memory.entries)
    staged_on = simulated_device(largest)
    assert pixels(edited("flux2", how={"device": staged_on})) == pixels(plain)
    assert 0 < staged_on.most <= largest


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        ("Flux2KleinKVPipeline", True),
        ("LongCatImageEditPipeline", True),
        ("QwenImagePipeline", False),
        ("FluxImg2ImgPipeline", False),
        ("StableDiffusionUpscalePipeline", False),
        ("StableDiffusionControlNetPipeline", False),
        ("WanImageToVideoPipeline", False),
        ("HunyuanImageRefinerPipeline", False),
        ("QwenImageLayeredPipeline", False),
    ],
)
def test_editors_are_told_by_their_arguments(name: str, is_one: bool) -> None:
    import diffusers

    assert edits(getattr(diffusers, name)) == is_one


def test_a_kontext_that_calls_itself_flux_is_told_by_its_name(edited: Edit, tmp_path: Path) -> None:
    first = edited("flux_kontext")
    named, other = tmp_path / "flux1-kontext-dev", tmp_path / "flux1-dev"
    for folder in (named, other):
        shutil.copytree(str(first.job.params["model"]), folder)
        index = json.loads((folder / "model_index.json").read_text())
        (folder / "model_index.json").write_text(json.dumps({**index, "_class_name": "FluxPipeline"}))
    assert pixels(edited("flux_kontext", model=str(named))) == pixels(first)
    refused = edited("flux_kontext", model=str(other)).error
    assert refused is not None
    assert "not made for editing" in refused.message
