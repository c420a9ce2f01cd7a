"""How strongly a picture follows its prompt, in the words of each pipeline: which argument takes the scale, and what
the model ignores.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from extensions.diffusion.compute import guiding
from extensions.diffusion.params import Drawn

from .loading import Plan

_SCALES = ("guidance_scale", "prior_guidance_scale")
_CONSISTENCY_LIMIT = 2.0
"""Consistency models were distilled with guidance in them; a larger scale burns the picture."""


@dataclass
class Call:
    """The arguments that fit a pipeline, and what had to be left out or changed."""

    arguments: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    width: int = 0
    height: int = 0


def guidance(known: Mapping[str, Any], plan: Plan, params: Drawn) -> Call:
    """The arguments for guidance and negative prompt out of those that the pipeline's call has (``known``)."""
    if _true_scale(known, plan):
        # Its guidance works only against a negative prompt, be it a blank one.
        return Call({"true_cfg_scale": params.guidance_scale, "negative_prompt": params.negative_prompt or " "})
    call = Call()
    scale = next((name for name in _SCALES if name in known), "")
    if scale:
        call.arguments[scale] = params.guidance_scale
    note = _scale_note(scale, known, plan, params.guidance_scale)
    if note:
        call.notes.append(note)
    _negative(call, known, plan, params)
    if params.guidance_rescale:
        if "guidance_rescale" in known:
            call.arguments["guidance_rescale"] = params.guidance_rescale
        elif not guiding.takes(plan.cls.__name__):
            call.notes.append(f"{plan.cls.__name__} has no guidance rescale: it was ignored.")
    return call


def _true_scale(known: Mapping[str, Any], plan: Plan) -> bool:
    """Whether the guidance is called ``true_cfg_scale``: Qwen-Image has a ``guidance_scale`` too, that only its
    distilled variants read.
    """
    return "true_cfg_scale" in known and ("guidance_scale" not in known or plan.cls.__name__.startswith("Qwen"))


def _scale_note(argument: str, known: Mapping[str, Any], plan: Plan, scale: float | None) -> str:
    if not argument:
        return f"{plan.cls.__name__} has no guidance scale: it was ignored."
    if scale is None or scale <= 1.0:
        return ""
    distilled = plan.config("transformer").get("guidance_embeds") is False
    if ("true_cfg_scale" in known and distilled) or plan.options.get("is_distilled"):
        return "This model was distilled without guidance: the guidance scale was ignored."
    consistency = plan.sources.get("scheduler", (None, "", ""))[2] in ("LCMScheduler", "TCDScheduler")
    if consistency and not plan.config("unet").get("time_cond_proj_dim") and scale > _CONSISTENCY_LIMIT:
        return f"Consistency models want a guidance scale of 1 to {_CONSISTENCY_LIMIT:g}; {scale:g} is likely too much."
    return ""


def _negative(call: Call, known: Mapping[str, Any], plan: Plan, params: Drawn) -> None:
    given = bool(params.negative_prompt.strip())
    name = plan.cls.__name__
    if "negative_prompt" not in known:
        if given:
            call.notes.append(f"{name} takes no negative prompt: it was ignored.")
    elif "true_cfg_scale" in known:
        if given:
            call.notes.append(f"{name} uses no negative prompt at its own guidance: it was ignored.")
    elif given:
        # A blank one is left to the pipeline: SDXL's base takes zeros for it, and some tokenizers make nothing of it.
        call.arguments["negative_prompt"] = params.negative_prompt
        if params.guidance_scale is not None and params.guidance_scale <= 1.0:
            call.notes.append("A negative prompt has no effect at a guidance scale of 1 or less.")
