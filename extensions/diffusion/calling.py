"""What a pipeline can be asked: checks before a run, and the arguments of its call, read from its signature and
configurations.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from webui.api import ModelError

from .loading import Plan
from .params import Txt2Img

_OTHER_TASKS = (
    "Img2Img",
    "Inpaint",
    "ControlNet",
    "Upscale",
    "InstructPix2Pix",
    "Edit",
    "Kontext",
    "Adapter",
    "Depth2Img",
    "ImageVariation",
    "Video",
    "Latte",
    "Animate",
    "Audio",
)


@dataclass
class Call:
    """The arguments that fit a pipeline, and what had to be left out or changed."""

    arguments: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def refuse_other_tasks(plan: Plan) -> None:
    """Raises ModelError for a model that does not make pictures from text alone. Nothing is loaded for it."""
    name = plan.cls.__name__
    known = inspect.signature(plan.cls.__call__).parameters
    needed = [
        key
        for key, row in known.items()
        if row.default is row.empty and row.kind is row.POSITIONAL_OR_KEYWORD and key not in ("self", "prompt")
    ]
    reason = ""
    if any(mark in name for mark in _OTHER_TASKS) or "num_frames" in known or "video_length" in known:
        reason = f"it is a {name}"
    elif "prompt" not in known:
        reason = f"{name} takes no prompt"
    elif needed:
        reason = f"{name} needs {', '.join(needed)} as well"
    elif plan.config("unet").get("in_channels", 4) in (8, 9) and "vae" in plan.sources:
        channels = plan.config("unet")["in_channels"]
        reason = f"its denoiser takes {channels} channels: it was made for " + (
            "inpainting" if channels == 9 else "editing"
        )
    elif plan.sources.get("text_encoder") is None and "text_encoder_2" in plan.sources and "XL" in name:
        reason = "it is a refiner, which finishes another model's picture"
    if reason:
        raise ModelError(f"Model {plan.title!r} does not make pictures from text alone: {reason}.")


def size_multiple(pipe: Any, plan: Plan) -> int:
    """What width and height must be multiples of: the VAE's scale times the denoiser's patch."""
    scale = int(getattr(pipe, "vae_scale_factor", 8) or 8)
    denoiser = plan.config("transformer", "unet")
    patch = denoiser.get("patch_size") or 1
    patch = max(patch) if isinstance(patch, (list, tuple)) else int(patch)
    latent = plan.config("vae").get("latent_channels")
    packed = isinstance(latent, int) and denoiser.get("in_channels") == 4 * latent
    return scale * max(patch, 2 if packed else 1)


def fit_size(width: int, height: int, multiple: int) -> tuple[int, int]:
    """The nearest size that the model can draw."""
    return _nearest(width, multiple), _nearest(height, multiple)


def _nearest(value: int, multiple: int) -> int:
    return max(multiple, (value + multiple // 2) // multiple * multiple)


def make_call(pipe: Any, plan: Plan, params: Txt2Img, width: int, height: int, generators: Sequence[Any]) -> Call:
    """The arguments for ``len(generators)`` pictures of one prompt: only what the pipeline's signature has."""
    known = inspect.signature(type(pipe).__call__).parameters
    call = Call({"prompt": params.prompt})
    wanted: dict[str, Any] = {
        "num_inference_steps": params.steps,
        "width": width,
        "height": height,
        "num_images_per_prompt": len(generators),
        "generator": generators[0] if len(generators) == 1 else list(generators),
        # Binning would draw at another size and stretch the picture.
        "use_resolution_binning": False,
    }
    call.arguments.update({name: value for name, value in wanted.items() if name in known})
    if len(generators) > 1 and "num_images_per_prompt" not in known:
        raise ModelError(f"{plan.cls.__name__} draws one picture at a time.", hint="Set the batch size to 1.")
    _guidance(call, known, plan, params)
    return call


def _guidance(call: Call, known: Mapping[str, Any], plan: Plan, params: Txt2Img) -> None:
    scale = params.guidance_scale
    negative = params.negative_prompt.strip()
    name = plan.cls.__name__
    if "guidance_scale" in known:
        call.arguments["guidance_scale"] = scale
    elif "prior_guidance_scale" in known:
        call.arguments["prior_guidance_scale"] = scale
    elif "true_cfg_scale" not in known:
        call.notes.append(f"{name} has no guidance scale: it was ignored.")
    if "true_cfg_scale" in known and (name.startswith("Qwen") or "guidance_scale" not in known):
        # Its guidance works only against a negative prompt, be it a blank one.
        call.arguments |= {"true_cfg_scale": scale, "negative_prompt": params.negative_prompt or " "}
        call.arguments.pop("guidance_scale", None)
        return
    if "negative_prompt" not in known:
        if negative:
            call.notes.append(f"{name} takes no negative prompt: it was ignored.")
    elif "true_cfg_scale" in known:
        if negative:
            call.notes.append(f"{name} uses no negative prompt at its own guidance: it was ignored.")
    else:
        call.arguments["negative_prompt"] = params.negative_prompt
        if negative and scale is not None and scale <= 1.0:
            call.notes.append("A negative prompt has no effect at a guidance scale of 1 or less.")


def too_long(pipe: Any, text: str) -> int:
    """How many tokens of ``text`` the model's first tokenizer cuts off."""
    tokenizer = getattr(pipe, "tokenizer", None)
    limit = getattr(tokenizer, "model_max_length", None)
    if tokenizer is None or not isinstance(limit, int) or limit > 10_000 or len(text) < limit - 2:
        return 0
    return max(0, len(tokenizer(text, truncation=False, verbose=False)["input_ids"]) - limit)
