"""Control-LoRAs and ControlNet-LLLites: files of their layouts draw what a small computation by hand says, and leave
the model as it was.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import nn

from extensions.diffusion.adapters.control_files import _published
from extensions.diffusion.adapters.layer_names import published_unet
from extensions.diffusion.adapters.lllite import added, folded
from extensions.diffusion.tests.test_img2img import scene
from extensions.diffusion.tests.test_loras import lora
from webui.testing import Outcome, Studio, model_files

Generate = Callable[..., Outcome]
RANK = 2


def pixels(outcome: Outcome, index: int = 0) -> np.ndarray:
    assert outcome.state == "done", outcome.error
    return np.asarray(outcome.images[index]).astype(int)


def _unet(folder: Path) -> Any:
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel.from_pretrained(str(folder / "unet"))


@pytest.fixture(scope="module")
def control_lora(tiny: Any, models_dir: Path) -> Path:
    """The same network twice: as what it differs by from the UNet, and whole, as a folder of diffusers'."""
    from diffusers import ControlNetModel

    unet = _unet(tiny("sd1"))
    torch.manual_seed(17)
    network = ControlNetModel.from_unet(unet, conditioning_embedding_out_channels=(8, 8, 16))
    lent, tensors = dict(unet.named_parameters()), {"lora_controlnet": torch.zeros(0)}
    names = _published(network)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            path, _, end = name.rpartition(".")
            published = names[path]
            if path.startswith("controlnet_"):
                parameter.copy_(torch.randn(parameter.shape) * 0.2)
                tensors[f"{published}.{end}"] = parameter.clone()
            elif end == "weight" and parameter.ndim > 1:
                out, into = parameter.shape[0], parameter[0].numel()
                up, down = torch.randn(out, RANK) * 0.1, torch.randn(RANK, into) * 0.1
                tensors[f"{published}.up"], tensors[f"{published}.down"] = up, down
                parameter.copy_(lent[name] + (up @ down).reshape(parameter.shape))
            else:
                parameter.copy_(lent[name])
    folder = models_dir / "controlnet"
    network.save_pretrained(str(folder / "whole"))
    save_file({name: one.contiguous() for name, one in tensors.items()}, str(folder / "control-lora.safetensors"))
    return folder


def test_a_control_lora_draws_as_the_whole_network(generate: Generate, control_lora: Path, tmp_path: Path) -> None:
    unit = {"control_1_image": str(scene(tmp_path / "lines.png"))}
    plain = pixels(generate("sd1"))
    whole = pixels(generate("sd1", **unit, control_1_model="whole"))
    small = generate("sd1", **unit, control_1_model="control-lora")
    assert (whole != plain).any()
    assert np.abs(pixels(small) - whole).max() <= 1
    batch = generate("sd1", **unit, control_1_model="control-lora", batch_size=2)
    assert (pixels(batch, 1) == pixels(generate("sd1", **unit, control_1_model="control-lora", seed=6))).all()
    assert (pixels(generate("sd1")) == plain).all()


def test_it_borrows_from_the_model_itself_and_not_from_its_loras(
    generate: Generate, control_lora: Path, tiny: Any, models_dir: Path, tmp_path: Path
) -> None:
    (models_dir / "loras").mkdir(exist_ok=True)
    save_file(lora(tiny("sd1"), 5), str(models_dir / "loras" / "beside.safetensors"))
    unit = {"control_1_image": str(scene(tmp_path / "lines.png")), "lora_1": "beside"}
    whole, small = (pixels(generate("sd1", **unit, control_1_model=name)) for name in ("whole", "control-lora"))
    assert np.abs(small - whole).max() <= 1


def test_a_control_lora_of_another_model_is_told(generate: Generate, control_lora: Path, tmp_path: Path) -> None:
    outcome = generate("sdxl", control_1_model="control-lora", control_1_image=str(scene(tmp_path / "lines.png")))
    assert outcome.error is not None
    assert "Control" in outcome.error.message


def lllite(folder: Path, seed: int) -> dict[str, torch.Tensor]:
    """A random one over the self-attention of ``folder``'s UNet, whose VAE shrinks four times."""
    generator = torch.Generator().manual_seed(seed)
    unet, dim = _unet(folder), 6

    def rand(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator) / (shape[1] if len(shape) > 1 else 1) ** 0.5

    published = {targets[0]: name for name, targets in published_unet(unet.config, _paths(unet))}
    tensors = {}
    for path, module in unet.named_modules():
        if not (isinstance(module, nn.Linear) and path.endswith(("attn1.to_q", "attn1.to_v"))):
            continue
        start = "lllite_unet_" + published[path].replace(".", "_")
        # Blocks in the middle of the tiny UNet see half as many rows.
        second = 2 if path.startswith("mid") else 1
        tensors |= {
            f"{start}.conditioning1.0.weight": rand(4, 3, 4, 4),
            f"{start}.conditioning1.0.bias": rand(4),
            f"{start}.conditioning1.2.weight": rand(dim, 4, second, second),
            f"{start}.conditioning1.2.bias": rand(dim),
            f"{start}.down.0.weight": rand(5, module.in_features),
            f"{start}.down.0.bias": rand(5),
            f"{start}.mid.0.weight": rand(5, 5 + dim),
            f"{start}.mid.0.bias": rand(5),
            f"{start}.up.0.weight": rand(module.in_features, 5),
            f"{start}.up.0.bias": rand(module.in_features),
        }
    return tensors


