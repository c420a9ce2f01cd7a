"""From a weights file's table to what the model is: kind, family, and what it recommends. Looks at names and shapes
alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .bases import CONTEXT_SIZES, controlnet_family, ip_adapter_family, lora_family, t2i_adapter_family
from .headers import Header
from .marks import DENOISERS, PREFIXES, UPSCALER_PREFIXES, UPSCALERS, WHOLES, match

NATIVE_SIZE_PX: Mapping[str, int] = {
    "sd1": 512,
    "sd2": 768,
    "sdxl": 1024,
    "sdxl_refiner": 1024,
    "sd3": 1024,
    "flux": 1024,
}
"""What each family was trained at."""

_UNETS = ("sd1", "sd2", "sdxl", "sdxl_refiner")
_DITS = ("auraflow", "chroma", "flux", "flux2", "hidream", "krea2", "lumina2", "pixart", "qwenimage", "sana", "sd3")
LOADABLE_FAMILIES = frozenset((*_UNETS, *_DITS, "zimage"))
"""Families whose denoiser can be loaded from one file."""

_DECLARED = ("gan", "vqgan")
_UNET = "model.diffusion_model."
_CONV_IN = _UNET + "input_blocks.0.0.weight"
_FLUX_KINDS = {384: "inpaint", 128: "image_to_image"}
"""By what a FLUX denoiser takes beside the 64 channels of packed latents: picture and mask, or control."""
_LORA_MARKS = (
    ".lora_down.weight",
    ".lora_A.weight",
    ".lora.down.weight",
    ".hada_w1_a",
    ".lokr_w1",
    ".lokr_w1_a",
    ".lokr_w2_a",
    ".lora_A.default.weight",
    ".lora_linear_layer.down.weight",
    ".oft_blocks",
    ".oft_diag",
    ".lokr_w2",
    ".dora_scale",
    ".on_input",
    ".w_norm",
    ".diff",
)
_LYCORIS: tuple[tuple[str, str], ...] = (
    (".hada_w1_a", "loha"),
    (".lokr_w1", "lokr"),
    (".lokr_w2", "lokr"),
    (".oft_blocks", "oft"),
    (".oft_diag", "oft"),
    (".dora_scale", "dora"),
    (".on_input", "ia3"),
    (".diff", "full"),
)
_PACKED = (".absmax", ".weight.quant_map", ".weight_scale_2", ".qweight", ".proj_down")
"""Ends of names beside weights of 4 bits: bitsandbytes, NVFP4, GPTQ, Nunchaku."""
_TEXT_ENCODER_MARKS = (
    "text_model.encoder.layers.0.",
    "encoder.block.0.layer.0.SelfAttention.",
    "transformer.resblocks.0.",
)


@dataclass(frozen=True)
class Recognised:
    """What a file is. ``problem`` says why it cannot be used, where it cannot; ``lacks``, what a model of its family
    needs and the file does not hold.
    """

    kind: str
    family: str = ""
    variant: str = ""
    recommended: Mapping[str, Any] = field(default_factory=dict)
    problem: str = ""
    lacks: tuple[str, ...] = ()


def recognise(header: Header) -> Recognised:
    """What the file with this table is; ``unknown`` with a problem where no rule fits."""
    for rule in (
        _declared,
        _whole_unet_checkpoint,
        _lora,
        _controlnet,
        _denoiser,
        _by_marks,
        _vae,
        _embedding,
        _unet,
        _text_encoder,
        _upscaler,
    ):
        found = rule(header)
        if found is not None:
            return found
    return Recognised("unknown", problem="The names of its tensors belong to no kind of model that is known here.")


def _declared(header: Header) -> Recognised | None:
    """A file of this project's own networks says itself what it is."""
    kind = header.metadata.get("lifelike.kind", "")
    return Recognised(kind, header.metadata.get("lifelike.family", "")[:64]) if kind in _DECLARED else None


