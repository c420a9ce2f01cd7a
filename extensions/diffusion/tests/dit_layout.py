"""The published layouts of transformers that denoise: renames a diffusers model's tensors to them, for test files."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

Tensors = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Layout:
    """``renames``: pattern and replacement, each applied in turn. ``fused``: pattern of a first matrix, the names in it
    of those that are one in the file, and their common name there. ``swapped``: ends of published names whose halves
    change places.
    """

    renames: Sequence[tuple[str, str]]
    fused: Sequence[tuple[str, tuple[str, ...], str]] = ()
    swapped: tuple[str, ...] = ()


_Q = ("attn.to_q", "attn.to_k", "attn.to_v")
_ADDED = ("attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj")
_FLUX = Layout(
    (
        (r"^time_text_embed\.timestep_embedder\.linear_1", "time_in.in_layer"),
        (r"^time_text_embed\.timestep_embedder\.linear_2", "time_in.out_layer"),
        (r"^time_text_embed\.text_embedder\.linear_1", "vector_in.in_layer"),
        (r"^time_text_embed\.text_embedder\.linear_2", "vector_in.out_layer"),
        (r"^time_text_embed\.guidance_embedder\.linear_1", "guidance_in.in_layer"),
        (r"^time_text_embed\.guidance_embedder\.linear_2", "guidance_in.out_layer"),
        (r"^context_embedder", "txt_in"),
        (r"^x_embedder", "img_in"),
        (r"^(single_transformer_blocks\.\d+)\.proj_out", r"\1.linear2"),
        (r"^proj_out", "final_layer.linear"),
        (r"^norm_out\.linear", "final_layer.adaLN_modulation.1"),
        (r"^(distilled.+)\.linear_1", r"\1.in_layer"),
        (r"^(distilled.+)\.linear_2", r"\1.out_layer"),
        (r"^(distilled.+norms\.\d+)\.weight", r"\1.scale"),
        (r"^(single_transformer_blocks\.\d+)\.attn\.norm_q\.weight", r"\1.norm.query_norm.scale"),
        (r"^(single_transformer_blocks\.\d+)\.attn\.norm_k\.weight", r"\1.norm.key_norm.scale"),
        (r"^(single_transformer_blocks\.\d+)\.norm\.linear", r"\1.modulation.lin"),
        (r"^single_transformer_blocks", "single_blocks"),
        (r"\.norm1\.linear", ".img_mod.lin"),
        (r"\.norm1_context\.linear", ".txt_mod.lin"),
        (r"\.attn\.norm_q\.weight", ".img_attn.norm.query_norm.scale"),
        (r"\.attn\.norm_k\.weight", ".img_attn.norm.key_norm.scale"),
        (r"\.attn\.norm_added_q\.weight", ".txt_attn.norm.query_norm.scale"),
        (r"\.attn\.norm_added_k\.weight", ".txt_attn.norm.key_norm.scale"),
        (r"\.attn\.to_out\.0", ".img_attn.proj"),
        (r"\.attn\.to_add_out", ".txt_attn.proj"),
        (r"\.ff\.net\.0\.proj", ".img_mlp.0"),
        (r"\.ff\.net\.2", ".img_mlp.2"),
        (r"\.ff_context\.net\.0\.proj", ".txt_mlp.0"),
        (r"\.ff_context\.net\.2", ".txt_mlp.2"),
        (r"^transformer_blocks", "double_blocks"),
    ),
    (
        (r"^single_.+attn\.to_q", (*_Q, "proj_mlp"), "linear1"),
        (r"^transformer_.+attn\.to_q", _Q, "img_attn.qkv"),
        (r"^transformer_.+attn\.add_q_proj", _ADDED, "txt_attn.qkv"),
    ),
    ("final_layer.adaLN_modulation.1.weight", "final_layer.adaLN_modulation.1.bias"),
)
_TIME = (
    (r"^.*timestep_embedder\.linear_1", "t_embedder.mlp.0"),
    (r"^.*timestep_embedder\.linear_2", "t_embedder.mlp.2"),
)
_SD3 = Layout(
    (
        *_TIME,
        (r"^pos_embed\.pos_embed", "pos_embed"),
        (r"^pos_embed\.proj", "x_embedder.proj"),
        (r"^time_text_embed\.text_embedder\.linear_1", "y_embedder.mlp.0"),
        (r"^time_text_embed\.text_embedder\.linear_2", "y_embedder.mlp.2"),
        (r"^proj_out", "final_layer.linear"),
        (r"^norm_out\.linear", "final_layer.adaLN_modulation.1"),
        (r"\.attn\.norm_q", ".x_block.attn.ln_q"),
        (r"\.attn\.norm_k", ".x_block.attn.ln_k"),
        (r"\.attn\.norm_added_q", ".context_block.attn.ln_q"),
        (r"\.attn\.norm_added_k", ".context_block.attn.ln_k"),
        (r"\.attn2\.norm_q", ".x_block.attn2.ln_q"),
        (r"\.attn2\.norm_k", ".x_block.attn2.ln_k"),
        (r"\.attn\.to_out\.0", ".x_block.attn.proj"),
        (r"\.attn2\.to_out\.0", ".x_block.attn2.proj"),
        (r"\.attn\.to_add_out", ".context_block.attn.proj"),
        (r"\.norm1\.linear", ".x_block.adaLN_modulation.1"),
        (r"\.norm1_context\.linear", ".context_block.adaLN_modulation.1"),
        (r"\.ff\.net\.0\.proj", ".x_block.mlp.fc1"),
        (r"\.ff\.net\.2", ".x_block.mlp.fc2"),
        (r"\.ff_context\.net\.0\.proj", ".context_block.mlp.fc1"),
        (r"\.ff_context\.net\.2", ".context_block.mlp.fc2"),
        (r"^transformer_blocks", "joint_blocks"),
    ),
    (
        (r"attn\.to_q", _Q, "x_block.attn.qkv"),
        (r"attn\.add_q_proj", _ADDED, "context_block.attn.qkv"),
        (r"attn2\.to_q", ("attn2.to_q", "attn2.to_k", "attn2.to_v"), "x_block.attn2.qkv"),
    ),
    ("final_layer.adaLN_modulation.1.weight", "final_layer.adaLN_modulation.1.bias"),
)
_PIXART = Layout(
    (
        *_TIME,
        (r"^.*resolution_embedder\.linear_1", "csize_embedder.mlp.0"),
        (r"^.*resolution_embedder\.linear_2", "csize_embedder.mlp.2"),
        (r"^.*aspect_ratio_embedder\.linear_1", "ar_embedder.mlp.0"),
        (r"^.*aspect_ratio_embedder\.linear_2", "ar_embedder.mlp.2"),
        (r"^(adaln_single|time_embed)\.linear", "t_block.1"),
        (r"^(pos_embed|patch_embed)\.proj", "x_embedder.proj"),
        (r"^caption_projection\.linear_(\d)", r"y_embedder.y_proj.fc\1"),
        (r"^caption_norm", "attention_y_norm"),
        (r"^proj_out", "final_layer.linear"),
        (r"^scale_shift_table", "final_layer.scale_shift_table"),
        (r"\.attn1\.to_out\.0", ".attn.proj"),
        (r"\.attn2\.to_out\.0", ".cross_attn.proj"),
        (r"\.attn2\.to_q", ".cross_attn.q_linear"),
        (r"\.ff\.net\.0\.proj", ".mlp.fc1"),
        (r"\.ff\.net\.2", ".mlp.fc2"),
        (r"\.ff\.conv_(inverted|depth|point)", r".mlp.\1_conv.conv"),
        (r"^transformer_blocks", "blocks"),
    ),
    (
        (r"attn1\.to_q", ("attn1.to_q", "attn1.to_k", "attn1.to_v"), "attn.qkv"),
        (r"attn2\.to_k", ("attn2.to_k", "attn2.to_v"), "cross_attn.kv_linear"),
    ),
)
_Z_IMAGE = Layout(
    (
        (r"^all_final_layer\.2-1\.", "final_layer."),
        (r"^all_x_embedder\.2-1\.", "x_embedder."),
        (r"\.attention\.to_out\.0", ".attention.out"),
        (r"\.attention\.norm_(q|k)", r".attention.\1_norm"),
    ),
    ((r"attention\.to_q", ("attention.to_q", "attention.to_k", "attention.to_v"), "attention.qkv"),),
)
_AURAFLOW = Layout(
    (
        (r"^time_step_proj\.linear_1", "t_embedder.mlp.0"),
        (r"^time_step_proj\.linear_2", "t_embedder.mlp.2"),
        (r"^context_embedder", "cond_seq_linear"),
        (r"^proj_out", "final_linear"),
        (r"^norm_out\.linear", "modF.1"),
        (r"^pos_embed\.pos_embed", "positional_encoding"),
        (r"^pos_embed\.proj", "init_x_linear"),
        (r"^(joint.+)\.ff\.", r"\1.mlpX."),
        (r"^(joint.+)\.ff_context\.", r"\1.mlpC."),
        (r"^(single.+)\.ff\.", r"\1.mlp."),
        (r"\.linear_(1|2)\.weight$", r".c_fc\1.weight"),
        (r"\.out_projection", ".c_proj"),
        (r"^(joint.+)\.norm1\.linear", r"\1.modX.1"),
        (r"^(joint.+)\.norm1_context\.linear", r"\1.modC.1"),
        (r"^(single.+)\.norm1\.linear", r"\1.modCX.1"),
        (r"^(joint.+)\.attn\.to_out\.0", r"\1.attn.w2o"),
        (r"^(joint.+)\.attn\.to_(q|k|v)", r"\1.attn.w2\2"),
        (r"^(joint.+)\.attn\.add_(q|k|v)_proj", r"\1.attn.w1\2"),
        (r"^(joint.+)\.attn\.to_add_out", r"\1.attn.w1o"),
        (r"^(single.+)\.attn\.to_out\.0", r"\1.attn.w1o"),
        (r"^(single.+)\.attn\.to_(q|k|v)", r"\1.attn.w1\2"),
        (r"^joint_transformer_blocks", "double_layers"),
        (r"^single_transformer_blocks", "single_layers"),
    ),
    swapped=("modF.1.weight",),
)
_LUMINA2 = Layout(
    (
        (r"^time_caption_embed\.caption_embedder", "cap_embedder"),
        (r"^time_caption_embed\.timestep_embedder\.linear_1", "t_embedder.mlp.0"),
        (r"^time_caption_embed\.timestep_embedder\.linear_2", "t_embedder.mlp.2"),
        (r"^norm_out\.linear_1", "final_layer.adaLN_modulation.1"),
        (r"^norm_out\.linear_2", "final_layer.linear"),
        (r"^((?:layers|noise_refiner)\.\d+)\.norm1\.norm", r"\1.attention_norm1"),
        (r"^((?:layers|noise_refiner)\.\d+)\.norm1\.linear", r"\1.adaLN_modulation.1"),
        (r"^(context_refiner\.\d+)\.norm1", r"\1.attention_norm1"),
        (r"\.norm2\.", ".attention_norm2."),
        (r"\.attn\.to_out\.0", ".attention.out"),
        (r"\.attn\.norm_(q|k)", r".attention.\1_norm"),
        (r"\.feed_forward\.linear_(\d)", r".feed_forward.w\1"),
    ),
    ((r"attn\.to_q", _Q, "attention.qkv"),),
)
_SAME = Layout(())
LAYOUTS: Mapping[str, Layout] = {
    "FluxTransformer2DModel": _FLUX,
    "ChromaTransformer2DModel": _FLUX,
    "SD3Transformer2DModel": _SD3,
    "PixArtTransformer2DModel": _PIXART,
    "SanaTransformer2DModel": _PIXART,
    "ZImageTransformer2DModel": _Z_IMAGE,
    "AuraFlowTransformer2DModel": _AURAFLOW,
    "Lumina2Transformer2DModel": _LUMINA2,
    "QwenImageTransformer2DModel": _SAME,
    "HiDreamImageTransformer2DModel": _SAME,
}


def published(model: Any, prefix: str = "") -> Tensors:
    """The tensors of a diffusers model under the names it was published with."""
    layout = LAYOUTS[type(model).__name__]
    state = {key: value.detach() for key, value in model.state_dict().items()}
    found: Tensors = {}
    for pattern, parts, new in layout.fused:
        for name in [key for key in state if re.search(pattern + r"\.", key)]:
            found[name.replace(parts[0], new)] = torch.cat([state.pop(name.replace(parts[0], part)) for part in parts])
    found = {_renamed(name, layout.renames): value for name, value in {**found, **state}.items()}
    last = f"joint_blocks.{getattr(model.config, 'num_layers', 0) - 1}.context_block.adaLN_modulation.1."
    for name in (*layout.swapped, last + "weight", last + "bias"):  # SD3's last block of text has no feed-forward
        if name in found:
            found[name] = torch.cat(found[name].chunk(2)[::-1])
    if type(model).__name__ == "SanaTransformer2DModel":  # what the library drops
        found |= {"pos_embed": torch.zeros(1, 4, 8), "y_embedder.y_embedding": torch.zeros(4, 8)}
    return {prefix + name: value.contiguous() for name, value in found.items()}


def _renamed(name: str, renames: Sequence[tuple[str, str]]) -> str:
    for pattern, new in renames:
        name = re.sub(pattern, new, name)
    return name
