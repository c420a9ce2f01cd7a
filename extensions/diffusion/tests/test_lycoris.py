"""LyCORIS networks: their mathematics against peft and closed forms, their names in each family, and as a job draws
with them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import save_file

from extensions.diffusion.adapters import lycoris
from extensions.diffusion.adapters.deltas import Delta
from extensions.diffusion.adapters.layer_names import places_of
from extensions.diffusion.tests import dit_layout, ldm_layout
from extensions.diffusion.tests.test_loras import loras as make_loras
from extensions.diffusion.tests.test_loras import pixels
from webui.testing import Outcome

Generate = Callable[..., Outcome]
Tensors = dict[str, torch.Tensor]
loras = make_loras
KINDS = ("loha", "lokr", "oft", "boft", "ia3", "ia3_in", "full", "dora", "dora_in", "locon")


def layer(kind: str, out: int, into: int, seed: int, kernel: tuple[int, ...] = ()) -> Tensors:
    """Random tensors of one layer. Sizes must be multiples of 4."""
    generator = torch.Generator().manual_seed(seed)

    def rand(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator) * 0.5

    if kind == "loha":
        if kernel:
            sides = {f"hada_w{n}_a": rand(2, out) for n in "12"} | {f"hada_w{n}_b": rand(2, into) for n in "12"}
            return sides | {f"hada_t{n}": rand(2, 2, *kernel) for n in "12"} | {"alpha": torch.tensor(2.0)}
        sides = {f"hada_w{n}_a": rand(out, 2) for n in "12"} | {f"hada_w{n}_b": rand(2, into) for n in "12"}
        return {**sides, "alpha": torch.tensor(1.0)}
    if kind == "lokr":
        rest = {"lokr_w2": rand(out // 2, into // 4, *kernel)}
        if not kernel:
            rest = {"lokr_w2_a": rand(out // 2, 2), "lokr_w2_b": rand(2, into // 4)}
        return {"lokr_w1": rand(2, 4), **rest, "alpha": torch.tensor(2.0)}
    if kind == "oft":
        return {"oft_blocks": rand(out // 4, 4, 4), "alpha": torch.tensor(0.1)}
    if kind == "boft":
        return {"oft_blocks": rand(2, out // 4, 4, 4), "alpha": torch.tensor(0.0)}
    if kind.startswith("ia3"):
        on_input = kind == "ia3_in"
        return {"weight": rand(into if on_input else out), "on_input": torch.tensor(int(on_input))}
    if kind == "full":
        return {"diff": rand(out, into, *kernel), "diff_b": rand(out)}
    ones = [1] * len(kernel)
    factors = {"lora_down.weight": rand(2, into, *ones), "lora_up.weight": rand(out, 2, *ones)}
    factors["alpha"] = torch.tensor(2.0)
    if kind == "locon":
        return {**factors, "lora_mid.weight": rand(2, 2, *(kernel or (1, 1)))}
    if kernel:
        factors["lora_down.weight"] = rand(2, into, *kernel)
    size = (1, into, *ones) if kind == "dora_in" else (out, 1, *ones)
    return {**factors, "dora_scale": rand(*size).abs() + 1}


@pytest.mark.parametrize("kernel", [(), (3, 3)])
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_changes_matrices_and_kernels(kind: str, kernel: tuple[int, ...]) -> None:
    weight = torch.randn((16, 8, *kernel), generator=torch.Generator().manual_seed(1))
    delta = Delta(layer(kind, 16, 8, 2, kernel)).of_weight(weight)
    assert delta.shape == weight.shape
    assert float(delta.abs().max()) > 0.01


@pytest.mark.parametrize("kind", ["loha", "lokr", "ia3", "full", "dora"])
@given(parts=st.lists(st.integers(1, 4), min_size=1, max_size=3), seed=st.integers(0, 99))
@settings(max_examples=15, deadline=None)
def test_a_layer_that_is_several_here_is_changed_piece_by_piece(kind: str, parts: list[int], seed: int) -> None:
    sizes = [4 * part for part in parts]
    delta = Delta(layer(kind, sum(sizes), 8, seed))
    weight = torch.randn((sum(sizes), 8), generator=torch.Generator().manual_seed(seed))
    whole, start = delta.of_weight(weight), 0
    for size in sizes:
        rows = slice(start, start + size)
        assert torch.allclose(delta.of_weight(weight[rows], rows), whole[rows], atol=1e-5)
        start += size


@pytest.mark.parametrize("kind", ["loha", "lokr"])
def test_it_is_what_peft_computes(kind: str) -> None:
    from peft import LoHaConfig, LoKrConfig, get_peft_model

    model = torch.nn.Sequential(torch.nn.Linear(8, 16, bias=False))
    made = (
        LoHaConfig(r=2, alpha=1, target_modules=["0"])
        if kind == "loha"
        else LoKrConfig(r=2, alpha=2, target_modules=["0"], decompose_factor=2)
    )
    peft = get_peft_model(model, made).base_model.model[0]
    tensors: Tensors = {"alpha": torch.tensor(float(made.alpha))}
    for name, parameters in peft.named_parameters():
        if ".default" in name:
            torch.nn.init.normal_(parameters)
            tensors[name.partition(".")[0]] = parameters.detach()
    expected = peft.get_delta_weight("default")
    assert torch.allclose(Delta(tensors).of_weight(torch.zeros(16, 8)), expected, atol=1e-5)


@pytest.mark.parametrize("kind", ["oft", "boft"])
def test_rotations_keep_lengths_and_angles(kind: str) -> None:
    weight = torch.randn(16, 8, generator=torch.Generator().manual_seed(4))
    turned = weight + Delta(layer(kind, 16, 8, 5)).of_weight(weight)
    assert torch.allclose(turned.T @ turned, weight.T @ weight, atol=1e-4)
    nothing = {"oft_blocks": torch.zeros_like(layer(kind, 16, 8, 5)["oft_blocks"])}
    assert torch.allclose(Delta(nothing).of_weight(weight), torch.zeros(16, 8), atol=1e-6)


def test_decomposed_rows_have_the_lengths_of_the_file() -> None:
    weight = torch.randn(16, 8, generator=torch.Generator().manual_seed(4))
    for kind, axis in (("dora", 1), ("dora_in", 0)):
        tensors = layer(kind, 16, 8, 6)
        made = weight + Delta(tensors).of_weight(weight)
        assert torch.allclose(made.norm(dim=axis), tensors["dora_scale"].flatten(), atol=1e-5)


def network(folder: Path, kind: str, seed: int, published: bool = False) -> Tensors:
    """A file of one kind over the attention of ``folder``'s UNet and its first convolutions, with its biases."""
    from diffusers import UNet2DConditionModel

    unet = UNet2DConditionModel.from_pretrained(str(folder / "unet"))
    tensors = {}
    names = {path: path for path, _ in unet.named_modules()}
    if published:
        marks = {f"{path}.weight": f"{path}.weight" for path, _ in unet.named_modules()}
        renamed = ldm_layout.unet(_Named(unet, marks))
        names = {
            value.removesuffix(".weight"): key.removeprefix("model.diffusion_model.").removesuffix(".weight")
            for key, value in renamed.items()
        }
    for place, (path, module) in enumerate(unet.named_modules()):
        linear = isinstance(module, torch.nn.Linear) and path.endswith(("to_q", "to_v", "to_out.0", "time_emb_proj"))
        conv = isinstance(module, torch.nn.Conv2d) and path.endswith(("conv1", "downsamplers.0.conv"))
        if not (linear or conv):
            continue
        out, into, *kernel = module.weight.shape
        for end, tensor in layer(kind, out, into, seed + place, tuple(kernel)).items():
            if end != "diff_b" or module.bias is not None:
                tensors[f"lora_unet_{names[path].replace('.', '_')}.{end}"] = tensor
    return tensors


