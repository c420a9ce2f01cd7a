"""The published layout of SD 1, SD 2 and SDXL checkpoints: renames the tensors of diffusers models, for test files."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

Tensors = dict[str, torch.Tensor]

_RESNET = {
    "norm1": "in_layers.0", "conv1": "in_layers.2", "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0", "conv2": "out_layers.3", "conv_shortcut": "skip_connection",
}  # fmt: skip
_UNET_TOP = {
    "time_embedding.linear_1": "time_embed.0", "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0", "add_embedding.linear_2": "label_emb.0.2",
    "conv_in": "input_blocks.0.0", "conv_norm_out": "out.0", "conv_out": "out.2",
}  # fmt: skip
_VAE_ATTENTION = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}
_OPENCLIP = {
    "layer_norm1": "ln_1", "layer_norm2": "ln_2", "mlp.fc1": "mlp.c_fc", "mlp.fc2": "mlp.c_proj",
    "self_attn.out_proj": "attn.out_proj",
}  # fmt: skip


def unet(model: Any) -> Tensors:
    """``model.diffusion_model.*``"""
    config, prefixes = (
        model.config,
        {"mid_block.resnets.0": "middle_block.0", "mid_block.attentions.0": "middle_block.1"},
    )
    prefixes["mid_block.resnets.1"] = "middle_block.2"
    place = 1
    for block, kind in enumerate(config.down_block_types):
        for layer in range(config.layers_per_block):
            prefixes[f"down_blocks.{block}.resnets.{layer}"] = f"input_blocks.{place}.0"
            if "CrossAttn" in kind:
                prefixes[f"down_blocks.{block}.attentions.{layer}"] = f"input_blocks.{place}.1"
            place += 1
        prefixes[f"down_blocks.{block}.downsamplers.0.conv"] = f"input_blocks.{place}.0.op"
        place += block + 1 < len(config.down_block_types)
    place = 0
    for block, kind in enumerate(config.up_block_types):
        attends = "CrossAttn" in kind
        for layer in range(config.layers_per_block + 1):
            prefixes[f"up_blocks.{block}.resnets.{layer}"] = f"output_blocks.{place}.0"
            if attends:
                prefixes[f"up_blocks.{block}.attentions.{layer}"] = f"output_blocks.{place}.1"
            place += 1
        prefixes[f"up_blocks.{block}.upsamplers.0.conv"] = f"output_blocks.{place - 1}.{2 if attends else 1}.conv"
    return {
        "model.diffusion_model." + _renamed(key, prefixes, _RESNET, _UNET_TOP): value
        for key, value in model.state_dict().items()
    }


def vae(model: Any) -> Tensors:
    """``first_stage_model.*``"""
    prefixes: dict[str, str] = {}
    blocks = len(model.config.block_out_channels)
    for side, layers in (("encoder", model.config.layers_per_block), ("decoder", model.config.layers_per_block + 1)):
        prefixes |= {f"{side}.mid_block.resnets.{n}": f"{side}.mid.block_{n + 1}" for n in (0, 1)}
        prefixes |= {
            f"{side}.mid_block.attentions.0": f"{side}.mid.attn_1",
            f"{side}.conv_norm_out": f"{side}.norm_out",
        }
        for block in range(blocks):
            down = side == "encoder"
            theirs = f"down.{block}" if down else f"up.{blocks - 1 - block}"
            ours = f"{side}.{'down' if down else 'up'}_blocks.{block}"
            prefixes |= {f"{ours}.resnets.{layer}": f"{side}.{theirs}.block.{layer}" for layer in range(layers)}
            mover = "downsample" if down else "upsample"
            prefixes[f"{ours}.{mover}rs.0.conv"] = f"{side}.{theirs}.{mover}.conv"
    found = {}
    for key, value in model.state_dict().items():
        name = _renamed(key, prefixes, {"conv_shortcut": "nin_shortcut"}, {})
        if ".attn_1." in name:
            for ours, theirs in _VAE_ATTENTION.items():
                name = name.replace(f".attn_1.{ours}.", f".attn_1.{theirs}.")
            value = value[:, :, None, None] if value.ndim == 2 else value
        found["first_stage_model." + name] = value
    return found


def clip(model: Any, prefix: str = "cond_stage_model.transformer.text_model.") -> Tensors:
    """The first text encoder, with the position ids that old files hold."""
    found = {prefix + key.removeprefix("text_model."): value for key, value in model.state_dict().items()}
    return {**found, prefix + "embeddings.position_ids": torch.arange(77)[None]}


def openclip(model: Any, prefix: str = "conditioner.embedders.1.model.") -> Tensors:
    """SDXL's second text encoder, SD2's only one: its query, key and value matrices are one."""
    state = {key.removeprefix("text_model."): value for key, value in model.state_dict().items()}
    found = {
        "token_embedding.weight": state["embeddings.token_embedding.weight"],
        "positional_embedding": state["embeddings.position_embedding.weight"],
        "ln_final.weight": state["final_layer_norm.weight"],
        "ln_final.bias": state["final_layer_norm.bias"],
        # SD2 holds one too, which nothing reads.
        "text_projection": state.get("text_projection.weight", torch.zeros(4, 4)).T,
        "logit_scale": torch.ones(()),
    }
    for layer in range(model.config.num_hidden_layers):
        ours, theirs = f"encoder.layers.{layer}.", f"transformer.resblocks.{layer}."
        for kind in ("weight", "bias"):
            parts = [state[f"{ours}self_attn.{name}_proj.{kind}"] for name in "qkv"]
            found[f"{theirs}attn.in_proj_{kind}"] = torch.cat(parts)
            found |= {f"{theirs}{new}.{kind}": state[f"{ours}{old}.{kind}"] for old, new in _OPENCLIP.items()}
    return {prefix + key: value for key, value in found.items()}


def _renamed(key: str, prefixes: Mapping[str, str], inner: Mapping[str, str], top: Mapping[str, str]) -> str:
    for old, new in top.items():
        if key.startswith(old + "."):
            return new + key.removeprefix(old)
    for old, new in prefixes.items():
        if key.startswith(old + "."):
            rest = key.removeprefix(old)
            for name, other in inner.items():
                rest = rest.replace(f".{name}.", f".{other}.") if rest.startswith(f".{name}.") else rest
            return new + rest
    return key


def write_header(path: Path, tensors: Mapping[str, torch.Tensor]) -> None:
    """A sparse file with the table of ``tensors`` (on the meta device, perhaps) in fp16, without its data."""
    table, place = {}, 0
    for name, tensor in tensors.items():
        size = math.prod(tensor.shape) * 2
        table[name] = {"dtype": "F16", "shape": list(tensor.shape), "data_offsets": [place, place + size]}
        place += size
    raw = json.dumps(table).encode()
    with path.open("wb") as stream:
        stream.write(len(raw).to_bytes(8, "little") + raw)
        stream.truncate(8 + len(raw) + place)
