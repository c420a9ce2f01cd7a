"""Single files of models made for one task, in their published layout: a refiner finishes, nine channels inpaint."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from extensions.diffusion.drawing.making import DrawingPipeline
from extensions.diffusion.models.libraries import prepare
from extensions.diffusion.tests import ldm_layout, tiny_models
from extensions.diffusion.tests.test_img2img import scene
from extensions.diffusion.tests.test_single_files import component, drawn, with_configs, write
from webui.api import ParameterError
from webui.testing import Outcome, Studio, make_studio, run_pipeline

Run = Callable[..., Outcome]
BOX = (16, 24, 40, 48)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Studio:
    """An installation without models, offline, whose configurations for single files are in ``tmp_path/configs``."""
    monkeypatch.setattr("webui.engine.device.usable_cores", lambda: 1)
    monkeypatch.setattr(DrawingPipeline, "configs", tmp_path / "configs")
    (tmp_path / "models").mkdir()
    prepare()
    return make_studio(tmp_path / "data", models_dirs=[tmp_path / "models"], offline=True)


@pytest.fixture
def run(world: Studio, tmp_path: Path) -> Run:
    picture = scene(tmp_path / "in.png", (64, 64))
    mask = Image.new("L", (64, 64))
    mask.paste(255, BOX)
    mask.save(tmp_path / "mask.png")

    def job(pipeline: str, **params: Any) -> Outcome:
        world.catalog.refresh()
        asked: dict[str, Any] = {"prompt": "a cat", "steps": 4, "seed": 5}
        if pipeline != "txt2img":
            asked["image"] = str(picture)
        if pipeline == "inpaint":
            asked |= {"mask": str(tmp_path / "mask.png"), "mask_blur": 0}
        return run_pipeline(f"diffusion.{pipeline}", {**asked, **params}, tmp_path, studio=world)

    return job


def refiner(folder: Path) -> Path:
    """The layout of SDXL's refiner: one text encoder, and a UNet that is told how beautiful the picture is."""
    from diffusers import EulerDiscreteScheduler, StableDiffusionXLImg2ImgPipeline

    StableDiffusionXLImg2ImgPipeline(
        vae=tiny_models.vae(force_upcast=True, scaling_factor=0.13025),
        text_encoder=None,
        tokenizer=None,
        text_encoder_2=tiny_models.text_encoder("CLIPTextModelWithProjection", hidden=48, projection=48),
        tokenizer_2=tiny_models.make_tokenizer(folder / "tokenizer_2"),
        unet=tiny_models.sdxl_unet(cross_attention_dim=48, projection_class_embeddings_input_dim=48 + 5 * 8),
        scheduler=EulerDiscreteScheduler.from_config(tiny_models.scheduler().config),
        requires_aesthetics_score=True,
        force_zeros_for_empty_prompt=False,
        add_watermarker=False,
    ).save_pretrained(str(folder))
    return folder


def inpainting(folder: Path, family: str) -> Path:
    """``family`` whose UNet takes nine channels, as its inpainting checkpoints do."""
    import diffusers

    getattr(tiny_models, family)(folder)
    make = tiny_models.unet if family == "sd1" else tiny_models.sdxl_unet
    cls = diffusers.StableDiffusionInpaintPipeline if family == "sd1" else diffusers.StableDiffusionXLInpaintPipeline
    shutil.rmtree(folder / "unet")
    make(in_channels=9).save_pretrained(str(folder / "unet"))
    index = folder / "model_index.json"
    index.write_text(index.read_text(encoding="utf-8").replace(_PLAIN[family], cls.__name__), encoding="utf-8")
    return folder


_PLAIN = {"sd1": "StableDiffusionPipeline", "sdxl": "StableDiffusionXLPipeline"}


def published(folder: Path) -> dict[str, Any]:
    """All tensors of the folder under the names of published checkpoints."""
    found = {**ldm_layout.unet(component(folder, "unet")), **ldm_layout.vae(component(folder, "vae"))}
    if not (folder / "text_encoder_2").is_dir():
        return {**found, **ldm_layout.clip(component(folder, "text_encoder"))}
    second = component(folder, "text_encoder_2")
    if not (folder / "text_encoder").is_dir():
        return {**found, **ldm_layout.openclip(second, "conditioner.embedders.0.model.")}
    first = ldm_layout.clip(component(folder, "text_encoder"), "conditioner.embedders.0.transformer.text_model.")
    return {**found, **first, **ldm_layout.openclip(second)}


def test_a_refiner_file_finishes_pictures(run: Run, world: Studio, tmp_path: Path) -> None:
    folder = refiner(tmp_path / "refiner")
    with_configs(folder, tmp_path / "configs" / "sdxl_refiner")
    write(tmp_path / "models" / "checkpoints" / "xl_refiner.safetensors", published(folder))
    tiny_models.sd1(tmp_path / "models" / "base")
    world.catalog.refresh()
    entry = world.catalog.resolve("xl_refiner")
    assert (entry.kind, entry.family, entry.lacks) == ("image_to_image", "sdxl_refiner", ())

    assert drawn(run("img2img", model="xl_refiner")) == drawn(run("img2img", model=str(folder)))
    size = {"model": "base", "width": 64, "height": 64}
    plain, refined = run("txt2img", **size), run("txt2img", **size, refiner="xl_refiner", refiner_strength=0.5)
    assert drawn(plain) != drawn(refined)
    with pytest.raises(ParameterError, match="image-to-image model"):
        run("txt2img", model="xl_refiner")


@pytest.mark.parametrize("family", ["sd1", "sdxl"])
def test_a_file_of_nine_channels_inpaints(run: Run, world: Studio, tmp_path: Path, family: str) -> None:
    folder = inpainting(tmp_path / "inpainting", family)
    base = getattr(tiny_models, family)(tmp_path / "base")  # what is bundled is of the plain family
    with_configs(base, tmp_path / "configs" / family)
    write(tmp_path / "models" / "checkpoints" / "mine.safetensors", published(folder))
    world.catalog.refresh()
    assert (world.catalog.resolve("mine").kind, world.catalog.resolve("mine").family) == ("inpaint", family)

    outcome = run("inpaint", model="mine", strength=1.0)
    assert drawn(outcome) == drawn(run("inpaint", model=str(folder), strength=1.0))
    made, source = (np.asarray(image.convert("RGB")) for image in (outcome.images[0], Image.open(tmp_path / "in.png")))
    inside = np.zeros((64, 64), bool)
    inside[BOX[1] : BOX[3], BOX[0] : BOX[2]] = True
    assert (made[~inside] == source[~inside]).all()
    assert (made[inside] != source[inside]).any()
    with pytest.raises(ParameterError, match="inpainting model"):
        run("txt2img", model="mine")
