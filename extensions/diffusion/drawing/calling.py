"""What a pipeline can be asked: checks before a run, and the arguments of its call, read from its signature and
configurations.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from extensions.diffusion.models.guidance import Call, guidance
from extensions.diffusion.models.loading import Plan
from extensions.diffusion.models.siblings import made_for
from extensions.diffusion.params import Drawn
from webui.api import ModelError

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
    elif made_for(plan):
        reason = f"its denoiser takes {plan.config('unet')['in_channels']} channels: it was made for {made_for(plan)}"
    elif plan.sources.get("text_encoder") is None and "text_encoder_2" in plan.sources and "XL" in name:
        reason = "it is a refiner, which finishes another model's picture"
    if reason:
        raise ModelError(f"Model {plan.title!r} does not make pictures from text alone: {reason}.")


def make_call(pipe: Any, plan: Plan, params: Drawn, width: int, height: int, count: int) -> Call:
    """The arguments for ``count`` pictures of one prompt: only what the pipeline's signature has."""
    known = inspect.signature(type(pipe).__call__).parameters
    call = Call({"prompt": params.prompt}, width=width, height=height)
    wanted: dict[str, Any] = {
        "num_inference_steps": params.steps,
        "width": width,
        "height": height,
        "num_images_per_prompt": count,
        # Binning would draw at another size and stretch the picture.
        "use_resolution_binning": False,
    }
    call.arguments.update({name: value for name, value in wanted.items() if name in known})
    if count > 1 and "num_images_per_prompt" not in known:
        raise ModelError(f"{plan.cls.__name__} draws one picture at a time.", hint="Set the batch size to 1.")
    stages = known.get("prior_num_inference_steps")
    if stages is not None and params.steps is not None:
        # An earlier stage has its own count, and a larger default: who asks for fewer steps means all of them.
        call.arguments["prior_num_inference_steps"] = min(int(stages.default), params.steps)
    guided = guidance(known, plan, params)
    call.arguments.update(guided.arguments)
    call.notes.extend(guided.notes)
    return call


def unread(call: Call, known: Mapping[str, Any], params: Drawn) -> list[str]:
    """Take the prompt out of a call that has none (``known``: its arguments); what is to be said of that."""
    if "prompt" in known:
        return []
    call.arguments.pop("prompt", None)
    return ["This model reads the picture alone: the prompt was ignored."] if params.prompt.strip() else []


def too_long(pipe: Any, text: str) -> int:
    """How many tokens of ``text`` the model's first tokenizer cuts off."""
    tokenizer = getattr(pipe, "tokenizer", None)
    limit = getattr(tokenizer, "model_max_length", None)
    if tokenizer is None or not isinstance(limit, int) or limit > 10_000 or len(text) < limit - 2:
        return 0
    return max(0, len(tokenizer(text, truncation=False, verbose=False)["input_ids"]) - limit)
