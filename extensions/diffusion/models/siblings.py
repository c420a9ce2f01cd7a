"""From a model's own pipeline class to its siblings for other tasks over the same components; nothing is loaded."""

from __future__ import annotations

import inspect
from dataclasses import replace
from typing import Any

from webui.api import ModelError

from .loading import Plan

UNET_HINT = "Models with a UNet and CLIP do: Stable Diffusion 1 and 2, SDXL."
_MARKS = {"img2img": ("Img2Img",), "inpaint": ("Inpaint", "Inpainting")}
_NO_EDITORS = ("Upscale", "Refiner", "Video", "Animate", "Prior", "Layered", "DualGuided", "UniDiffuser")
"""Marks of classes that take a picture and a prompt and make something else of them than one changed picture."""
_OTHER_INPUTS = frozenset({"strength", "num_frames", "noise_level", "mask_image", "controlnet", "adapter"})
"""Arguments of pipelines for other tasks with a picture."""


def sibling(plan: Plan, task: str) -> Any:
    """The class for ``task`` (``img2img`` or ``inpaint``) over the components of the plan's class; None without one.

    diffusers names its classes by one rule: the task stands before ``Pipeline``, or before ``CombinedPipeline``. Its
    own table of them cannot be read without importing every pipeline there is.
    """
    import diffusers

    ending = "CombinedPipeline" if plan.cls.__name__.endswith("CombinedPipeline") else "Pipeline"
    stem = plan.cls.__name__.removesuffix(ending)
    for marks in _MARKS.values():
        for mark in sorted(marks, key=len, reverse=True):
            stem = stem.removesuffix(mark)
    names = (stem + mark + ending for mark in _MARKS[task])
    return next((found for name in names if (found := getattr(diffusers, name, None)) is not None), None)


def takes(cls: Any, *names: str) -> bool:
    """Whether the call of a pipeline class has all these arguments."""
    return set(names) <= inspect.signature(cls.__call__).parameters.keys()


def reads_pictures(cls: Any) -> bool:
    """Whether a pipeline class draws what a picture shows, as others do what a prompt says, and begins with noise."""
    known = inspect.signature(cls.__call__).parameters
    return "image" in known and "strength" not in known and ("noise_level" in known or "prompt" not in known) and (
        "image_encoder" in inspect.signature(cls.__init__).parameters
    )


def edits(cls: Any) -> bool:
    """Whether a pipeline class changes a picture as its prompt says: it takes both, and no strength. Some of these
    (FLUX.2) draw without a picture as well.
    """
    known = {*inspect.signature(cls.__call__).parameters, *inspect.signature(cls.__init__).parameters}
    named = any(mark in cls.__name__ for mark in _NO_EDITORS)
    return {"image", "prompt"} <= known and not named and not known & _OTHER_INPUTS and not reads_pictures(cls)


def needs_unet(plan: Plan, what: str) -> Plan:
    """``plan``, whose denoiser is a UNet. Raises ModelError, which says ``what`` wants one."""
    if "unet" not in plan.sources:
        raise ModelError(
            f"{what} works with a UNet; model {plan.title!r} is a {plan.cls.__name__}.", hint=UNET_HINT
        )
    return plan


def as_class(plan: Plan, cls: Any) -> Plan:
    """``plan`` for another class over the same components. Raises ModelError where the model lacks one of them."""
    known = inspect.signature(cls.__init__).parameters
    sources = {name: row for name, row in plan.sources.items() if name in known}
    options = {name: value for name, value in plan.options.items() if name in known}
    if "requires_safety_checker" in known:
        options["requires_safety_checker"] = False
    missing = [
        name
        for name, row in known.items()
        if row.default is row.empty
        and row.kind is row.POSITIONAL_OR_KEYWORD
        and name not in (*sources, *options, "self", "safety_checker", "feature_extractor", "image_encoder")
    ]
    if missing:
        raise ModelError(f"Model {plan.title!r} lacks {', '.join(missing)}, which {cls.__name__} needs.")
    absent = {
        name: None
        for name in ("safety_checker", "feature_extractor", "image_encoder")
        if name in known and name not in (*sources, *options) and known[name].default is known[name].empty
    }
    return replace(plan, cls=cls, sources=sources, options={**absent, **options})


def extra_channels(plan: Plan) -> int:
    """How many channels the denoiser takes beyond the latents: 0 for a base model, as many again where it was made for
    editing, one more than that for inpainting. 0 too where the layout does not say.
    """
    taken, latent = plan.config("unet").get("in_channels"), plan.config("vae").get("latent_channels")
    if not isinstance(taken, int) or not isinstance(latent, int) or taken < latent:
        return 0
    return taken - latent


def made_for(plan: Plan) -> str:
    """``inpainting``, ``editing`` or empty: what the denoiser's extra channels were made for."""
    extra, latent = extra_channels(plan), plan.config("vae").get("latent_channels")
    return {latent: "editing", (latent or 0) + 1: "inpainting"}.get(extra, "") if extra else ""