def recommended_for(family: str, variant: str = "v_prediction") -> dict[str, Any]:
    """Parameter values that suit a family; SD2's models without v-prediction are the smaller ones."""
    size = 512 if family == "sd2" and not variant else NATIVE_SIZE_PX.get(family)
    return {"width": size, "height": size} if size else {}


def _whole_unet_checkpoint(header: Header) -> Recognised | None:
    """SD1, SD2, SDXL in the layout they were published in: ``model.diffusion_model.input_blocks...``."""
    if _CONV_IN not in header.shapes:
        return None
    family = _unet_family(header)
    channels = _dimension(header, _CONV_IN, 1)
    kind = {4: "text_to_image", 9: "inpaint", 8: "image_to_image"}.get(channels, "unknown")
    if family == "sdxl_refiner":
        kind = "image_to_image"
    variant = ""
    if "v_pred" in header.shapes or _says_v_prediction(header):
        variant = "v_prediction_zsnr" if "ztsnr" in header.shapes else "v_prediction"
    problem = _storage_problem(header)
    if channels not in (4, 8, 9):
        problem = f"Its denoiser takes {channels} channels; 4, 8 or 9 are known."
    elif family not in LOADABLE_FAMILIES:
        problem = "The width of its text encoder belongs to no family that is known here."
    return Recognised(kind, family, variant, recommended_for(family, variant), problem, _lacks(header))


def _unet_family(header: Header) -> str:
    """By the text encoders in the file; by the width of the text the denoiser attends to where there are none."""
    if header.has("conditioner.embedders.1."):
        return "sdxl"
    if header.has("conditioner.embedders.0.model."):
        return "sdxl_refiner"
    if header.has("cond_stage_model.model."):
        return "sd2"
    if header.has("cond_stage_model.transformer."):
        return "sd1"
    for key in header.shapes:
        if key.startswith(_UNET) and key.endswith("transformer_blocks.0.attn2.to_k.weight"):
            return CONTEXT_SIZES.get(_dimension(header, key, 1), "")
    return ""


def _lacks(header: Header) -> tuple[str, ...]:
    """What a whole checkpoint has beside its denoiser and this file has not, in words."""
    return tuple(
        words
        for words, prefixes in (
            ("text encoder", ("cond_stage_model.", "conditioner.embedders.", "text_encoders.")),
            ("VAE", ("first_stage_model.", "vae.")),
        )
        if not any(header.has(prefix) for prefix in prefixes)
    )


def _storage_problem(header: Header) -> str:
    unknown = sorted(dtype for dtype in header.dtypes if dtype.startswith("GGML_"))
    if unknown:
        return f"Its weights are quantized as {unknown[0]}, which is not known here; Q2_K to Q8_0 are."
    if any(dtype.startswith(("F4", "F6", "F8_E8")) for dtype in header.dtypes) or any(
        key.endswith(_PACKED) for key in header.shapes
    ):
        return "Its weights are packed for another program's kernels; fp8, fp16, bf16, fp32 or GGUF is needed."
    return ""


def _says_v_prediction(header: Header) -> bool:
    said = header.metadata.get("modelspec.prediction_type", "") or header.metadata.get("prediction_type", "")
    return said.lower().replace("-", "_") in ("v", "v_prediction", "v_pred")


def _denoiser(header: Header) -> Recognised | None:
    """Denoisers that are transformers; their single files rarely hold the text encoders."""
    mark = match(header, DENOISERS, PREFIXES)
    if mark is None:
        return None
    problem = _storage_problem(header)
    if mark.family not in LOADABLE_FAMILIES:
        problem = f"Single files of {mark.family} cannot be loaded; the same model as a diffusers folder can."
    kind, recommended = mark.kind, recommended_for(mark.family)
    if mark.family == "flux":
        channels = next(
            (
                _dimension(header, prefix + "img_in.weight", 1)
                for prefix in PREFIXES
                if prefix + "img_in.weight" in header.shapes
            ),
            0,
        )
        kind = _FLUX_KINDS.get(channels, kind)
        distilled = not any(header.has(prefix + "guidance_in.") for prefix in PREFIXES)
        recommended |= {"guidance_scale": 0.0, "steps": 4} if distilled else {"guidance_scale": 3.5}
    return Recognised(kind, mark.family, recommended=recommended, problem=problem, lacks=_lacks(header))


