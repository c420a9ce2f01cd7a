"""LoRAs as a job draws with them: weights, tags, several at once, and modules that are afterwards as they were."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from webui.testing import Outcome, Studio

Generate = Callable[..., Outcome]


def lora(folder: Path, seed: int, *, text: bool = False, rank: int = 2, size: float = 1.0) -> dict[str, torch.Tensor]:
    """A random LoRA of diffusers' names over the attention of ``folder``'s UNet, and of its text encoder."""
    from diffusers import UNet2DConditionModel
    from transformers import CLIPTextModel

    generator = torch.Generator().manual_seed(seed)
    parts: list[tuple[str, Any, tuple[str, ...]]] = [
        ("unet", UNet2DConditionModel.from_pretrained(str(folder / "unet")), ("to_q", "to_v", "to_out.0"))
    ]
    if text:
        parts.append(
            ("text_encoder", CLIPTextModel.from_pretrained(str(folder / "text_encoder")), ("q_proj", "v_proj"))
        )
    tensors = {}
    for prefix, module, targets in parts:
        for name, layer in module.named_modules():
            if isinstance(layer, torch.nn.Linear) and name.endswith(targets):
                key = f"{prefix}.{name}"
                tensors[f"{key}.lora_A.weight"] = torch.randn(rank, layer.in_features, generator=generator) * size
                tensors[f"{key}.lora_B.weight"] = torch.randn(layer.out_features, rank, generator=generator) * size
    return tensors


@pytest.fixture(scope="module")
def loras(tiny: Any, models_dir: Path) -> Path:
    """Two LoRAs of SD 1.x (the second of text encoder too), one of them under kohya's names, and one of SDXL."""
    folder = models_dir / "loras"
    folder.mkdir(exist_ok=True)
    sd1, sdxl = tiny("sd1"), tiny("sdxl")
    save_file(lora(sd1, 1), str(folder / "first.safetensors"))
    save_file(lora(sd1, 2, text=True), str(folder / "second.safetensors"))
    save_file(lora(sdxl, 3, rank=4), str(folder / "other.safetensors"))
    kohya = {}
    for key, value in lora(sd1, 1).items():
        name, side = key.removeprefix("unet.").rsplit(".lora_", 1)
        kind = "lora_down" if side.startswith("A") else "lora_up"
        kohya[f"lora_unet_{name.replace('.', '_')}.{kind}.weight"] = value
        kohya[f"lora_unet_{name.replace('.', '_')}.alpha"] = torch.tensor(2.0)
    save_file(kohya, str(folder / "kohya.safetensors"))
    return folder


def pixels(outcome: Outcome) -> bytes:
    assert outcome.state == "done", outcome.error
    return outcome.images[0].tobytes()


def test_weight_0_is_the_base_bit_by_bit_and_nothing_stays_behind(generate: Generate, loras: Path) -> None:
    base = pixels(generate("sd1"))
    assert pixels(generate("sd1", lora_1="first", lora_1_weight=0.0)) == base
    assert pixels(generate("sd1", lora_1="first")) != base
    assert pixels(generate("sd1", lora_1="second", lora_1_weight=0.5)) != base
    assert pixels(generate("sd1")) == base


def test_networks_leave_a_cached_module_as_it_was(generate: Generate, loras: Path, studio: Studio) -> None:
    from extensions.diffusion.drawing import groups

    seen: list[Any] = []
    before = groups.assemble

    def assemble(*arguments: Any) -> Any:
        pipe = before(*arguments)
        seen.append({name: dict(getattr(pipe, name).state_dict(keep_vars=True)) for name in ("unet", "text_encoder")})
        return pipe

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(groups, "assemble", assemble)
        generate("sd1", lora_1="second")
        generate("sd1")
    first, second = seen[-2:]
    for name, state in first.items():
        assert list(state) == list(second[name])
        assert all(torch.equal(state[key], second[name][key]) for key in state)


def test_a_tag_of_the_prompt_is_a_row_of_the_form(generate: Generate, loras: Path) -> None:
    row = pixels(generate("sd1", lora_1="first", lora_1_weight=0.7))
    assert pixels(generate("sd1", prompt="a cat<lora:first:0.7>")) == row
    assert pixels(generate("sd1", prompt="a cat<lora:first:0.3>", lora_2="first", lora_2_weight=0.4)) == row
    parted = generate("sd1", prompt="a cat<lora:second:0:1>")
    assert pixels(parted) != pixels(generate("sd1", prompt="a cat<lora:second:1:0>"))


def test_several_add_up_in_any_order(generate: Generate, loras: Path) -> None:
    both = generate("sd1", lora_1="first", lora_2="second")
    alone = {pixels(generate("sd1", lora_1=name)) for name in ("first", "second")}
    assert pixels(both) not in alone
    assert pixels(generate("sd1", lora_1="first", lora_3="second")) == pixels(both)


def test_kohya_names_mean_the_same(generate: Generate, loras: Path) -> None:
    first, kohya = generate("sd1", lora_1="first"), generate("sd1", lora_1="kohya")
    import numpy as np

    difference = np.abs(np.asarray(first.images[0]).astype(int) - np.asarray(kohya.images[0]).astype(int))
    assert difference.max() <= 1


def test_img2img_draws_with_networks_too(generate: Generate, loras: Path, tmp_path: Path, studio: Studio) -> None:
    from extensions.diffusion.tests.test_img2img import scene
    from webui.testing import run_pipeline

    asked = {
        "image": str(scene(tmp_path / "in.png")),
        "prompt": "a cat",
        "model": "diffusers/sd1",
        "steps": 4,
        "seed": 5,
    }
    base, styled = (
        run_pipeline("diffusion.img2img", {**asked, **more}, tmp_path, studio=studio)
        for more in ({}, {"lora_1": "first"})
    )
    assert pixels(base) != pixels(styled)


def test_the_picture_tells_its_networks(generate: Generate, loras: Path) -> None:
    outcome = generate("sd1", lora_1="first")
    with Image.open(outcome.paths[0]) as image:
        assert "Lora hashes" in image.info["parameters"]
        assert '"ref": "first"' in image.info["lifelike"] or '"ref":"first"' in image.info["lifelike"]


def test_what_does_not_fit_is_refused_and_undone(generate: Generate, loras: Path) -> None:
    base = pixels(generate("sd1"))
    outcome = generate("sd1", lora_1="first", lora_2="other")
    assert outcome.error is not None
    assert "'other' does not fit" in outcome.error.message
    assert pixels(generate("sd1")) == base


def test_a_missing_one_is_an_error_in_a_row_and_a_warning_in_a_tag(generate: Generate, loras: Path) -> None:
    outcome = generate("sd1", lora_1="nowhere")
    assert outcome.error is not None
    assert "nowhere" in outcome.error.message
    tagged = generate("sd1", prompt="a cat<lora:nowhere:1>")
    assert pixels(tagged) == pixels(generate("sd1"))
    assert any("nowhere" in words for words in tagged.warnings)
