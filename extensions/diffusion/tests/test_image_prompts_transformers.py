"""IP-Adapters of FLUX.1 (XLabs' layout) and Stable Diffusion 3 (InstantX's): drawn as diffusers does, by weight and
span, with modules that are afterwards as they were.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from extensions.diffusion.adapters.image_encoders import config_of
from extensions.diffusion.tests.test_image_prompts import PROJECTION, encoder
from extensions.diffusion.tests.test_img2img import scene
from webui.testing import Outcome, Studio, run_pipeline

Generate = Callable[..., Outcome]
WITHOUT_T5 = {"text_encoder_3": None, "tokenizer_3": None, "image_encoder": None, "feature_extractor": None}
SIGLIP_WIDTH = 40


def flux_adapter(seed: int, width: int = 32, inner: int = 32, blocks: int = 1) -> dict[str, torch.Tensor]:
    """A random one for a transformer of that width, under the names of XLabs' files."""
    generator = torch.Generator().manual_seed(seed)

    def rand(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator) / shape[-1] ** 0.5

    start = "ip_adapter_proj_model."
    found = {
        start + "proj.weight": rand(4 * width, PROJECTION),
        start + "proj.bias": rand(4 * width),
        start + "norm.weight": torch.ones(width),
        start + "norm.bias": torch.zeros(width),
    }
    for block in range(blocks):
        for side in "kv":
            name = f"double_blocks.{block}.processor.ip_adapter_double_stream_{side}_proj"
            found |= {f"{name}.weight": 3 * rand(inner, width), f"{name}.bias": rand(inner)}
    return found


def sd3_adapter(transformer: Any) -> dict[str, torch.Tensor]:
    """A random one for ``transformer``, under the names of InstantX's files."""
    from diffusers.models.attention_processor import SD3IPAdapterJointAttnProcessor2_0
    from diffusers.models.embeddings import IPAdapterTimeImageProjection

    torch.manual_seed(31)
    config = transformer.config
    inner, hidden = config.attention_head_dim * config.num_attention_heads, 64
    projection = IPAdapterTimeImageProjection(
        embed_dim=SIGLIP_WIDTH, output_dim=inner, hidden_dim=hidden, heads=1, num_queries=3, timestep_in_dim=16
    )
    renames = (
        (r"\.ln0\b", ".0.norm1"),
        (r"\.ln1\b", ".0.norm2"),
        (r"\.attn\.to_out\.0\b", ".0.to_out"),
        (r"\.attn\.(to_q|to_kv)\b", r".0.\1"),
        (r"\.adaln_norm\b", ".1.0"),
        (r"\.ff\.net\.0\.proj\b", ".1.1"),
        (r"\.ff\.net\.2\b", ".1.3"),
        (r"\.adaln_proj\b", ".2.1"),
    )
    found = {}
    for name, tensor in projection.state_dict().items():
        for old, new in renames:
            name = re.sub(old, new, name)
        found[f"image_proj.{name}"] = tensor.clone()
    for place in range(len(transformer.attn_processors)):
        processor = SD3IPAdapterJointAttnProcessor2_0(inner, inner, config.attention_head_dim, hidden)
        found |= {f"ip_adapter.{place}.{name}": row.clone() for name, row in processor.state_dict().items()}
    return found


def siglip(folder: Path) -> Any:
    from transformers import SiglipVisionConfig, SiglipVisionModel

    torch.manual_seed(22)
    config = SiglipVisionConfig(
        hidden_size=SIGLIP_WIDTH,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        image_size=28,
        patch_size=14,
    )
    model = SiglipVisionModel(config).eval()
    model.save_pretrained(str(folder))
    return model


@pytest.fixture(scope="module")
def adapters(tiny: Any, models_dir: Path) -> Path:
    from diffusers import SD3Transformer2DModel

    folder = models_dir / "ipadapter"
    encoder(folder / "image_encoder")
    save_file(flux_adapter(1), str(folder / "flux-ip.safetensors"))
    save_file(flux_adapter(2), str(folder / "flux-other.safetensors"))
    siglip(folder / "of_sd3" / "image_encoder")
    transformer = SD3Transformer2DModel.from_pretrained(str(tiny("sd3") / "transformer"))
    save_file(sd3_adapter(transformer), str(folder / "of_sd3" / "sd3-ip.safetensors"))
    tiny("flux")
    return folder


@pytest.fixture
def ask(generate: Generate, adapters: Path, tmp_path: Path) -> Generate:
    picture = str(scene(tmp_path / "prompt.png"))

    def run(family: str, model: str, **changes: Any) -> Outcome:
        common = {name: changes.pop(name) for name in list(changes) if name.startswith(("batch", "seed", "image_pr"))}
        row = {"model": model, "images": [picture], **changes}
        common["guidance_scale"] = 7.0
        return generate(family, **{f"image_prompt_1_{name}": value for name, value in row.items()}, **common)

    return run


def pixels(outcome: Outcome, index: int = 0) -> np.ndarray:
    assert outcome.state == "done", outcome.error
    return np.asarray(outcome.images[index]).astype(int)


def drawn(pipe: Any, **asked: Any) -> np.ndarray:
    pipe.set_progress_bar_config(disable=True)
    common = {"prompt": "a cat", "num_inference_steps": 2, "guidance_scale": 7.0, "width": 64, "height": 64}
    return np.asarray(pipe(**common, generator=torch.Generator().manual_seed(5), **asked).images[0]).astype(int)