def _by_marks(header: Header) -> Recognised | None:
    """GANs, adapters and autoencoders that a few names give away."""
    mark = match(header, WHOLES, ("", "state_dict."))
    if mark is None or (mark.kind == "image_encoder" and header.has("text_model.")):
        return None  # a whole CLIP is taken for its text encoder
    family_of = {"t2i_adapter": t2i_adapter_family, "ip_adapter": ip_adapter_family}.get(mark.kind)
    return Recognised(mark.kind, family_of(header) if family_of else mark.family)


def _upscaler(header: Header) -> Recognised | None:
    mark = match(header, UPSCALERS, UPSCALER_PREFIXES)
    return Recognised(mark.kind, mark.family) if mark else None


def _lora(header: Header) -> Recognised | None:
    ends = [key for key in header.shapes if key.endswith(_LORA_MARKS)]
    if not ends:
        return None
    variant = next((name for mark, name in _LYCORIS if any(key.endswith(mark) for key in ends)), "")
    return Recognised("lora", lora_family(header), variant)


def _controlnet(header: Header) -> Recognised | None:
    marks = (
        "control_model.",
        "controlnet_cond_embedding.",
        "lora_controlnet",
        "lllite_unet_",
        "input_hint_block.",
        "controlnet_blocks.",
    )
    if not any(header.has(mark) for mark in marks):
        return None
    return Recognised("controlnet", controlnet_family(header))


def _vae(header: Header) -> Recognised | None:
    for prefix in ("", "first_stage_model.", "vae."):
        if prefix + "decoder.conv_in.weight" in header.shapes and prefix + "decoder.conv_out.weight" in header.shapes:
            channels = _dimension(header, prefix + "decoder.conv_in.weight", 1)
            return Recognised("vae", "" if channels == 4 else {16: "flux"}.get(channels, ""))
    return None


def _embedding(header: Header) -> Recognised | None:
    """Textual inversion: a few vectors of a text encoder's width."""
    if {"clip_l", "clip_g"} <= set(header.shapes):
        return Recognised("embedding", "sdxl")
    if len(header.shapes) > 8:
        return None
    for key, shape in header.shapes.items():
        if (key == "emb_params" or key.startswith("string_to_param") or len(header.shapes) == 1) and len(shape) in (
            1,
            2,
        ):
            family = CONTEXT_SIZES.get(shape[-1], "") if shape[-1] in (768, 1024) else ""
            if key == "emb_params" or key.startswith("string_to_param") or family:
                return Recognised("embedding", family)
    return None


def holds_vectors(header: Header) -> bool:
    """Whether it may be an embedding of some text encoder, where the folder says that it is one."""
    return len(header.shapes) <= 2 and all(len(shape) in (1, 2) for shape in header.shapes.values())


def _unet(header: Header) -> Recognised | None:
    """A denoiser alone, under diffusers' names or the published ones."""
    if "conv_in.weight" in header.shapes and header.has("down_blocks.") and header.has("time_embedding."):
        for key in header.shapes:
            if key.endswith("attn2.to_k.weight"):
                return Recognised("unet", CONTEXT_SIZES.get(_dimension(header, key, 1), ""))
        return Recognised("unet")
    if "input_blocks.0.0.weight" in header.shapes and header.has("time_embed."):
        return Recognised("unet")
    if header.has("transformer_blocks.0.") and "proj_out.weight" in header.shapes:
        return Recognised("unet")
    return None


def _text_encoder(header: Header) -> Recognised | None:
    if any(header.has(prefix + mark) for mark in _TEXT_ENCODER_MARKS for prefix in ("", "model.")):
        return Recognised("text_encoder")
    return None


def _dimension(header: Header, key: str, axis: int) -> int:
    """Size of ``key`` along ``axis``; 0 where the tensor has fewer axes."""
    shape = header.shapes.get(key, ())
    return shape[axis] if len(shape) > axis else 0
