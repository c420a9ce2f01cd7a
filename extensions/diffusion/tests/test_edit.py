"""Editing by instruction as a job runs it: layouts, sizes, guidance, batches, refusals."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from extensions.diffusion.tests import tiny_models
from extensions.diffusion.tests.test_img2img import scene
from webui.testing import Outcome, Studio, run_pipeline

Edit = Callable[..., Outcome]


@pytest.fixture(scope="module")
def editors(models_dir: Path) -> Path:
    """A whole editing model, and one that shares all but its UNet with the first, as its index says."""
    base, own = models_dir / "diffusers" / "editor", models_dir / "diffusers" / "sharing"
    tiny_models.sd1(base, in_channels=8, out_channels=4)
    shutil.copytree(base / "unet", own / "unet")
    index = json.loads((base / "model_index.json").read_text())
    parts = ("vae", "text_encoder", "tokenizer", "scheduler")
    index |= {"_class_name": "StableDiffusionInstructPix2PixPipeline"}
    index["_shared"] = {name: f"../editor/{name}" for name in parts}
    (own / "model_index.json").write_text(json.dumps(index))
    return models_dir


@pytest.fixture
def edit(editors: Path, studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Edit:
    monkeypatch.setattr("webui.engine.device.usable_cores", lambda: 1)

    def run(model: str, **params: Any) -> Outcome:
        studio.catalog.refresh()
        image = str(scene(tmp_path / "in.png", (75, 61)))
        asked = {"prompt": "make it red", "steps": 3, "seed": 5, "model": f"diffusers/{model}", "image": image}
        return run_pipeline("diffusion.edit", {**asked, **params}, tmp_path, studio=studio)

    return run


def pixels(outcome: Outcome, index: int = 0) -> bytes:
    assert outcome.state == "done", outcome.error
    return outcome.images[index].tobytes()


def test_a_model_of_twice_the_channels_edits_whatever_its_index_says(edit: Edit) -> None:
    whole = edit("editor", batch_size=2)
    assert whole.images[0].size == (75, 61)
    assert pixels(whole) != pixels(whole, 1) == pixels(edit("editor", seed=6))
    assert pixels(edit("sharing")) == pixels(whole)


def test_instruction_and_both_guidances_count(edit: Edit) -> None:
    made = {
        pixels(edit("editor", **change))
        for change in ({}, {"prompt": "a dog"}, {"image_guidance_scale": 3.0}, {"guidance_scale": 2.0})
    }
    assert len(made) == 4


def test_it_draws_what_diffusers_draws(edit: Edit, editors: Path, tmp_path: Path) -> None:
    import diffusers
    import torch
    from PIL import Image

    source = scene(tmp_path / "even.png", (64, 64))
    drawn = np.asarray(edit("editor", image=str(source)).images[0]).astype(int)
    pipe = diffusers.StableDiffusionInstructPix2PixPipeline.from_pretrained(
        str(editors / "diffusers" / "editor"), local_files_only=True
    )
    pipe.set_progress_bar_config(disable=True)
    made = pipe(
        "make it red",
        image=Image.open(source),
        num_inference_steps=3,
        guidance_scale=7.0,
        image_guidance_scale=1.5,
        generator=torch.Generator("cpu").manual_seed(5),
    )[0][0]
    assert np.abs(drawn - np.asarray(made).astype(int)).max() <= 1


def test_a_model_of_another_kind_is_refused(edit: Edit, tiny: Any) -> None:
    tiny("sd1")
    outcome = edit("sd1")
    assert outcome.error is not None
    assert "not made for editing" in outcome.error.message
