"""ControlNets as a job draws with them, and what control pictures go through."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from extensions.diffusion.params_adapters import PREPROCESSORS
from extensions.diffusion.pictures.annotators import MAPS
from extensions.diffusion.pictures.preprocessors import canny, prepared
from extensions.diffusion.tests.test_img2img import scene
from webui.testing import Outcome, Studio, run_pipeline

Generate = Callable[..., Outcome]


@pytest.fixture(scope="module")
def controlnet(tiny: Any, models_dir: Path) -> Path:
    """A random ControlNet of the tiny SD 1.x, whose outputs are not zero, as a folder and as a bare file."""
    from diffusers import ControlNetModel, UNet2DConditionModel
    from safetensors.torch import save_file

    unet = UNet2DConditionModel.from_pretrained(str(tiny("sd1") / "unet"))
    torch.manual_seed(11)
    network = ControlNetModel.from_unet(unet, conditioning_embedding_out_channels=(4, 8, 8))
    for parameter in network.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.2)
    folder = models_dir / "controlnet" / "lines"
    network.save_pretrained(str(folder))
    plain = ControlNetModel.from_unet(unet, conditioning_embedding_out_channels=(8, 8, 16))
    for parameter in plain.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.2)
    save_file(plain.state_dict(), str(models_dir / "controlnet" / "bare.safetensors"))
    return folder


def pixels(outcome: Outcome, index: int = 0) -> bytes:
    assert outcome.state == "done", outcome.error
    return outcome.images[index].tobytes()


def test_a_control_picture_counts_by_its_weight_and_span(generate: Generate, controlnet: Path, tmp_path: Path) -> None:
    picture = str(scene(tmp_path / "lines.png"))
    one = {"control_1_model": "lines", "control_1_image": picture}
    plain, held = pixels(generate("sd1")), generate("sd1", **one, batch_size=2)
    assert pixels(held) != plain
    assert pixels(held, 1) == pixels(generate("sd1", **one, seed=6))
    assert pixels(generate("sd1", **one, control_1_weight=0.0)) == plain
    changes = ({"control_1_preprocessor": "canny"}, {"control_1_weight": 0.5}, {"control_1_end": 0.5})
    made = {pixels(generate("sd1", **one, **change)) for change in changes}
    assert len(made | {plain, pixels(held)}) == 5
    assert pixels(generate("sd1")) == plain


def test_two_units_and_a_bare_file(generate: Generate, controlnet: Path, tmp_path: Path) -> None:
    picture = str(scene(tmp_path / "lines.png"))
    one = {"control_1_model": "lines", "control_1_image": picture}
    other = {"control_2_model": "bare", "control_2_image": picture, "control_2_preprocessor": "tile"}
    made = [pixels(generate("sd1", **units)) for units in (one, other, {**one, **other})]
    assert len(set(made)) == 3


def test_image_to_image_and_inpaint_take_their_own_picture(
    generate: Generate, controlnet: Path, studio: Studio, tmp_path: Path
) -> None:
    picture = scene(tmp_path / "in.png")
    mask = Image.new("L", (64, 64))
    mask.paste(255, (16, 16, 40, 40))
    mask.save(tmp_path / "mask.png")
    asked = {"prompt": "a cat", "model": "diffusers/sd1", "image": str(picture), "steps": 4, "seed": 5}
    unit = {"control_1_model": "lines", "control_1_preprocessor": "canny"}
    for pipeline, more in (("img2img", {}), ("inpaint", {"mask": str(tmp_path / "mask.png"), "mask_blur": 0})):
        run = [
            run_pipeline(f"diffusion.{pipeline}", {**asked, **more, **change}, tmp_path, studio=studio)
            for change in ({}, unit)
        ]
        assert pixels(run[0]) != pixels(run[1])
    outside = np.asarray(mask) == 0
    assert (np.asarray(run[1].images[0])[outside] == np.asarray(Image.open(picture))[outside]).all()


def test_what_is_missing_or_does_not_fit_is_said(generate: Generate, controlnet: Path, tmp_path: Path) -> None:
    nothing = generate("sd1", control_1_model="lines")
    assert nothing.error is not None
    assert "no picture" in nothing.error.message
    picture = str(scene(tmp_path / "lines.png"))
    misfit = generate("flux", control_1_model="lines", control_1_image=picture)
    assert misfit.state == "failed"


@pytest.mark.parametrize("name", [name for name in PREPROCESSORS if name not in MAPS])
def test_every_preprocessor_keeps_size_and_mode(name: str) -> None:
    picture = Image.linear_gradient("L").resize((37, 21)).convert("RGB")
    made = prepared(picture, name)
    assert (made.size, made.mode) == ((37, 21), "RGB")


def test_canny_finds_the_outline_and_nothing_on_flat_ground() -> None:
    picture = Image.new("RGB", (64, 64), "white")
    ImageDraw.Draw(picture).rectangle((20, 16, 43, 47), fill="black")
    edges = np.asarray(canny(picture)) > 0
    rows, columns = np.nonzero(edges)
    assert {rows.min(), rows.max()} <= {15, 16, 47, 48}
    assert {columns.min(), columns.max()} <= {19, 20, 43, 44}
    assert not edges[22:42, 24:40].any()
    outline = 2 * (24 + 32)
    assert 0.9 * outline < edges.sum() < 1.2 * outline
    assert not np.asarray(canny(Image.new("RGB", (20, 20), "red"))).any()
