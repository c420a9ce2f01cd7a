"""Guidance away from the model made worse: as diffusers' own pipelines draw it, in batches and compositions, and with
modules that are afterwards as they were.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from extensions.diffusion.compute.weakening import Weakening, weakened
from extensions.diffusion.params import PERTURBATIONS
from extensions.diffusion.tests import families
from webui.testing import Outcome

Generate = Callable[..., Outcome]
WITHOUT_T5 = {"text_encoder_3": None, "tokenizer_3": None}
KINDS = [name for name in PERTURBATIONS if name != "none"]


def pixels(outcome: Outcome, index: int = 0) -> np.ndarray:
    assert outcome.state == "done", outcome.error
    return np.asarray(outcome.images[index]).astype(int)


def drawn(pipe: Any, **asked: Any) -> np.ndarray:
    pipe.set_progress_bar_config(disable=True)
    common = {"prompt": "a cat", "width": 64, "height": 64, "generator": torch.Generator().manual_seed(5)}
    return np.asarray(pipe(**common, **asked).images[0]).astype(int)


@pytest.mark.parametrize("guidance", [7.0, 0.0])
def test_perturbed_attention_of_a_unet_is_diffusers(generate: Generate, tiny: Any, guidance: float) -> None:
    from diffusers import StableDiffusionPAGPipeline

    pipe = StableDiffusionPAGPipeline.from_pretrained(str(tiny("sd1")), pag_applied_layers="mid")
    expected = drawn(pipe, num_inference_steps=3, guidance_scale=guidance, pag_scale=2.5)
    asked = {"steps": 3, "perturbation": "pag", "perturbation_scale": 2.5, "guidance_scale": guidance}
    assert np.abs(pixels(generate("sd1", **asked)) - expected).max() <= 1


def test_perturbed_attention_of_sd3_is_diffusers(generate: Generate, tiny: Any) -> None:
    from diffusers import StableDiffusion3PAGPipeline

    pipe = StableDiffusion3PAGPipeline.from_pretrained(str(tiny("sd3")), pag_applied_layers=["attn"], **WITHOUT_T5)
    expected = drawn(pipe, num_inference_steps=3, guidance_scale=7.0, pag_scale=2.5)
    asked = {"steps": 3, "perturbation": "pag", "perturbation_scale": 2.5, "guidance_scale": 7.0}
    assert np.abs(pixels(generate("sd3", **asked)) - expected).max() <= 1


def test_skipped_layers_of_sd3_are_diffusers(generate: Generate, tiny: Any) -> None:
    from diffusers import StableDiffusion3Pipeline

    absent = {**WITHOUT_T5, "image_encoder": None, "feature_extractor": None}
    pipe = StableDiffusion3Pipeline.from_pretrained(str(tiny("sd3_deep")), **absent)
    span = {"skip_layer_guidance_start": 0.01, "skip_layer_guidance_stop": 0.7, "skip_layer_guidance_scale": 2.5}
    expected = drawn(pipe, num_inference_steps=4, guidance_scale=7.0, skip_guidance_layers=[1], **span)
    asked = {"perturbation": "slg", "perturbation_scale": 2.5, "perturbation_start": 0.01, "perturbation_end": 0.7}
    found = pixels(generate("sd3_deep", steps=4, guidance_scale=7.0, **asked))
    assert np.abs(found - expected).max() <= 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_module_is_worse_for_a_call_alone(tiny: Any, kind: str) -> None:
    from diffusers import UNet2DConditionModel

    unet = UNet2DConditionModel.from_pretrained(str(tiny("sd1") / "unet"))
    generator = torch.Generator().manual_seed(1)
    call = torch.randn(2, 4, 16, 16, generator=generator), 10, torch.randn(2, 7, 32, generator=generator)
    with torch.no_grad():
        before = unet(*call).sample
        with weakened(unet, kind):
            worse = unet(*call).sample
        assert torch.equal(unet(*call).sample, before)
    assert not torch.equal(worse, before)
    assert all("forward" not in module.__dict__ for module in unet.modules())
    assert not any(module._forward_hooks for module in unet.modules())


def test_energy_is_smoothed_to_a_mean() -> None:
    """With one query for all positions, each gets the same mixture of values."""
    from diffusers.models.attention_processor import Attention

    class Block(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attn1 = Attention(8, heads=2, dim_head=4)

        def forward(self, hidden: torch.Tensor) -> torch.Tensor:
            return self.attn1(hidden)

    whole = torch.nn.Sequential(Block())
    with weakened(whole, "seg"), torch.no_grad():
        answer = whole(torch.randn(1, 9, 8))
    assert torch.allclose(answer, answer[:, :1].expand_as(answer), atol=1e-6)
    with pytest.raises(LookupError), weakened(torch.nn.Linear(2, 2), "seg"):
        pass


@pytest.mark.parametrize("kind", KINDS)
def test_batches_compositions_and_schedules(generate: Generate, kind: str) -> None:
    asked = {"prompt": "a [cat|dog] AND hat :0.5", "steps": 3, "perturbation": kind}
    batch = generate("sd1", **asked, batch_size=2)
    assert (pixels(batch, 1) == pixels(generate("sd1", **asked, seed=6))).all()
    plain = pixels(generate("sd1", prompt=asked["prompt"], steps=3))
    assert (pixels(batch) != plain).any()
    assert (pixels(generate("sd1", **asked, perturbation_scale=0.0)) == plain).all()
    assert (pixels(generate("sd1", **asked, perturbation_start=0.9, perturbation_end=0.95)) == plain).all()
    with Image.open(batch.paths[0]) as image:
        assert f"Perturbation: {kind} 3" in image.info["parameters"]


def test_with_the_other_methods_and_what_is_said_where_it_cannot_be(
    generate: Generate, models_dir: Path, studio: Any
) -> None:
    methods = [pixels(generate("sdxl", perturbation="pag", guidance_method=name)) for name in ("plain", "projected")]
    assert (methods[0] != methods[1]).any()
    families.make("pixart_sigma", models_dir / "diffusers" / "pixart_sigma")
    pixart = {"model": "diffusers/pixart_sigma", "prompt": "a cat"}
    made = [pixels(generate("pixart", **pixart, perturbation=kind)) for kind in ("none", *KINDS)]
    assert len({one.tobytes() for one in made}) == 4
    outcome = generate("flux", perturbation="pag")
    assert any("has its own guidance alone" in words for words in outcome.warnings)


def test_spans() -> None:
    early = Weakening("slg", 2.8, 0.01, 0.2)
    assert [early.counts(step, 20) for step in (0, 1, 3, 4)] == [False, True, True, False]
    assert not Weakening("pag", 0.0).counts(3, 20)
    assert all(Weakening("pag", 1.0).counts(step, 3) for step in range(4))
