"""Between a denoiser's published names and those of diffusers. What the library converts well is left to it; what it
does not convert, or for one width alone, is here. Nothing is copied: the parts of a matrix stay views of the file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch

Tensors = dict[str, torch.Tensor]
Rows = Iterator[tuple[str, torch.Tensor]]

_ENDS = {"scale": "weight"}
_FLUX_TOP = {
    "time_in.in_layer": "time_text_embed.timestep_embedder.linear_1",
    "time_in.out_layer": "time_text_embed.timestep_embedder.linear_2",
    "vector_in.in_layer": "time_text_embed.text_embedder.linear_1",
    "vector_in.out_layer": "time_text_embed.text_embedder.linear_2",
    "guidance_in.in_layer": "time_text_embed.guidance_embedder.linear_1",
    "guidance_in.out_layer": "time_text_embed.guidance_embedder.linear_2",
    "txt_in": "context_embedder",
    "img_in": "x_embedder",
    "final_layer.linear": "proj_out",
}
_FLUX_DOUBLE = {
    "img_mod.lin": "norm1.linear",
    "txt_mod.lin": "norm1_context.linear",
    "img_attn.norm.query_norm": "attn.norm_q",
    "img_attn.norm.key_norm": "attn.norm_k",
    "txt_attn.norm.query_norm": "attn.norm_added_q",
    "txt_attn.norm.key_norm": "attn.norm_added_k",
    "img_attn.proj": "attn.to_out.0",
    "txt_attn.proj": "attn.to_add_out",
    "img_mlp.0": "ff.net.0.proj",
    "img_mlp.2": "ff.net.2",
    "txt_mlp.0": "ff_context.net.0.proj",
    "txt_mlp.2": "ff_context.net.2",
}
_FLUX_SINGLE = {
    "modulation.lin": "norm.linear",
    "norm.query_norm": "attn.norm_q",
    "norm.key_norm": "attn.norm_k",
    "linear2": "proj_out",
}
_QKV = {
    "img_attn.qkv": ("attn.to_q", "attn.to_k", "attn.to_v"),
    "txt_attn.qkv": ("attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj"),
}
_PIXART = {
    "x_embedder.proj": "pos_embed.proj",
    "t_embedder.mlp.0": "adaln_single.emb.timestep_embedder.linear_1",
    "t_embedder.mlp.2": "adaln_single.emb.timestep_embedder.linear_2",
    "csize_embedder.mlp.0": "adaln_single.emb.resolution_embedder.linear_1",
    "csize_embedder.mlp.2": "adaln_single.emb.resolution_embedder.linear_2",
    "ar_embedder.mlp.0": "adaln_single.emb.aspect_ratio_embedder.linear_1",
    "ar_embedder.mlp.2": "adaln_single.emb.aspect_ratio_embedder.linear_2",
    "t_block.1": "adaln_single.linear",
    "y_embedder.y_proj.fc1": "caption_projection.linear_1",
    "y_embedder.y_proj.fc2": "caption_projection.linear_2",
    "final_layer.linear": "proj_out",
    "final_layer": "",
}
_PIXART_BLOCK = {
    "attn.proj": "attn1.to_out.0",
    "cross_attn.q_linear": "attn2.to_q",
    "cross_attn.proj": "attn2.to_out.0",
    "mlp.fc1": "ff.net.0.proj",
    "mlp.fc2": "ff.net.2",
}
_BLOCK = re.compile(r"(double_blocks|single_blocks|blocks)\.(\d+)\.(.+)\.(weight|bias|scale)")


def convert(cls: Any, tensors: Tensors, config: Mapping[str, Any], names: set[str]) -> Tensors:
    """``tensors`` under the names that ``cls`` has, which are ``names``. What has them already stays as it is."""
    if names <= tensors.keys():
        return {name: tensors[name] for name in names}
    own = _OWN.get(cls.__name__)
    if own is not None:
        return dict(own(tensors))
    from diffusers.loaders.single_file_model import SINGLE_FILE_LOADABLE_CLASSES

    mapping = SINGLE_FILE_LOADABLE_CLASSES[cls.__name__]["checkpoint_mapping_fn"]
    found: Tensors = mapping(checkpoint=dict(tensors), config=dict(config))
    return found


def _flux(tensors: Tensors) -> Rows:
    """FLUX.1 and Chroma, of any width."""
    for name, tensor in tensors.items():
        block = _BLOCK.fullmatch(name)
        if block is None:
            yield from _flux_top(name, tensor)
            continue
        place, number, inner, end = block.groups()
        if place == "single_blocks":
            prefix = f"single_transformer_blocks.{number}."
            if inner == "linear1":
                width = tensors[f"single_blocks.{number}.linear2.weight"].shape[0]
                sizes = [width, width, width, tensor.shape[0] - 3 * width]
                for part, new in zip(
                    tensor.split(sizes), ("attn.to_q", "attn.to_k", "attn.to_v", "proj_mlp"), strict=True
                ):
                    yield f"{prefix}{new}.{end}", part
            else:
                yield f"{prefix}{_FLUX_SINGLE[inner]}.{_ENDS.get(end, end)}", tensor
        elif inner in _QKV:
            for part, new in zip(tensor.chunk(3), _QKV[inner], strict=True):
                yield f"transformer_blocks.{number}.{new}.{end}", part
        else:
            yield f"transformer_blocks.{number}.{_FLUX_DOUBLE[inner]}.{_ENDS.get(end, end)}", tensor


def _flux_top(name: str, tensor: torch.Tensor) -> Rows:
    layer, _, end = name.rpartition(".")
    if layer in _FLUX_TOP:
        yield f"{_FLUX_TOP[layer]}.{end}", tensor
    elif layer == "final_layer.adaLN_modulation.1":  # shift before scale there, after it here
        shift, scale = tensor.chunk(2)
        yield f"norm_out.linear.{end}", torch.cat([scale, shift])
    elif layer.startswith("distilled_guidance_layer."):  # Chroma's
        layer = layer.replace(".in_layer", ".linear_1").replace(".out_layer", ".linear_2")
        yield f"{layer}.{_ENDS.get(end, end)}", tensor


def _pixart(tensors: Tensors) -> Rows:
    """PixArt alpha and sigma."""
    for name, tensor in tensors.items():
        layer, _, end = name.rpartition(".")
        block = _BLOCK.fullmatch(name)
        if layer in _PIXART:
            yield f"{_PIXART[layer]}.{end}".lstrip("."), tensor
        elif end == "scale_shift_table":
            yield f"transformer_{name}", tensor
        elif block is not None:
            prefix, inner = f"transformer_blocks.{block[2]}.", block[3]
            news = {"attn.qkv": ("attn1.to_q", "attn1.to_k", "attn1.to_v"), "cross_attn.kv_linear": _CROSS}.get(inner)
            if news is not None:
                for part, new in zip(tensor.chunk(len(news)), news, strict=True):
                    yield f"{prefix}{new}.{end}", part
            elif inner in _PIXART_BLOCK:
                yield f"{prefix}{_PIXART_BLOCK[inner]}.{end}", tensor


_LUMINA2 = (
    (r"^cap_embedder", "time_caption_embed.caption_embedder"),
    (r"^t_embedder\.mlp\.0", "time_caption_embed.timestep_embedder.linear_1"),
    (r"^t_embedder\.mlp\.2", "time_caption_embed.timestep_embedder.linear_2"),
    (r"^final_layer\.adaLN_modulation\.1", "norm_out.linear_1"),
    (r"^final_layer\.linear", "norm_out.linear_2"),
    (r"^(context_refiner\.\d+)\.attention_norm1", r"\1.norm1"),
    (r"\.attention_norm1", ".norm1.norm"),
    (r"\.attention_norm2", ".norm2"),
    (r"\.adaLN_modulation\.1", ".norm1.linear"),
    (r"\.attention\.out", ".attn.to_out.0"),
    (r"\.attention\.(q|k)_norm", r".attn.norm_\1"),
    (r"\.feed_forward\.w(\d)", r".feed_forward.linear_\1"),
)


def _lumina2(tensors: Tensors) -> Rows:
    """Lumina 2 of any width; its keys and values are fewer than its queries."""
    for name, tensor in tensors.items():
        if name.endswith(".attention.qkv.weight"):
            width = tensors[name.replace("qkv", "out")].shape[0]
            narrow = (tensor.shape[0] - width) // 2
            for part, letter in zip(tensor.split([width, narrow, narrow]), "qkv", strict=True):
                yield name.replace("attention.qkv", f"attn.to_{letter}"), part
        elif name != "norm_final.weight":  # trained and never used
            for pattern, new in _LUMINA2:
                name = re.sub(pattern, new, name)
            yield name, tensor


_CROSS = ("attn2.to_k", "attn2.to_v")
_OWN: Mapping[str, Callable[[Tensors], Rows]] = {
    "FluxTransformer2DModel": _flux,
    "ChromaTransformer2DModel": _flux,
    "PixArtTransformer2DModel": _pixart,
    "Lumina2Transformer2DModel": _lumina2,
}
_OPENCLIP = {
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
    "attn.out_proj": "self_attn.out_proj",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
}
_OPENCLIP_TOP = {
    "token_embedding.weight": "text_model.embeddings.token_embedding.weight",
    "positional_embedding": "text_model.embeddings.position_embedding.weight",
    "ln_final.weight": "text_model.final_layer_norm.weight",
    "ln_final.bias": "text_model.final_layer_norm.bias",
}
_RESBLOCK = re.compile(r"transformer\.resblocks\.(\d+)\.(.+?)[._](weight|bias)")


def convert_openclip(tensors: Tensors, layers: int) -> Tensors:
    """A text encoder under OpenCLIP's names under those of transformers; blocks from ``layers`` on are left out (SD2
    reads the last but one).
    """
    found: Tensors = {}
    for name, tensor in tensors.items():
        block = _RESBLOCK.fullmatch(name)
        if name in _OPENCLIP_TOP:
            found[_OPENCLIP_TOP[name]] = tensor
        elif name == "text_projection":
            found["text_projection.weight"] = tensor.T.contiguous()
        elif block is not None and int(block[1]) < layers:
            prefix = f"text_model.encoder.layers.{block[1]}."
            if block[2] == "attn.in_proj":
                for part, letter in zip(tensor.chunk(3), "qkv", strict=True):
                    found[f"{prefix}self_attn.{letter}_proj.{block[3]}"] = part
            else:
                found[f"{prefix}{_OPENCLIP[block[2]]}.{block[3]}"] = tensor
    return found