class _Named:
    """What ``ldm_layout.unet`` looks at, with names in the place of tensors."""

    def __init__(self, unet: Any, names: dict[str, str]) -> None:
        self.config, self._names = unet.config, names

    def state_dict(self) -> dict[str, str]:
        return self._names


@pytest.fixture(scope="module")
def networks(tiny: Any, models_dir: Path, loras: Path) -> Path:
    folder = models_dir / "lycoris"
    folder.mkdir(exist_ok=True)
    for kind in KINDS:
        save_file(network(tiny("sd1"), kind, 7), str(folder / f"{kind}.safetensors"))
    norms = {"lora_unet_conv_norm_out.w_norm": torch.ones(16), "lora_unet_conv_norm_out.b_norm": torch.ones(16)}
    save_file(norms, str(folder / "norm.safetensors"))
    for name, published in (("xl", False), ("xl-published", True)):
        save_file(network(tiny("sdxl"), "lokr", 7, published), str(folder / f"{name}.safetensors"))
    return folder


@pytest.mark.parametrize("name", [*KINDS, "norm"])
def test_a_job_draws_with_every_kind(generate: Generate, networks: Path, name: str) -> None:
    plain, made = pixels(generate("sd1")), []
    for weight in (0.02, 0.2):
        outcome = generate("sd1", lora_1=name, lora_1_weight=weight)
        made.append(np.frombuffer(pixels(outcome), np.uint8).astype(int) - np.frombuffer(plain, np.uint8))
    assert np.abs(made[0]).sum() < np.abs(made[1]).sum()
    assert np.abs(made[1]).max() > 0
    assert pixels(generate("sd1", lora_1=name, lora_1_weight=0.0)) == plain
    assert pixels(generate("sd1")) == plain


