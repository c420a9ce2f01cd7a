"""From the names that training programs give to layers to the modules of a loaded pipeline. A layer of theirs may be
several modules here, which share its rows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch

DENOISERS = ("unet", "transformer")
_PREFIXES = ("lora_unet_", "lora_transformer_", "lycoris_", "unet_", "transformer_", "diffusion_model_", "lora_")
_TEXT_PREFIXES: Mapping[str, tuple[str, ...]] = {
    "text_encoder": ("lora_te_", "lora_te1_", "text_encoder_"),
    "text_encoder_2": ("lora_te2_", "text_encoder_2_"),
    "text_encoder_3": ("lora_te3_", "text_encoder_3_"),
}
_T5_PREFIXES = ("lora_te2_", "lora_te3_")
"""FLUX's second text encoder is T5, which kohya's program numbers as SD3 does."""


@dataclass(frozen=True)
class Place:
    """A module that a layer changes, and which of the layer's rows are its; None: all."""

    component: str
    path: str
    rows: slice | None = None


def places_of(modules: Mapping[str, Any]) -> dict[str, list[Place]]:
    """Every name that a layer may have in a file, with underscores for dots -> its places in ``modules`` (component ->
    module).
    """
    found: dict[str, list[Place]] = {}
    for component, module in modules.items():
        if not isinstance(module, torch.nn.Module):
            continue
        paths = [path for path, one in module.named_modules() if path and hasattr(one, "weight")]
        if component in DENOISERS:
            rows = [(path, [Place(component, path)]) for path in paths]
            rows += list(_published(component, module, set(paths)))
            for name, places in rows:
                for prefix in _PREFIXES:
                    found.setdefault(prefix + name.replace(".", "_"), places)
        elif component in _TEXT_PREFIXES:
            for path in paths:
                _add_text(found, component, path, module)
    return found


def _add_text(found: dict[str, list[Place]], component: str, path: str, module: Any) -> None:
    prefixes = _TEXT_PREFIXES[component]
    if component == "text_encoder_2" and type(module).__name__.startswith("T5"):
        prefixes = (*prefixes, *_T5_PREFIXES)
    inner = path.removeprefix("text_model.")
    for name in (inner, "text_model." + inner):  # the libraries dropped the outer name of CLIP's
        for prefix in prefixes:
            found.setdefault(prefix + name.replace(".", "_"), [Place(component, path)])


def _published(component: str, module: Any, paths: set[str]) -> Iterator[tuple[str, list[Place]]]:
    """The names of a denoiser's layers in the layout that it was published in."""
    name = type(module).__name__
    rows: Iterator[tuple[str, list[str]]] = iter(())
    if name == "UNet2DConditionModel":
        rows = published_unet(module.config, paths)
    elif name in ("FluxTransformer2DModel", "ChromaTransformer2DModel"):
        rows = _by_blocks(paths, _FLUX)
    elif name == "SD3Transformer2DModel":
        rows = _by_blocks(paths, _SD3)
    for published, targets in rows:
        if not all(target in paths for target in targets):
            continue
        weight = module.get_submodule(targets[0]).weight
        if targets[0].endswith("norm1_context.linear") and weight.shape[0] == 2 * weight.shape[1]:
            continue  # of SD3's last block, whose halves stand the other way round here
        if len(targets) == 1:
            yield published, [Place(component, targets[0])]
            continue
        start, places = 0, []
        for target in targets:
            size = int(module.get_submodule(target).weight.shape[0])
            places.append(Place(component, target, slice(start, start + size)))
            start += size
        yield published, places


_RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
_UNET_TOP = {
    "conv_in": "input_blocks.0.0",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
}


def published_unet(config: Any, paths: set[str]) -> Iterator[tuple[str, list[str]]]:
    """(published name, [path]) of a UNet's layers, or of those that a ControlNet has of it. SD 1, SD 2 and SDXL: blocks
    are numbered through there.
    """
    per_down, downs = _numbers(config.layers_per_block, len(config.down_block_types)), config.down_block_types
    blocks = {"mid_block.resnets.0": "middle_block.0", "mid_block.attentions.0": "middle_block.1"}
    blocks["mid_block.resnets.1"] = "middle_block.2"
    place = 1
    for block, layers in enumerate(per_down):
        for layer in range(layers):
            blocks[f"down_blocks.{block}.resnets.{layer}"] = f"input_blocks.{place}.0"
            blocks[f"down_blocks.{block}.attentions.{layer}"] = f"input_blocks.{place}.1"
            place += 1
        blocks[f"down_blocks.{block}.downsamplers.0.conv"] = f"input_blocks.{place}.0.op"
        place += block + 1 < len(downs)
    place = 0
    for block, layers in enumerate(reversed(per_down)):
        ups = getattr(config, "up_block_types", None)
        attends = bool(ups) and "Attn" in ups[block]
        for layer in range(layers + 1):
            blocks[f"up_blocks.{block}.resnets.{layer}"] = f"output_blocks.{place}.0"
            blocks[f"up_blocks.{block}.attentions.{layer}"] = f"output_blocks.{place}.1"
            place += 1
        blocks[f"up_blocks.{block}.upsamplers.0.conv"] = f"output_blocks.{place - 1}.{2 if attends else 1}.conv"
    for path in paths:
        if path in _UNET_TOP:
            yield _UNET_TOP[path], [path]
            continue
        parts = path.split(".")
        for length in (3, 4, 5):
            start = ".".join(parts[:length])
            if start in blocks:
                rest = ".".join(parts[length:])
                yield f"{blocks[start]}.{_RESNET.get(rest, rest)}".rstrip("."), [path]


