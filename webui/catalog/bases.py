"""From the table of an add-on (LoRA, ControlNet, T2I-Adapter, IP-Adapter) to the family of models it works with."""

from __future__ import annotations

from .headers import Header

CONTEXT_SIZES = {768: "sd1", 1024: "sd2", 2048: "sdxl", 1280: "sdxl_refiner"}
"""Width of the text that a UNet attends to -> family."""

_SAID = (
    ("sdxl", "sdxl"),
    ("stable-diffusion-xl", "sdxl"),
    ("sd_v2", "sd2"),
    ("stable-diffusion-v2", "sd2"),
    ("sd_v1", "sd1"),
    ("stable-diffusion-v1", "sd1"),
    ("sd3", "sd3"),
    ("stable-diffusion-3", "sd3"),
    ("flux2", "flux2"),
    ("flux-2", "flux2"),
    ("flux", "flux"),
    ("chroma", "chroma"),
    ("lumina2", "lumina2"),
    ("qwen-image", "qwenimage"),
    ("qwen_image", "qwenimage"),
    ("z-image", "zimage"),
    ("zimage", "zimage"),
)
"""How the metadata of training programs begins -> family."""
_JOINT_WIDTHS = {1536: "sd3", 2432: "sd3", 3072: "qwenimage"}
"""Width of transformers that attend to text and picture at once, and have no blocks of another kind."""
_STREAM_WIDTHS = {3840: "zimage", 2304: "lumina2"}
_DOWN = (".lora_down.weight", ".lora_A.weight", ".lora.down.weight", ".lora_A.default.weight", ".hada_w1_b")
"""Ends of the matrices of an adapter whose second axis is the width of what goes in."""


def lora_family(header: Header) -> str:
    """Of a LoRA in any of the usual layouts; empty where nothing tells."""
    names = header.shapes
    if any("double_blocks" in name or "single_transformer_blocks" in name for name in names):
        return _said(header) or "flux"
    if any("joint_blocks" in name for name in names):
        return "sd3"
    if any(mark in name for mark in ("img_mod", "img_mlp", "txt_mlp") for name in names):
        return "qwenimage"
    if header.has("lora_te2_") or header.has("text_encoder_2.") or header.has("lora_te1_"):
        return "sdxl"
    for name in names:
        width = _width_in(header, name)
        if not width:
            continue
        found = ""
        if "attn2" in name and "to_k" in name:
            found = CONTEXT_SIZES.get(width, "")
        elif "add_k_proj" in name or "add_q_proj" in name:
            found = _JOINT_WIDTHS.get(width, "")
        elif "layers" in name and "attention" in name and not name.startswith(("lora_te", "text_encoder")):
            found = _STREAM_WIDTHS.get(width, "")
        elif name.startswith(("lora_te_", "text_encoder.")) and "q_proj" in name:
            found = {768: "sd1", 1024: "sd2"}.get(width, "") if not header.has("lora_unet_") else ""
        if found:
            return found
    return _said(header)


def _width_in(header: Header, name: str) -> int:
    """How wide the input of the layer is that the matrix ``name`` adapts; 0 for a matrix that does not tell."""
    shape = header.shapes[name]
    if len(shape) < 2:
        return 0
    if name.endswith(_DOWN):
        return shape[1]
    if name.endswith(".lokr_w1"):  # a Kronecker product: the widths of its factors multiply
        layer = name.removesuffix("lokr_w1")
        other = header.shapes.get(layer + "lokr_w2") or header.shapes.get(layer + "lokr_w2_b", ())
        return shape[1] * other[1] if len(other) > 1 else 0
    return 0


def _said(header: Header) -> str:
    for key in ("modelspec.architecture", "ss_base_model_version"):
        text = header.metadata.get(key, "").lower()
        found = next((family for mark, family in _SAID if text.startswith(mark)), "")
        if found:
            return found
    return ""


def controlnet_family(header: Header) -> str:
    """Of a ControlNet; empty where nothing tells."""
    if header.has("transformer_blocks.0.img_mod."):
        return "qwenimage"
    if header.has("double_blocks.0.") or header.has("single_transformer_blocks.0.") or _joint(header) == 3072:
        return "flux"
    if header.has("pos_embed_input.") or _joint(header):
        return "sd3"
    for name, shape in header.shapes.items():
        if name.endswith(("attn2.to_k.weight", "attn2.to_k.down")) and len(shape) > 1:
            return CONTEXT_SIZES.get(shape[1], "")
    if header.has("lllite_unet_"):
        deep = any("_transformer_blocks_1_" in name for name in header.shapes)
        return "sdxl" if deep else ""
    wide = ("add_embedding.linear_1.", "control_model.label_emb.", "label_emb.")
    return "sdxl" if any(header.has(name) for name in wide) else ""


def _joint(header: Header) -> int:
    shape = header.shapes.get("transformer_blocks.0.attn.add_k_proj.weight", ())
    return shape[1] if len(shape) > 1 else 0


def t2i_adapter_family(header: Header) -> str:
    """By how far it folds the picture: 8 times for SD 1 (64 values a channel), 16 for SDXL (256)."""
    for name in ("adapter.conv_in.weight", "conv_in.weight"):
        shape = header.shapes.get(name, ())
        if len(shape) > 1:
            return {64: "sd1", 192: "sd1", 256: "sdxl", 768: "sdxl"}.get(shape[1], "")
    return ""


def ip_adapter_family(header: Header) -> str:
    """By what its layers are for, or the width of the text it stands beside."""
    if header.has("double_blocks.0.processor.") or header.has("redux_up."):
        return "flux"
    if header.has("ip_adapter.0.norm_ip."):
        return "sd3"
    shape = header.shapes.get("ip_adapter.1.to_k_ip.weight", ())
    return CONTEXT_SIZES.get(shape[1], "") if len(shape) > 1 else ""
