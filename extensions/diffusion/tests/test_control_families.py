"""ControlNets of every family and layout that can be opened: folders, bare files, the published layout, union."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from extensions.diffusion.adapters.layer_names import published_unet
from extensions.diffusion.tests.test_img2img import scene
from webui.testing import Outcome, Studio, run_pipeline

Generate = Callable[..., Outcome]


def awake(network: Any) -> Any:
    """Random in the place of the zeros that a ControlNet begins with."""
    torch.manual_seed(17)
    for parameter in network.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.2)
    return network.eval()


def published(network: Any) -> dict[str, torch.Tensor]:
    """The tensors under the names of lllyasviel's files."""
    state = network.state_dict()
    paths = {name.rpartition(".")[0] for name in state}
    names = {path: name for name, (path,) in published_unet(network.config, paths)}
    blocks = len(network.controlnet_cond_embedding.blocks)
    names |= {f"controlnet_cond_embedding.blocks.{n}": f"input_hint_block.{2 * n + 2}" for n in range(blocks)}
    names |= {
        "controlnet_cond_embedding.conv_in": "input_hint_block.0",
        "controlnet_cond_embedding.conv_out": f"input_hint_block.{2 * blocks + 2}",
        "controlnet_mid_block": "middle_block_out.0",
    }
    names |= {f"controlnet_down_blocks.{n}": f"zero_convs.{n}.0" for n in range(len(network.controlnet_down_blocks))}
    assert set(names) == paths
    return {
        f"control_model.{names[key.rpartition('.')[0]]}.{key.rpartition('.')[2]}": row for key, row in state.items()
    }


@pytest.fixture(scope="module")
def nets(tiny: Any, models_dir: Path) -> Path:
    import diffusers

    place = models_dir / "controlnet"
    hint = {"conditioning_embedding_out_channels": (4, 8, 8)}
    for family in ("sd1", "sdxl"):
        unet = diffusers.UNet2DConditionModel.from_pretrained(str(tiny(family) / "unet"))
        network = awake(diffusers.ControlNetModel.from_unet(unet, **hint))
        network.save_pretrained(str(place / f"{family}-folder"))
        save_file(network.state_dict(), str(place / f"{family}-bare.safetensors"))
        save_file(
            {key: row.clone() for key, row in published(network).items()}, str(place / f"{family}-old.safetensors")
        )
        torch.save(published(network), place / f"{family}-older.pth")
    union = diffusers.ControlNetUnionModel(
        **{
            **_shape(unet, diffusers.ControlNetUnionModel),
            **hint,
            "num_control_type": 6,
            "num_trans_channel": 16,
            "num_proj_channel": 16,
        }
    )
    awake(union).save_pretrained(str(place / "union-folder"))
    save_file(union.state_dict(), str(place / "union-bare.safetensors"))
    flux = diffusers.FluxTransformer2DModel.from_pretrained(str(tiny("flux") / "transformer"))
    for name, modes in (("flux", None), ("flux-union", 7)):
        network = awake(
            diffusers.FluxControlNetModel(**{**_shape(flux, diffusers.FluxControlNetModel), "num_mode": modes})
        )
        network.save_pretrained(str(place / f"{name}-folder"))
        save_file(network.state_dict(), str(place / f"{name}-bare.safetensors"))
    sd3 = diffusers.SD3Transformer2DModel.from_pretrained(str(tiny("sd3") / "transformer"))
    network = awake(diffusers.SD3ControlNetModel(**_shape(sd3, diffusers.SD3ControlNetModel)))
    network.save_pretrained(str(place / "sd3-folder"))
    save_file(network.state_dict(), str(place / "sd3-bare.safetensors"))
    return place


def _shape(denoiser: Any, cls: Any) -> dict[str, Any]:
    known = inspect.signature(cls.__init__).parameters
    return {key: value for key, value in denoiser.config.items() if key in known}


def pixels(outcome: Outcome, index: int = 0) -> bytes:
    assert outcome.state == "done", outcome.error
    return outcome.images[index].tobytes()


