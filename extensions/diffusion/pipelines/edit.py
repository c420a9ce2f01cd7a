"""The pipeline ``diffusion.edit``: changes a picture as an instruction says, with a model made for that."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from extensions.diffusion.drawing.from_pictures import PictureTask, drawn_out, refuse_readers
from extensions.diffusion.drawing.making import DrawingPipeline
from extensions.diffusion.models.guidance import Call
from extensions.diffusion.models.loading import Plan
from extensions.diffusion.models.siblings import as_class, edits, made_for
from extensions.diffusion.params_pictures import Edit
from webui.api import ModelError

_FLUX, _KONTEXT = "FluxPipeline", "FluxKontextPipeline"


class EditTask(PictureTask):
    """InstructPix2Pix (Brooks et al. 2023) on any UNet with twice the latents' channels, and the pipelines that take a
    picture and no strength: FLUX Kontext, Qwen-Image-Edit, FLUX.2 and their like.
    """

    params: Edit

    def planned(self, plan: Plan) -> Plan:
        self.note_native(plan)
        refuse_readers(plan)
        if made_for(plan) == "editing":
            return as_class(plan, _instructed(plan))
        if edits(plan.cls):
            return plan
        if plan.cls.__name__ == _FLUX and "kontext" in Path(plan.title).name.lower():
            # A bare file: its tensors are FLUX.1's, and nothing in it but the name tells what it was trained for.
            return as_class(plan, _named(_KONTEXT))
        raise ModelError(
            f"Model {plan.title!r} is a {plan.cls.__name__}, which was not made for editing by instruction.",
            hint="Use one of InstructPix2Pix, FLUX Kontext, Qwen-Image-Edit, FLUX.2; "
            "Image to image works with any model.",
        )

    def size(self, pipe: Any, plan: Plan, indices: Sequence[int]) -> tuple[int, int]:
        least = _least_px(pipe)
        width, height = super().size(pipe, plan, indices)
        return max(width, least), max(height, least)

    def complete(self, call: Call, pipe: Any, plan: Plan, indices: Sequence[int]) -> None:
        super().complete(call, pipe, plan, indices)
        # Several pictures would be several references to these pipelines.
        picture = drawn_out(self.canvas(indices[0]).picture, (call.width, call.height))
        _check(pipe, plan, picture)
        call.arguments["image"] = picture
        known = inspect.signature(type(pipe).__call__).parameters
        if "image_guidance_scale" in known:
            call.arguments["image_guidance_scale"] = self.params.image_guidance_scale
        if "_auto_resize" in known:  # Kontext would draw at a size of its own
            call.arguments["_auto_resize"] = False
        if "max_area" in known:  # and scale any size to that area
            call.arguments["max_area"] = call.width * call.height

    def infotext(self) -> dict[str, str]:
        return {"Image CFG scale": f"{self.params.image_guidance_scale or 0:g}"}


def _instructed(plan: Plan) -> Any:
    if "InstructPix2Pix" in plan.cls.__name__:
        return plan.cls
    name = "StableDiffusionXLInstructPix2PixPipeline" if "text_encoder_2" in plan.sources else ""
    return _named(name or "StableDiffusionInstructPix2PixPipeline")


def _named(name: str) -> Any:
    import diffusers

    return getattr(diffusers, name)


def _least_px(pipe: Any) -> int:
    """The shortest edge of a picture that the pipeline reads; 1 where it does not say."""
    check = getattr(getattr(pipe, "image_processor", None), "check_image_input", None)
    known = inspect.signature(check).parameters if check is not None else {}
    return int(known["min_side_length"].default) if "min_side_length" in known else 1


def _check(pipe: Any, plan: Plan, picture: Image.Image) -> None:
    """Raises ModelError where the pipeline does not read such a picture, in its own words."""
    check = getattr(getattr(pipe, "image_processor", None), "check_image_input", None)
    if check is None:
        return
    try:
        check(picture)
    except ValueError as error:
        raise ModelError(
            f"Model {plan.title!r} does not take this picture: {error}.", hint="Cut the picture, or ask for a size."
        ) from None


class EditPipeline(DrawingPipeline):
    """Instruction editing."""

    task = EditTask
