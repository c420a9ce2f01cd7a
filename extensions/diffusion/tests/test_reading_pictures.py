"""Models that read a picture in place of a prompt: drawn as diffusers does, alone and in batches; the same form on any
other model; what other forms say of them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from extensions.diffusion.tests import tiny_models
from extensions.diffusion.tests.test_img2img import scene
from webui.testing import Outcome, Studio, run_pipeline

Vary = Callable[..., Outcome]
WIDTH = 32


def _vision() -> Any:
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    torch.manual_seed(8)
    return CLIPVisionModelWithProjection(
        CLIPVisionConfig(
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            image_size=32,
            patch_size=8,
            projection_dim=WIDTH,
        )
    ).eval()


def _processor() -> Any:
    from transformers import CLIPImageProcessor

    return CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})


@pytest.fixture(scope="module")
def readers(models_dir: Path, tiny: Any) -> Path:
    """A tiny Stable Diffusion for image variations and a tiny Stable unCLIP."""
    from diffusers import (
        DDPMScheduler,
        StableDiffusionImageVariationPipeline,
        StableDiffusionPipeline,
        StableUnCLIPImg2ImgPipeline,
    )
    from diffusers.pipelines.stable_diffusion import StableUnCLIPImageNormalizer

    base = StableDiffusionPipeline.from_pretrained(str(tiny("sd1")))
    folder = models_dir / "diffusers"
    StableDiffusionImageVariationPipeline(
        vae=base.vae,
        image_encoder=_vision(),
        unet=tiny_models.unet(cross_attention_dim=WIDTH),
        scheduler=base.scheduler,
        safety_checker=None,
        feature_extractor=_processor(),
        requires_safety_checker=False,
    ).save_pretrained(str(folder / "variations"))
    unet = tiny_models.unet(class_embed_type="projection", projection_class_embeddings_input_dim=2 * WIDTH)
    torch.manual_seed(9)
    StableUnCLIPImg2ImgPipeline(
        feature_extractor=_processor(),
        image_encoder=_vision(),
        image_normalizer=StableUnCLIPImageNormalizer(WIDTH),
        image_noising_scheduler=DDPMScheduler(),
        tokenizer=base.tokenizer,
        text_encoder=base.text_encoder,
        unet=unet,
        scheduler=base.scheduler,
        vae=base.vae,
    ).save_pretrained(str(folder / "unclip"))
    return models_dir


@pytest.fixture
def vary(readers: Path, studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Vary:
    monkeypatch.setattr("webui.engine.device.usable_cores", lambda: 1)

    def run(model: str, pipeline: str = "variation", **params: Any) -> Outcome:
        studio.catalog.refresh()
        asked = {"steps": 3, "seed": 5, "model": f"diffusers/{model}", "image": str(scene(tmp_path / "in.png"))}
        if pipeline == "variation":
            asked["batch_count"] = 1
        return run_pipeline(f"diffusion.{pipeline}", {**asked, **params}, tmp_path, studio=studio)

    return run


def pixels(outcome: Outcome, index: int = 0) -> np.ndarray:
    assert outcome.state == "done", outcome.error
    return np.asarray(outcome.images[index].convert("RGB")).astype(int)


@pytest.mark.parametrize(("model", "asked"), [("variations", {}), ("unclip", {"prompt": "a cat", "noise_level": 100})])
def test_it_draws_what_diffusers_draws(
    vary: Vary, readers: Path, tmp_path: Path, model: str, asked: dict[str, Any]
) -> None:
    from diffusers import DiffusionPipeline

    pipe = DiffusionPipeline.from_pretrained(str(readers / "diffusers" / model), safety_checker=None)
    pipe.set_progress_bar_config(disable=True)
    expected = pipe(
        image=Image.open(scene(tmp_path / "again.png")).convert("RGB"),
        width=64,
        height=64,
        num_inference_steps=3,
        guidance_scale=7.0,
        generator=torch.Generator().manual_seed(5),
        **asked,
    ).images[0]
    found = vary(model, **asked, guidance_scale=7.0)
    assert found.warnings == []
    assert np.abs(pixels(found) - np.asarray(expected).astype(int)).max() <= 1


@pytest.mark.parametrize("model", ["variations", "unclip", "sd1"])
def test_pictures_of_a_batch_and_what_counts(vary: Vary, tmp_path: Path, model: str) -> None:
    batch = vary(model, batch_size=2, batch_count=2)
    assert (pixels(batch, 3) == pixels(vary(model, seed=8))).all()
    other = str(scene(tmp_path / "other.png", mode="L"))
    assert (pixels(vary(model, image=other)) != pixels(batch)).any()
    noisy = vary(model, noise_level=400)
    assert (pixels(noisy) != pixels(batch)).any() == (model == "unclip")
    wordy = vary(model, prompt="a dog")
    assert (pixels(wordy) != pixels(batch)).any() == (model != "variations")
    assert any("reads the picture alone" in words for words in wordy.warnings) == (model == "variations")
    strong = vary(model, strength=0.9)
    assert (pixels(strong) != pixels(batch)).any() == (model == "sd1")


def test_other_forms_say_where_they_belong(vary: Vary) -> None:
    for pipeline in ("img2img", "edit"):
        for model in ("variations", "unclip"):
            outcome = vary(model, pipeline, prompt="a cat")
            assert outcome.error is not None
            assert "draws variations of a picture" in outcome.error.message
            assert "Variations" in outcome.error.hint


def test_attention_and_guidance_go_with_it(vary: Vary) -> None:
    plain = pixels(vary("unclip"))
    for change in ({"guidance_method": "projected"}, {"perturbation": "pag"}, {"clip_skip": 2, "prompt": "a cat"}):
        assert (pixels(vary("unclip", **change)) != plain).any(), change