def test_tags_others_and_batches(generate: Generate, networks: Path) -> None:
    row = generate("sd1", lora_1="lokr", lora_1_weight=0.3)
    assert pixels(generate("sd1", prompt="a cat<lora:lokr:0.3>")) == pixels(row)
    assert pixels(generate("sd1", prompt="a cat<lyco:lokr:0.3>")) == pixels(row)
    both = {"lora_1": "lokr", "lora_1_weight": 0.3, "lora_2": "first", "lora_2_weight": 0.3}
    turned = {"lora_1": "first", "lora_1_weight": 0.3, "lora_3": "lokr", "lora_3_weight": 0.3}
    assert pixels(generate("sd1", **both)) == pixels(generate("sd1", **turned))
    assert pixels(generate("sd1", **both)) != pixels(row)
    batch = generate("sd1", lora_1="lokr", lora_1_weight=0.3, batch_size=2)
    assert batch.images[1].tobytes() == pixels(generate("sd1", lora_1="lokr", lora_1_weight=0.3, seed=6))
    with Image.open(row.paths[0]) as image:
        assert "Lora hashes" in image.info["parameters"]


def test_published_names_of_sdxl_mean_the_same(generate: Generate, networks: Path) -> None:
    ours = generate("sdxl", lora_1="xl", lora_1_weight=0.2)
    published = generate("sdxl", lora_1="xl-published", lora_1_weight=0.2)
    assert pixels(ours) == pixels(published)
    assert pixels(ours) != pixels(generate("sdxl"))
    assert not published.warnings


def test_what_does_not_fit_is_named(generate: Generate, networks: Path) -> None:
    outcome = generate("sd1", lora_1="loha", lora_1_weight=0.1, lora_2="xl", lora_2_weight=0.1)
    assert outcome.error is not None
    assert "'xl' does not fit" in outcome.error.message


@pytest.mark.parametrize("family", ["flux", "sd3"])
def test_published_names_of_transformers_reach_every_layer(tiny: Any, family: str) -> None:
    """A full difference under published names, put on, is the model that it was the difference to."""
    import diffusers

    cls = getattr(diffusers, {"flux": "FluxTransformer2DModel", "sd3": "SD3Transformer2DModel"}[family])
    module = cls.from_pretrained(str(tiny(family) / "transformer"))
    target = cls.from_pretrained(str(tiny(family) / "transformer"))
    torch.manual_seed(9)
    with torch.no_grad():
        for parameter in target.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    before, after = (dit_layout.published(one) for one in (module, target))
    tensors, reached = {}, set()
    for name, value in before.items():
        stem, _, end = name.rpartition(".")
        if end in ("weight", "bias") and "norm" not in stem and stem != "final_layer.adaLN_modulation.1":
            kind = "diff" if end == "weight" else "diff_b"
            tensors[f"lora_unet_{stem.replace('.', '_')}.{kind}"] = after[name] - value
    with lycoris.attached({"transformer": module}, [(tensors, {"transformer": 1.0})]) as lost:
        assert lost == [1 if family == "sd3" else 0]  # the last block's halves stand the other way round
        for path, layer_ in module.named_modules():
            if isinstance(layer_, torch.nn.Linear) and "forward" in vars(layer_):
                value = torch.randn(3, layer_.in_features)
                assert torch.allclose(layer_(value), target.get_submodule(path)(value), atol=1e-5)
                reached.add(path)
    linears = {path for path, one in module.named_modules() if isinstance(one, torch.nn.Linear)}
    assert linears - reached <= {"norm_out.linear", *(p for p in linears if p.endswith("norm1_context.linear"))}
    assert not any("forward" in vars(one) for one in module.modules())


def test_text_encoders_are_found_by_number(tiny: Any) -> None:
    from transformers import CLIPTextModel

    encoder = CLIPTextModel.from_pretrained(str(tiny("sdxl") / "text_encoder"))
    places = places_of({"text_encoder": encoder, "text_encoder_2": encoder})
    second = ("lora_te2_", "text_encoder_2")
    for prefix, component in (("lora_te_", "text_encoder"), ("lora_te1_", "text_encoder"), second):
        (place,) = places[prefix + "text_model_encoder_layers_0_self_attn_q_proj"]
        assert place.component == component
        assert place.path.endswith("encoder.layers.0.self_attn.q_proj")
