"""From the shapes in a denoiser's file to the values of its configuration: what tells the sizes of one family apart."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

Shapes = Mapping[str, tuple[int, ...]]


def told(class_name: str, shapes: Shapes, config: Mapping[str, Any]) -> dict[str, Any]:
    """Configuration values of a ``class_name`` whose tensors, under their published names, have these shapes, where
    ``config`` is that of its family. Nothing for a class or layout that says nothing.
    """
    rule = _RULES.get(class_name)
    try:
        return rule(shapes, config) if rule is not None else {}
    except (KeyError, IndexError):  # another layout: the configuration stands as it is
        return {}


def _count(shapes: Shapes, prefix: str) -> int:
    """How many blocks are numbered after ``prefix``."""
    return len({name.removeprefix(prefix).partition(".")[0] for name in shapes if name.startswith(prefix)})


def _unet(shapes: Shapes, config: Mapping[str, Any]) -> dict[str, Any]:
    return {"in_channels": shapes["input_blocks.0.0.weight"][1]}


def _chroma(shapes: Shapes, config: Mapping[str, Any]) -> dict[str, Any]:
    head = shapes["double_blocks.0.img_attn.norm.query_norm.scale"][0]
    width, channels = shapes["img_in.weight"]
    return {
        "num_layers": _count(shapes, "double_blocks."),
        "num_single_layers": _count(shapes, "single_blocks."),
        "attention_head_dim": head,
        "num_attention_heads": width // head,
        "in_channels": channels,
        "out_channels": shapes["final_layer.linear.weight"][0],
        "joint_attention_dim": shapes["txt_in.weight"][1],
    }


def _flux(shapes: Shapes, config: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **_chroma(shapes, config),
        "pooled_projection_dim": shapes["vector_in.in_layer.weight"][1],
        "guidance_embeds": "guidance_in.in_layer.weight" in shapes,
    }


def _sd3(shapes: Shapes, config: Mapping[str, Any]) -> dict[str, Any]:
    width, channels, patch = shapes["x_embedder.proj.weight"][:3]
    head = shapes.get("joint_blocks.0.x_block.attn.ln_q.weight", (config["attention_head_dim"],))[0]
    return {
        "num_layers": _count(shapes, "joint_blocks."),
        "attention_head_dim": head,
        "num_attention_heads": width // head,
        "caption_projection_dim": shapes["context_embedder.weight"][0],
        "joint_attention_dim": shapes["context_embedder.weight"][1],
        "pooled_projection_dim": shapes["y_embedder.mlp.0.weight"][1],
        "in_channels": channels,
        "patch_size": patch,
        "out_channels": shapes["final_layer.linear.weight"][0] // patch**2,
        "pos_embed_max_size": math.isqrt(shapes["pos_embed"][1]),
        "qk_norm": "rms_norm" if "joint_blocks.0.x_block.attn.ln_q.weight" in shapes else None,
        "dual_attention_layers": tuple(
            layer
            for layer in range(_count(shapes, "joint_blocks."))
            if f"joint_blocks.{layer}.x_block.attn2.qkv.weight" in shapes
        ),
    }


_RULES: Mapping[str, Callable[[Shapes, Mapping[str, Any]], dict[str, Any]]] = {
    "UNet2DConditionModel": _unet,
    "FluxTransformer2DModel": _flux,
    "ChromaTransformer2DModel": _chroma,
    "SD3Transformer2DModel": _sd3,
}