@pytest.mark.parametrize(
    ("family", "names", "more"),
    [
        ("sd1", ("sd1-folder", "sd1-bare", "sd1-old", "sd1-older"), {}),
        ("sdxl", ("sdxl-folder", "sdxl-bare", "sdxl-old", "sdxl-older"), {}),
        ("sdxl", ("union-folder", "union-bare"), {"control_1_preprocessor": "canny"}),
        ("sd3_deep", ("sd3-folder", "sd3-bare"), {}),
        ("flux", ("flux-folder", "flux-bare"), {}),
        ("flux", ("flux-union-folder", "flux-union-bare"), {"control_1_kind": "depth"}),
    ],
)
def test_every_layout_draws_the_same(
    generate: Generate, nets: Path, tmp_path: Path, family: str, names: tuple[str, ...], more: dict[str, Any]
) -> None:
    picture = str(scene(tmp_path / "lines.png"))
    plain = pixels(generate(family))

    def held(name: str, **changes: Any) -> bytes:
        return pixels(generate(family, control_1_model=name, control_1_image=picture, **{**more, **changes}))

    first = held(names[0])
    assert first != plain
    assert all(held(name) == first for name in names[1:])
    assert held(names[0], control_1_weight=0.0) == plain
    assert held(names[0], control_1_weight=0.5) not in (plain, first)
    assert pixels(generate(family)) == plain


def test_two_unions_and_their_kinds(generate: Generate, nets: Path, tmp_path: Path) -> None:
    picture = str(scene(tmp_path / "lines.png"))
    one = {"control_1_model": "union-folder", "control_1_image": picture, "control_1_kind": "depth"}
    other = {"control_2_model": "union-bare", "control_2_image": picture, "control_2_preprocessor": "canny"}
    changed = {**one, "control_1_kind": "pose"}
    made = [pixels(generate("sdxl", **units)) for units in (one, other, {**one, **other}, changed)]
    assert len(set(made)) == 4
    untold = generate("sdxl", **{**one, "control_1_kind": "auto"})
    assert untold.error is not None
    assert "must be told" in untold.error.message
    assert "pose, depth" in untold.error.hint
    mixed = generate("sdxl", **one, control_2_model="sdxl-folder", control_2_image=picture)
    assert mixed.error is not None
    assert "cannot be used together" in mixed.error.message


@pytest.mark.parametrize("pipeline", ["img2img", "inpaint"])
@pytest.mark.parametrize(("family", "net"), [("sdxl", "sdxl-old"), ("sdxl", "union-bare"), ("flux", "flux-bare")])
def test_pictures_are_held_too(
    nets: Path, tiny: Any, studio: Studio, tmp_path: Path, pipeline: str, family: str, net: str
) -> None:
    from PIL import Image

    mask = Image.new("L", (64, 64))
    mask.paste(255, (16, 16, 48, 48))
    mask.save(tmp_path / "mask.png")
    tiny(family)
    studio.catalog.refresh()
    asked = {"prompt": "a cat", "model": f"diffusers/{family}", "image": str(scene(tmp_path / "in.png")), "steps": 4}
    if pipeline == "inpaint":
        asked["mask"] = str(tmp_path / "mask.png")
    unit = {"control_1_model": net, "control_1_preprocessor": "canny", "control_1_weight": 2.0}
    runs = [
        run_pipeline(f"diffusion.{pipeline}", {**asked, **more, "seed": 5}, tmp_path, studio=studio)
        for more in ({}, unit)
    ]
    difference = np.asarray(runs[0].images[0]).astype(int) - np.asarray(runs[1].images[0]).astype(int)
    assert np.abs(difference).max() > 0


def test_the_wrong_family_is_said_in_words(generate: Generate, nets: Path, tmp_path: Path) -> None:
    picture = str(scene(tmp_path / "lines.png"))
    for family, net in (("sd1", "sd3-bare"), ("sd3", "sd1-folder"), ("flux", "sd1-old")):
        outcome = generate(family, control_1_model=net, control_1_image=picture)
        assert outcome.error is not None
        message = outcome.error.message
        words = ("was made for", "there is no ControlNet", "does not take", "cannot be")
        assert any(one in message for one in words), message