def test_flux_draws_as_diffusers_does(ask: Generate, adapters: Path, tiny: Any, tmp_path: Path) -> None:
    from diffusers import FluxPipeline

    pipe = FluxPipeline.from_pretrained(str(tiny("flux")))
    pipe.load_ip_adapter(
        str(adapters),
        weight_name="flux-ip.safetensors",
        image_encoder_pretrained_model_name_or_path=str(adapters / "image_encoder"),
    )
    pipe.set_ip_adapter_scale(0.6)
    expected = drawn(pipe, ip_adapter_image=Image.open(scene(tmp_path / "again.png")).convert("RGB"))
    assert np.abs(pixels(ask("flux", "flux-ip", weight=0.6)) - expected).max() <= 1


def test_sd3_draws_as_diffusers_does(ask: Generate, adapters: Path, tiny: Any, tmp_path: Path) -> None:
    from diffusers import StableDiffusion3Pipeline
    from transformers import SiglipImageProcessor, SiglipVisionModel

    pipe = StableDiffusion3Pipeline.from_pretrained(str(tiny("sd3")), **WITHOUT_T5)
    pipe.load_ip_adapter(str(adapters / "of_sd3"), weight_name="sd3-ip.safetensors", image_encoder_folder=None)
    pipe.set_ip_adapter_scale(0.6)
    model = SiglipVisionModel.from_pretrained(str(adapters / "of_sd3" / "image_encoder"))
    picture = Image.open(scene(tmp_path / "again.png")).convert("RGB")
    values = SiglipImageProcessor(size={"height": 28, "width": 28})(images=picture, return_tensors="pt").pixel_values
    with torch.no_grad():
        seen = model(values, output_hidden_states=True).hidden_states[-2]
    expected = drawn(pipe, ip_adapter_image_embeds=torch.cat([torch.zeros_like(seen), seen]))
    assert np.abs(pixels(ask("sd3", "sd3-ip", weight=0.6)) - expected).max() <= 1


@pytest.mark.parametrize(("family", "name"), [("flux", "flux-ip"), ("sd3", "sd3-ip")])
def test_weight_span_and_batch(ask: Generate, generate: Generate, family: str, name: str) -> None:
    plain = pixels(generate(family, guidance_scale=7.0))
    assert (pixels(ask(family, name, weight=0.0)) == plain).all()
    distances = [float(np.abs(pixels(ask(family, name, weight=weight)) - plain).mean()) for weight in (0.1, 1.0)]
    assert 0 < distances[0] < distances[1]
    batch = ask(family, name, batch_size=2)
    assert (pixels(batch, 1) == pixels(ask(family, name, seed=6))).all()
    assert (pixels(ask(family, name, end=0.5)) != pixels(batch)).any()
    assert (pixels(generate(family, guidance_scale=7.0)) == plain).all(), "nothing stays behind"


def test_two_of_flux_a_negative_prompt_and_what_is_said(
    ask: Generate, generate: Generate, studio: Studio, tmp_path: Path
) -> None:
    picture = str(scene(tmp_path / "other.png", mode="L"))
    second = {"image_prompt_2_model": "flux-other", "image_prompt_2_images": [picture]}
    both = ask("flux", "flux-ip", **second)
    assert (pixels(both) != pixels(ask("flux", "flux-ip"))).any()
    where = ask("flux", "flux-ip", blocks="style")
    assert any("sees image prompts everywhere" in words for words in where.warnings)
    for family, name, words in (
        ("sd3", "flux-ip", "was made for FLUX.1"),
        ("flux", "sd3-ip", "was made for Stable Diffusion 3"),
    ):
        outcome = ask(family, name)
        assert outcome.error is not None
        assert words in outcome.error.message
    twice = {"image_prompt_2_model": "sd3-ip", "image_prompt_2_images": [picture]}
    outcome = ask("sd3", "sd3-ip", **twice)
    assert outcome.error is not None
    assert "takes 1 IP-Adapter" in outcome.error.message
    asked = {"prompt": "a cat", "model": "diffusers/flux", "image": picture, "steps": 4, "seed": 5}
    prompt = {"image_prompt_1_model": "flux-ip", "image_prompt_1_images": [picture]}
    runs = [run_pipeline("diffusion.img2img", {**asked, **more}, tmp_path, studio=studio) for more in ({}, prompt)]
    assert (pixels(runs[0]) != pixels(runs[1])).any()


def test_the_size_of_siglip_is_told_by_shapes() -> None:
    from transformers import SiglipVisionConfig, SiglipVisionModel

    with torch.device("meta"):
        model = SiglipVisionModel(
            SiglipVisionConfig(
                hidden_size=1152, intermediate_size=4304, num_hidden_layers=27, num_attention_heads=16, image_size=384,
                patch_size=14,
            )
        )  # fmt: skip
    names = {name if name.startswith("vision_model.") else f"vision_model.{name}": one for name, one in
             model.state_dict().items()}  # fmt: skip
    told = config_of({name: tuple(tensor.shape) for name, tensor in names.items()})
    assert (told["image_size"], told["patch_size"], told["num_hidden_layers"]) == (384, 14, 27)
    assert told["model_type"] == "siglip_vision_model"