def _numbers(value: Any, count: int) -> list[int]:
    return list(value) if isinstance(value, list | tuple) else [int(value)] * count


_Rows = tuple[tuple[str, str, tuple[str, ...]], ...]
_FLUX: _Rows = (
    ("transformer_blocks", "double_blocks.{}.img_attn.qkv", ("attn.to_q", "attn.to_k", "attn.to_v")),
    ("transformer_blocks", "double_blocks.{}.txt_attn.qkv", ("attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj")),
    ("transformer_blocks", "double_blocks.{}.img_attn.proj", ("attn.to_out.0",)),
    ("transformer_blocks", "double_blocks.{}.txt_attn.proj", ("attn.to_add_out",)),
    ("transformer_blocks", "double_blocks.{}.img_mlp.0", ("ff.net.0.proj",)),
    ("transformer_blocks", "double_blocks.{}.img_mlp.2", ("ff.net.2",)),
    ("transformer_blocks", "double_blocks.{}.txt_mlp.0", ("ff_context.net.0.proj",)),
    ("transformer_blocks", "double_blocks.{}.txt_mlp.2", ("ff_context.net.2",)),
    ("transformer_blocks", "double_blocks.{}.img_mod.lin", ("norm1.linear",)),
    ("transformer_blocks", "double_blocks.{}.txt_mod.lin", ("norm1_context.linear",)),
    (
        "single_transformer_blocks",
        "single_blocks.{}.linear1",
        ("attn.to_q", "attn.to_k", "attn.to_v", "proj_mlp"),
    ),
    ("single_transformer_blocks", "single_blocks.{}.linear2", ("proj_out",)),
    ("single_transformer_blocks", "single_blocks.{}.modulation.lin", ("norm.linear",)),
    ("", "img_in", ("x_embedder",)),
    ("", "txt_in", ("context_embedder",)),
    ("", "time_in.in_layer", ("time_text_embed.timestep_embedder.linear_1",)),
    ("", "time_in.out_layer", ("time_text_embed.timestep_embedder.linear_2",)),
    ("", "vector_in.in_layer", ("time_text_embed.text_embedder.linear_1",)),
    ("", "vector_in.out_layer", ("time_text_embed.text_embedder.linear_2",)),
    ("", "guidance_in.in_layer", ("time_text_embed.guidance_embedder.linear_1",)),
    ("", "guidance_in.out_layer", ("time_text_embed.guidance_embedder.linear_2",)),
    ("", "final_layer.linear", ("proj_out",)),
)
_SD3: _Rows = (
    ("transformer_blocks", "joint_blocks.{}.x_block.attn.qkv", ("attn.to_q", "attn.to_k", "attn.to_v")),
    ("transformer_blocks", "joint_blocks.{}.x_block.attn.proj", ("attn.to_out.0",)),
    ("transformer_blocks", "joint_blocks.{}.x_block.attn2.qkv", ("attn2.to_q", "attn2.to_k", "attn2.to_v")),
    ("transformer_blocks", "joint_blocks.{}.x_block.attn2.proj", ("attn2.to_out.0",)),
    ("transformer_blocks", "joint_blocks.{}.x_block.mlp.fc1", ("ff.net.0.proj",)),
    ("transformer_blocks", "joint_blocks.{}.x_block.mlp.fc2", ("ff.net.2",)),
    ("transformer_blocks", "joint_blocks.{}.x_block.adaLN_modulation.1", ("norm1.linear",)),
    (
        "transformer_blocks",
        "joint_blocks.{}.context_block.attn.qkv",
        ("attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj"),
    ),
    ("transformer_blocks", "joint_blocks.{}.context_block.attn.proj", ("attn.to_add_out",)),
    ("transformer_blocks", "joint_blocks.{}.context_block.mlp.fc1", ("ff_context.net.0.proj",)),
    ("transformer_blocks", "joint_blocks.{}.context_block.mlp.fc2", ("ff_context.net.2",)),
    ("transformer_blocks", "joint_blocks.{}.context_block.adaLN_modulation.1", ("norm1_context.linear",)),
    ("", "x_embedder.proj", ("pos_embed.proj",)),
    ("", "context_embedder", ("context_embedder",)),
    ("", "t_embedder.mlp.0", ("time_text_embed.timestep_embedder.linear_1",)),
    ("", "t_embedder.mlp.2", ("time_text_embed.timestep_embedder.linear_2",)),
    ("", "y_embedder.mlp.0", ("time_text_embed.text_embedder.linear_1",)),
    ("", "y_embedder.mlp.2", ("time_text_embed.text_embedder.linear_2",)),
    ("", "final_layer.linear", ("proj_out",)),
)


def _by_blocks(paths: set[str], rows: _Rows) -> Iterator[tuple[str, list[str]]]:
    numbers: dict[str, set[str]] = {}
    for path in paths:
        found = re.match(r"(\w+)\.(\d+)\.", path)
        if found:
            numbers.setdefault(found[1], set()).add(found[2])
    for blocks, published, targets in rows:
        if not blocks:
            yield published, list(targets)
        for number in numbers.get(blocks, ()):
            yield published.format(number), [f"{blocks}.{number}.{target}" for target in targets]
