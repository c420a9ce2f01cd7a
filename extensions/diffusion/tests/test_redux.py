"""Redux for FLUX.1, from its folder and from its bare file: drawn as diffusers does, and nothing stays behind."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from extensions.diffusion.tests.test_image_prompts_transformers import SIGLIP_WIDTH, siglip
from extensions.diffusion.tests.test_img2img import scene
from webui.testing import Outcome, Studio, run_pipeline

Ask = Callable[..., Outcome]
FOLDER, FILE = "redux", "bare-redux"


@pytest.fixture(scope="module")
def redux(tiny: Any, models_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny one; its bare file, as it was published, lies in models/style_models."""
    from diffusers import FluxPriorReduxPipeline
    from diffusers.pipelines.flux.modeling_flux import ReduxImageEncoder
    from transformers import SiglipImageProcessor

    tiny("flux")
    torch.manual_seed(41)
    embedder = ReduxImageEncoder(SIGLIP_WIDTH, 32)
    torch.nn.init.normal_(embedder.redux_down.weight, std=0.3)
    folder = models_dir / "ipadapter" / FOLDER
    FluxPriorReduxPipeline(
        siglip(tmp_path_factory.mktemp("siglip")),
        SiglipImageProcessor(size={"height": 28, "width": 28}),
        embedder,
    ).save_pretrained(str(folder))
    bare = models_dir / "style_models"
    bare.mkdir()
    shutil.copy(folder / "image_embedder" / "diffusion_pytorch_model.safetensors", bare / f"{FILE}.safetensors")
    shutil.copytree(folder / "image_encoder", bare / "image_encoder")
    return folder


@pytest.fixture
def ask(generate: Ask, redux: Path, tmp_path: Path) -> Ask:
    picture = str(scene(tmp_path / "seen.png"))

    def run(model: str, **changes: Any) -> Outcome:
        row = {"model": model, "images": [picture]}
        row |= {name: changes.pop(name) for name in list(changes) if name in ("images", "weight", "blocks", "end")}
        return generate("flux", **{f"image_prompt_1_{name}": value for name, value in row.items()}, **changes)

    return run


def pixels(outcome: Outcome, index: int = 0) -> np.ndarray:
    assert outcome.state == "done", outcome.error
    return np.asarray(outcome.images[index]).astype(int)


def by_diffusers(redux: Path, flux: Path, sources: list[Image.Image]) -> np.ndarray:
    from diffusers import FluxPipeline, FluxPriorReduxPipeline

    pipe = FluxPipeline.from_pretrained(str(flux))
    names = ("text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2")
    prior = FluxPriorReduxPipeline.from_pretrained(str(redux), **{name: getattr(pipe, name) for name in names})
    scale = [1 / len(sources)] * len(sources)
    told = prior(sources, prompt=["a cat"] * len(sources), prompt_embeds_scale=scale, pooled_prompt_embeds_scale=scale)
    pipe.set_progress_bar_config(disable=True)
    asked = {"num_inference_steps": 2, "guidance_scale": 3.5, "width": 64, "height": 64}
    return np.asarray(pipe(**told, **asked, generator=torch.Generator().manual_seed(5)).images[0]).astype(int)


def test_it_draws_as_diffusers_does(ask: Ask, redux: Path, tiny: Any, generate: Ask, tmp_path: Path) -> None:
    sources = [scene(tmp_path / "one.png"), scene(tmp_path / "two.png", (80, 48), "L")]
    pictures = [Image.open(source).convert("RGB") for source in sources]
    one = pixels(ask(FOLDER, guidance_scale=3.5, images=[str(sources[0])]))
    assert np.abs(one - by_diffusers(redux, tiny("flux"), pictures[:1])).max() <= 1
    two = pixels(ask(FOLDER, guidance_scale=3.5, images=[str(source) for source in sources]))
    assert np.abs(two - by_diffusers(redux, tiny("flux"), pictures)).max() <= 1
    plain = pixels(generate("flux", guidance_scale=3.5))
    assert len({row.tobytes() for row in (one, two, plain)}) == 3


def test_the_bare_file_is_the_same_model_and_nothing_stays(ask: Ask, generate: Ask, studio: Studio) -> None:
    plain = pixels(generate("flux"))
    made = ask(FOLDER, batch_size=2)
    assert (pixels(ask(FILE)) == pixels(made)).all()
    assert (pixels(made, 1) == pixels(ask(FOLDER, seed=6))).all()
    assert (pixels(generate("flux")) == plain).all()
    kinds = {entry.ref: (entry.kind, entry.family) for entry in studio.catalog.entries("ip_adapter")}
    assert {found for ref, found in kinds.items() if "redux" in ref} == {("ip_adapter", "flux")}
    with Image.open(made.paths[0]) as image:
        assert "Redux 0: " in image.info["parameters"]


def test_its_weight_counts_and_what_it_cannot_do_is_said(ask: Ask, generate: Ask) -> None:
    plain = pixels(generate("flux"))
    assert (pixels(ask(FILE, weight=0.0)) == plain).all()
    assert len({pixels(ask(FILE, weight=weight)).tobytes() for weight in (0.1, 1.0, 1.5)} | {plain.tobytes()}) == 4
    limited = ask(FILE, end=0.5, blocks="style")
    assert any("in every step" in words for words in limited.warnings)
    assert (pixels(limited) == pixels(ask(FILE))).all()


def test_schedules_of_the_prompt_still_count(ask: Ask) -> None:
    turned = pixels(ask(FILE, prompt="a [cat:dog:0.5]"))
    assert (turned != pixels(ask(FILE, prompt="a cat"))).any()
    assert (turned != pixels(ask(FILE, prompt="a dog"))).any()


def test_through_the_form_of_references_and_refused_elsewhere(
    redux: Path, tiny: Any, generate: Ask, studio: Studio, tmp_path: Path
) -> None:
    picture = str(scene(tmp_path / "seen.png"))
    asked = {"image": picture, "model": "diffusers/flux", "prompt": "a cat", "steps": 4, "seed": 5}
    prompt = {"image_prompt_1_model": FILE, "image_prompt_1_images": [picture]}
    runs = [run_pipeline("diffusion.img2img", {**asked, **more}, tmp_path, studio=studio) for more in ({}, prompt)]
    assert (pixels(runs[0]) != pixels(runs[1])).any()
    refused = generate("sd3", **prompt).error
    assert refused is not None
    assert "was made for FLUX.1" in refused.message