def _paths(unet: Any) -> set[str]:
    return {path for path, one in unet.named_modules() if path and hasattr(one, "weight")}


@pytest.fixture(scope="module")
def lllites(tiny: Any, models_dir: Path) -> Path:
    folder = models_dir / "controlnet"
    folder.mkdir(exist_ok=True)
    save_file(lllite(tiny("sd1"), 3), str(folder / "small.safetensors"))
    return folder


def test_the_formula_is_the_published_module() -> None:
    """As its layers are declared where it was published: folded, joined to what was narrowed, mixed and widened."""
    torch.manual_seed(2)
    fold = nn.Sequential(nn.Conv2d(3, 4, 4, 4), nn.ReLU(), nn.Conv2d(4, 6, 2, 2))
    down, mid, up = nn.Linear(16, 5), nn.Linear(11, 5), nn.Linear(5, 16)
    layer = {f"conditioning1.{name}": row.detach() for name, row in fold.named_parameters()}
    for name, module in (("down", down), ("mid", mid), ("up", up)):
        layer |= {f"{name}.0.{end}": row.detach() for end, row in module.named_parameters()}
    picture, given = torch.rand(1, 3, 32, 32) * 2 - 1, torch.randn(2, 16, 16)
    with torch.no_grad():
        seen = fold(picture).flatten(2).transpose(1, 2)
        mixed = torch.relu(mid(torch.cat([seen.expand(2, -1, -1), torch.relu(down(given))], 2)))
        assert torch.allclose(folded(picture, layer), seen, atol=1e-6)
        assert torch.allclose(added(given, seen, layer), up(mixed), atol=1e-5)


def test_an_lllite_draws_as_its_formula_says(
    generate: Generate, lllites: Path, tiny: Any, models_dir: Path, tmp_path: Path
) -> None:
    from diffusers import StableDiffusionPipeline

    picture = scene(tmp_path / "lines.png")
    pipe = StableDiffusionPipeline.from_pretrained(str(tiny("sd1")))
    pipe.set_progress_bar_config(disable=True)
    tensors = load_file(str(lllites / "small.safetensors"))
    values = torch.from_numpy(np.asarray(Image.open(picture).convert("RGB"), np.float32)).permute(2, 0, 1)[None]
    values = values / 127.5 - 1
    published = {targets[0]: name for name, targets in published_unet(pipe.unet.config, _paths(pipe.unet))}
    for path, module in pipe.unet.named_modules():
        start = "lllite_unet_" + published.get(path, "").replace(".", "_") + "."
        layer = {name.removeprefix(start): row for name, row in tensors.items() if name.startswith(start)}
        if layer:

            def hook(_module: Any, args: Any, layer: Any = layer) -> Any:
                return (args[0] + 0.5 * added(args[0], folded(values, layer), layer),)

            module.register_forward_pre_hook(hook)
    expected = pipe(
        "a cat",
        width=64,
        height=64,
        num_inference_steps=2,
        guidance_scale=7.0,
        generator=torch.Generator().manual_seed(5),
    ).images[0]
    unit = {"control_1_model": "small", "control_1_image": str(picture)}
    found = generate("sd1", **unit, control_1_weight=0.5)
    assert found.warnings == []
    assert np.abs(pixels(found) - np.asarray(expected).astype(int)).max() <= 1
    plain = pixels(generate("sd1"))
    assert (pixels(generate("sd1", **unit, control_1_weight=0.0)) == plain).all()
    assert (pixels(generate("sd1", **unit, control_1_end=0.5)) != pixels(generate("sd1", **unit))).any()
    batch = generate("sd1", **unit, batch_size=2)
    assert (pixels(batch, 1) == pixels(generate("sd1", **unit, seed=6))).all()
    assert (pixels(generate("sd1")) == plain).all()


def test_an_lllite_of_another_model_is_told(generate: Generate, lllites: Path, tmp_path: Path) -> None:
    unit = {"control_1_model": "small", "control_1_image": str(scene(tmp_path / "lines.png"))}
    outcome = generate("flux", **unit)
    assert outcome.error is not None
    assert "takes no ControlNet-LLLite" in outcome.error.message
    assert any("of its layers are not in this model" in words for words in generate("sdxl", **unit).warnings)
    large = generate("sd1", **unit, width=128, height=128)
    assert large.state == "done", "conditions grow with the picture"


def test_the_catalog_knows_them(studio: Studio, lllites: Path, control_lora: Path) -> None:
    studio.catalog.refresh()
    found = {model.path.stem for model in model_files(studio).listed("controlnet") if model.path is not None}
    assert {"small", "control-lora"} <= found
