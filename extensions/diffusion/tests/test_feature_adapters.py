"""T2I-Adapters as a job draws with them: as diffusers does, in every layout, beside ControlNets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from extensions.diffusion.adapters.features import renamed, shape_of
from extensions.diffusion.tests import tiny_models
from extensions.diffusion.tests.test_controls import controlnet as make_controlnet
from extensions.diffusion.tests.test_img2img import scene
from webui.testing import Outcome, Studio, run_pipeline

Generate = Callable[..., Outcome]
controlnet = make_controlnet


def network(kind: str = "full_adapter", channels: tuple[int, ...] = (16, 32), **changes: Any) -> Any:
    from diffusers import T2IAdapter

    torch.manual_seed(13)
    factor = 16 if kind == "full_adapter_xl" else 8
    return T2IAdapter(
        channels=list(channels), num_res_blocks=2, downscale_factor=changes.pop("factor", factor), adapter_type=kind
    ).eval()


def original(module: Any) -> dict[str, torch.Tensor]:
    """The tensors under the names of the published files."""
    found = {}
    for name, tensor in module.state_dict().items():
        parts = name.removeprefix("adapter.").split(".")
        if module.config.adapter_type == "light_adapter":
            parts = ["body" if part == "resnets" else part for part in parts]
        elif parts[0] == "body" and parts[2] == "resnets":
            parts = ["body", str(int(parts[1]) * 2 + int(parts[3])), *parts[4:]]
        elif parts[0] == "body":
            parts = ["body", str(int(parts[1]) * 2), *parts[2:]]
        found[".".join(parts)] = tensor
    return found


@pytest.fixture(scope="module")
def adapters(tiny: Any, models_dir: Path) -> Path:
    folder = models_dir / "t2i_adapter"
    # The tiny VAE shrinks four times, the real ones eight.
    network(factor=4).save_pretrained(str(folder / "t2i-lines"))
    network(channels=(8, 8), factor=4).save_pretrained(str(folder / "narrow"))
    return folder


def pixels(outcome: Outcome, index: int = 0) -> bytes:
    assert outcome.state == "done", outcome.error
    return outcome.images[index].tobytes()


@pytest.mark.filterwarnings("ignore:The decode_latents method:FutureWarning")
def test_it_draws_as_diffusers_does(generate: Generate, adapters: Path, tiny: Any, tmp_path: Path) -> None:
    from diffusers import StableDiffusionAdapterPipeline, StableDiffusionPipeline, T2IAdapter

    base = StableDiffusionPipeline.from_pretrained(str(tiny("sd1")))
    adapter = T2IAdapter.from_pretrained(str(adapters / "t2i-lines"))
    parts = {name: part for name, part in base.components.items() if name != "image_encoder"}
    pipe = StableDiffusionAdapterPipeline(**parts, adapter=adapter, requires_safety_checker=False)
    pipe.set_progress_bar_config(disable=True)
    picture = scene(tmp_path / "lines.png")
    expected = pipe(
        "a cat",
        Image.open(picture).convert("RGB"),
        height=64,
        width=64,
        num_inference_steps=2,
        guidance_scale=7.0,
        adapter_conditioning_scale=0.8,
        generator=torch.Generator().manual_seed(5),
    ).images[0]
    unit = {"control_1_model": "t2i-lines", "control_1_image": str(picture), "control_1_weight": 0.8}
    found = generate("sd1", **unit)
    assert found.state == "done", found.error
    difference = np.abs(np.asarray(found.images[0]).astype(int) - np.asarray(expected).astype(int))
    assert difference.max() <= 1


@pytest.mark.filterwarnings("ignore:The decode_latents method:FutureWarning")
def test_four_features_of_sdxl_draw_as_diffusers_does(
    generate: Generate, adapters: Path, models_dir: Path, tmp_path: Path
) -> None:
    """Published adapters of SDXL give one feature more than its UNet has blocks: the middle takes it where it fits."""
    from diffusers import StableDiffusionXLAdapterPipeline, StableDiffusionXLPipeline, T2IAdapter

    deep = models_dir / "diffusers" / "sdxl_deep"
    tiny_models.sdxl_deep(deep)
    network("full_adapter_xl", (16, 32, 32, 32)).save_pretrained(str(adapters / "t2i-xl"))
    base = StableDiffusionXLPipeline.from_pretrained(str(deep))
    adapter = T2IAdapter.from_pretrained(str(adapters / "t2i-xl"))
    pipe = StableDiffusionXLAdapterPipeline(**base.components, adapter=adapter)
    pipe.set_progress_bar_config(disable=True)
    picture = scene(tmp_path / "lines.png")
    expected = pipe(
        "a cat",
        image=Image.open(picture).convert("RGB"),
        height=64,
        width=64,
        num_inference_steps=2,
        guidance_scale=7.0,
        adapter_conditioning_scale=0.8,
        generator=torch.Generator().manual_seed(5),
    ).images[0]
    unit = {"control_1_model": "t2i-xl", "control_1_image": str(picture), "control_1_weight": 0.8}
    found = generate("sdxl_deep", **unit)
    assert found.state == "done", found.error
    difference = np.abs(np.asarray(found.images[0]).astype(int) - np.asarray(expected).astype(int))
    assert difference.max() <= 1


def test_weight_span_batch_and_image_to_image(
    generate: Generate, adapters: Path, studio: Studio, tmp_path: Path
) -> None:
    plain = pixels(generate("sd1"))
    unit = {"control_1_model": "t2i-lines", "control_1_image": str(scene(tmp_path / "lines.png"))}
    assert pixels(generate("sd1", **unit, control_1_weight=0.0)) == plain
    assert pixels(generate("sd1", **unit, control_1_start=1.0)) == plain
    held = generate("sd1", **unit, batch_size=2)
    assert pixels(held, 1) == pixels(generate("sd1", **unit, seed=6))
    made = {pixels(generate("sd1", **unit, **more)) for more in ({"control_1_end": 0.5}, {"control_1_weight": 0.4})}
    assert len({plain, pixels(held), *made}) == 4
    asked = {"prompt": "a cat", "model": "diffusers/sd1", "image": str(scene(tmp_path / "in.png")), "steps": 4}
    runs = [
        run_pipeline("diffusion.img2img", {**asked, **more}, tmp_path, studio=studio)
        for more in ({}, {"control_1_model": "t2i-lines"})
    ]
    assert pixels(runs[0]) != pixels(runs[1])
    assert pixels(generate("sd1")) == plain


def test_beside_a_controlnet_and_twice(generate: Generate, adapters: Path, controlnet: Path, tmp_path: Path) -> None:
    picture = str(scene(tmp_path / "lines.png"))
    adapter = {"control_1_model": "t2i-lines", "control_1_image": picture}
    net = {"control_2_model": "lines", "control_2_image": picture}
    made = [pixels(generate("sd1", **units)) for units in (adapter, net, {**adapter, **net})]
    assert len(set(made)) == 3
    half = {"control_1_weight": 0.5, "control_2_weight": 0.5, "control_2_image": picture}
    twice = generate("sd1", **{**adapter, **half, "control_2_model": "t2i-lines"})
    once = np.frombuffer(made[0], np.uint8).reshape(64, 64, 3)
    assert np.abs(np.asarray(twice.images[0]).astype(int) - once).max() <= 1


def test_what_does_not_fit_is_said(generate: Generate, adapters: Path, tmp_path: Path) -> None:
    picture = str(scene(tmp_path / "lines.png"))
    for family, name, words in (
        ("sd1", "narrow", "8 channels at 16 rows"),
        ("flux", "t2i-lines", "takes no T2I-Adapter"),
    ):
        outcome = generate(family, control_1_model=name, control_1_image=picture)
        assert outcome.error is not None
        assert words in outcome.error.message


@pytest.mark.parametrize("kind", ["full_adapter", "full_adapter_xl", "light_adapter"])
def test_published_names_come_back_bit_for_bit(kind: str) -> None:
    channels = (16, 32, 48) if kind == "light_adapter" else (16, 32, 48, 48)
    module = network(kind, channels)
    state, published = module.state_dict(), original(module)
    told = shape_of(published)
    assert told == {name: getattr(module.config, name) for name in told}
    assert shape_of(state) == told
    for tensors in (published, state):
        found = renamed(tensors)
        assert found.keys() == state.keys()
        assert all(torch.equal(found[name], state[name]) for name in state)
