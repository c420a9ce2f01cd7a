"""IP-Adapters as a job draws with them: as diffusers does, by weight, span, mask and layers, and undone afterwards."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from extensions.diffusion.adapters.image_encoders import config_of
from extensions.diffusion.tests.test_img2img import scene
from webui.testing import Outcome, Studio

Generate = Callable[..., Outcome]
PROJECTION, HIDDEN = 24, 32


def encoder(folder: Path, size: int = 28) -> Path:
    """A tiny CLIP image encoder, as adapters are published beside."""
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    torch.manual_seed(21)
    config = CLIPVisionConfig(
        hidden_size=HIDDEN,
        intermediate_size=37,
        projection_dim=PROJECTION,
        num_hidden_layers=2,
        num_attention_heads=4,
        image_size=size,
        patch_size=14,
    )
    CLIPVisionModelWithProjection(config).eval().save_pretrained(str(folder))
    return folder


def adapter(folder: Path, seed: int, kind: str = "standard") -> dict[str, torch.Tensor]:
    """A random IP-Adapter for the UNet in ``folder``, in the layout that its authors publish."""
    from diffusers import UNet2DConditionModel

    unet = UNet2DConditionModel.from_pretrained(str(folder / "unet"))
    generator = torch.Generator().manual_seed(seed)

    def rand(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator) / shape[-1] ** 0.5

    width = unet.config.cross_attention_dim
    found = {}
    if kind == "standard":
        found = {"proj.weight": rand(4 * width, PROJECTION), "proj.bias": rand(4 * width)}
        found |= {"norm.weight": torch.ones(width), "norm.bias": torch.zeros(width)}
    elif kind == "plus":
        inner, heads = 48, 64
        found = {"latents": rand(1, 3, inner), "proj_in.weight": rand(inner, HIDDEN), "proj_in.bias": rand(inner)}
        found |= {"proj_out.weight": rand(width, inner), "proj_out.bias": rand(width)}
        found |= {"norm_out.weight": torch.ones(width), "norm_out.bias": torch.zeros(width)}
        for layer in range(4):
            at = f"layers.{layer}"
            for norm in ("norm1", "norm2"):
                found |= {f"{at}.0.{norm}.weight": torch.ones(inner), f"{at}.0.{norm}.bias": torch.zeros(inner)}
            found |= {f"{at}.0.to_q.weight": rand(heads, inner), f"{at}.0.to_kv.weight": rand(2 * heads, inner)}
            found |= {f"{at}.0.to_out.weight": rand(inner, heads)}
            found |= {f"{at}.1.0.weight": torch.ones(inner), f"{at}.1.0.bias": torch.zeros(inner)}
            found |= {f"{at}.1.1.weight": rand(4 * inner, inner), f"{at}.1.3.weight": rand(inner, 4 * inner)}
    tensors = {f"image_proj.{name}": tensor for name, tensor in found.items()}
    place = 1
    for name, processor in unet.attn_processors.items():
        if name.endswith("attn2.processor"):
            layer = unet.get_submodule(name.removesuffix(".processor"))
            assert processor is not None
            for side in ("k", "v"):
                tensors[f"ip_adapter.{place}.to_{side}_ip.weight"] = 2 * rand(layer.inner_dim, width)
            place += 2
    return tensors


@pytest.fixture(scope="module")
def adapters(tiny: Any, models_dir: Path) -> Path:
    folder = models_dir / "ipadapter"
    encoder(folder / "image_encoder")
    for name, family, kind in (
        ("plain", "sd1", "standard"),
        ("plus", "sd1", "plus"),
        ("second", "sd1", "standard"),
        ("xl", "sdxl", "standard"),
        ("xl-plus", "sdxl", "plus"),
    ):
        save_file(adapter(tiny(family), len(name), kind), str(folder / f"{name}.safetensors"))
    face = adapter(tiny("sd1"), 3)
    for name in list(face):
        if name.startswith("image_proj."):
            del face[name]
    face |= {"image_proj.proj.0.weight": torch.ones(8, 4), "image_proj.norm.weight": torch.ones(32)}
    save_file(face, str(folder / "faceid.safetensors"))
    return folder


@pytest.fixture
def ask(generate: Generate, adapters: Path, tmp_path: Path) -> Generate:
    """Draw with an IP-Adapter: ``ask("sd1", "plain", weight=0.5)``."""
    picture = str(scene(tmp_path / "prompt.png"))

    def run(family: str, model: str, **changes: Any) -> Outcome:
        others = ("batch", "seed", "image_prompt")
        common = {name: changes.pop(name) for name in list(changes) if name.startswith(others)}
        row = {"model": model, "images": [picture], **changes}
        return generate(family, **{f"image_prompt_1_{name}": value for name, value in row.items()}, **common)

    return run


def pixels(outcome: Outcome, index: int = 0) -> bytes:
    assert outcome.state == "done", outcome.error
    return outcome.images[index].tobytes()


@pytest.mark.parametrize(("family", "name"), [("sd1", "plain"), ("sd1", "plus"), ("sdxl", "xl"), ("sdxl", "xl-plus")])
def test_it_draws_as_diffusers_does(
    ask: Generate, adapters: Path, tiny: Any, tmp_path: Path, family: str, name: str
) -> None:
    from diffusers import DiffusionPipeline

    pipe = DiffusionPipeline.from_pretrained(str(tiny(family)))
    pipe.set_progress_bar_config(disable=True)
    pipe.load_ip_adapter(str(adapters), subfolder="", weight_name=f"{name}.safetensors")
    pipe.set_ip_adapter_scale(0.6)
    expected = pipe(
        prompt="a cat",
        num_inference_steps=2,
        guidance_scale=7.0,
        width=64,
        height=64,
        generator=torch.Generator().manual_seed(5),
        ip_adapter_image=Image.open(scene(tmp_path / "again.png")).convert("RGB"),
    ).images[0]
    found = ask(family, name, weight=0.6)
    assert found.state == "done", found.error
    difference = np.abs(np.asarray(found.images[0]).astype(int) - np.asarray(expected).astype(int))
    assert difference.max() <= 1


def test_weight_span_and_batch(ask: Generate, generate: Generate) -> None:
    plain = pixels(generate("sd1"))
    assert pixels(ask("sd1", "plain", weight=0.0)) == plain
    assert pixels(ask("sd1", "plain", start=1.0)) == plain  # a span that no step is in
    distances = []
    for weight in (0.1, 0.5, 1.0):
        made = np.frombuffer(pixels(ask("sd1", "plain", weight=weight)), np.uint8).astype(int)
        distances.append(np.abs(made - np.frombuffer(plain, np.uint8).astype(int)).sum())
    assert 0 < distances[0] < distances[1] < distances[2]
    first_half = pixels(ask("sd1", "plain", end=0.5))
    assert len({first_half, pixels(ask("sd1", "plain", start=0.5)), pixels(ask("sd1", "plain")), plain}) == 4
    batch = ask("sd1", "plain", batch_size=2)
    assert pixels(batch, 1) == pixels(ask("sd1", "plain", seed=6))
    assert pixels(generate("sd1")) == plain


def test_layers_masks_and_several(ask: Generate, generate: Generate, adapters: Path, tmp_path: Path) -> None:
    everything, plain = pixels(ask("sdxl", "xl")), pixels(generate("sdxl"))
    parts = [pixels(ask("sdxl", "xl", blocks=name)) for name in ("style", "composition", "style and composition")]
    assert len({everything, plain, *parts}) == 5

    Image.new("L", (64, 64)).save(tmp_path / "nowhere.png")
    Image.new("L", (64, 64), 255).save(tmp_path / "everywhere.png")
    assert pixels(ask("sdxl", "xl", mask=str(tmp_path / "nowhere.png"))) == plain
    everywhere = np.asarray(ask("sdxl", "xl", mask=str(tmp_path / "everywhere.png")).images[0]).astype(int)
    assert np.abs(everywhere - np.frombuffer(everything, np.uint8).reshape(everywhere.shape)).max() <= 1
    half = Image.new("L", (64, 64))
    half.paste(255, (0, 0, 32, 64))
    half.save(tmp_path / "half.png")
    assert pixels(ask("sdxl", "xl", mask=str(tmp_path / "half.png"))) not in (plain, everything)

    second = {"image_prompt_2_model": "second", "image_prompt_2_images": [str(scene(tmp_path / "b.png", (40, 60)))]}
    both = pixels(ask("sd1", "plain", **second))
    assert len({both, pixels(ask("sd1", "plain")), pixels(generate("sd1", **second))}) == 3
    two = [str(scene(tmp_path / "a.png")), str(tmp_path / "half.png")]
    assert pixels(ask("sd1", "plus", images=two)) != pixels(ask("sd1", "plus"))


def test_prompts_of_several_conditions_and_other_pipelines(ask: Generate, studio: Studio, tmp_path: Path) -> None:
    from webui.testing import run_pipeline

    asked = {
        "prompt": "a [cat|dog] AND hat :0.5",
        "model": "diffusers/sd1",
        "image": str(scene(tmp_path / "in.png")),
        "steps": 4,
        "seed": 5,
        "image_prompt_1_images": [str(scene(tmp_path / "p.png"))],
    }
    made = {
        pixels(run_pipeline("diffusion.img2img", {**asked, "image_prompt_1_model": name}, tmp_path, studio=studio))
        for name in ("", "plain", "plus")
    }
    assert len(made) == 3


def test_modules_are_afterwards_as_they_were(ask: Generate) -> None:
    from extensions.diffusion.drawing import groups

    def state(unet: Any) -> tuple[Any, ...]:
        return dict(unet.attn_processors), list(unet.state_dict()), unet.encoder_hid_proj, dict(unet.config)

    seen: list[tuple[Any, tuple[Any, ...]]] = []
    before = groups.assemble

    def assemble(*arguments: Any) -> Any:
        pipe = before(*arguments)
        seen.append((pipe.unet, state(pipe.unet)))
        return pipe

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(groups, "assemble", assemble)
        assert ask("sd1", "plus").state == "done"
    ((unet, first),) = seen
    second = state(unet)
    assert first[1:] == second[1:]
    assert unet.config.encoder_hid_dim_type is None
    assert first[0].keys() == second[0].keys()
    assert all(first[0][name] is second[0][name] for name in first[0])


def test_the_picture_tells_them(ask: Generate) -> None:
    outcome = ask("sd1", "plain", weight=0.8)
    with Image.open(outcome.paths[0]) as image:
        assert 'IP-Adapter 0: "Model: plain [' in image.info["parameters"]
        assert "Weight: 0.8" in image.info["parameters"]
        assert '"role": "ip_adapter"' in image.info["lifelike"] or '"role":"ip_adapter"' in image.info["lifelike"]


def test_what_cannot_be_is_said(ask: Generate, generate: Generate, adapters: Path) -> None:
    for family, name, words in (
        ("sd1", "faceid", "non-commercial"),
        ("flux", "plain", "was made for a UNet"),
    ):
        outcome = ask(family, name)
        assert outcome.error is not None
        assert words in outcome.error.message
    nothing = generate("sd1", image_prompt_1_model="plain")
    assert nothing.error is not None
    assert "no picture" in nothing.error.message
    (adapters / "image_encoder" / "config.json").rename(adapters / "config.json.away")
    (adapters / "image_encoder" / "model.safetensors").rename(adapters / "away")
    try:
        lost = ask("sd1", "plain")
        assert lost.error is not None
        assert "models/clip_vision" in lost.error.hint
    finally:
        (adapters / "away").rename(adapters / "image_encoder" / "model.safetensors")
        (adapters / "config.json.away").rename(adapters / "image_encoder" / "config.json")


def test_the_sizes_of_published_encoders_are_told_by_shapes() -> None:
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    for hidden, wide, layers, projection, act in (
        (1280, 5120, 32, 1024, "gelu"),
        (1664, 8192, 48, 1280, "gelu"),
        (1024, 4096, 24, 768, "quick_gelu"),
    ):
        config = CLIPVisionConfig(
            hidden_size=hidden,
            intermediate_size=wide,
            num_hidden_layers=layers,
            num_attention_heads=16,
            projection_dim=projection,
            patch_size=14,
            hidden_act=act,
        )
        with torch.device("meta"):
            shapes = {
                name if name.startswith("v") else f"vision_model.{name}": tuple(row.shape)
                for name, row in CLIPVisionModelWithProjection(config).state_dict().items()
            }
        told = config_of(shapes)
        assert {key: getattr(config, key) for key in told} == told
