"""The pipeline ``diffusion.edit``: changes a picture as an instruction says, with a model made for that."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

from extensions.diffusion.drawing.from_pictures import PictureTask, drawn_out, refuse_readers
from extensions.diffusion.drawing.making import DrawingPipeline
from extensions.diffusion.models.guidance import Call
from extensions.diffusion.models.loading import Plan
from extensions.diffusion.models.siblings import as_class, made_for, takes
from extensions.diffusion.params_pictures import Edit
from webui.api import ModelError


class EditTask(PictureTask):
    """InstructPix2Pix (Brooks et al. 2023) on any UNet with twice the latents' channels, and the pipelines that take a
    picture and no strength: Kontext, Qwen-Image-Edit, FLUX.2.
    """

    params: Edit

    def planned(self, plan: Plan) -> Plan:
        self.note_native(plan)
        refuse_readers(plan)
        if made_for(plan) == "editing":
            return as_class(plan, _instructed(plan))
        if takes(plan.cls, "image", "prompt") and not takes(plan.cls, "strength"):
            return plan
        raise ModelError(
            f"Model {plan.title!r} is a {plan.cls.__name__}, which was not made for editing by instruction.",
            hint="Use one of InstructPix2Pix, FLUX Kontext, Qwen-Image-Edit; Image to image works with any model.",
        )

    def complete(self, call: Call, pipe: Any, plan: Plan, indices: Sequence[int]) -> None:
        super().complete(call, pipe, plan, indices)
        # Several pictures would be several references to these pipelines.
        call.arguments["image"] = drawn_out(self.canvas(indices[0]).picture, (call.width, call.height))
        known = inspect.signature(type(pipe).__call__).parameters
        if "image_guidance_scale" in known:
            call.arguments["image_guidance_scale"] = self.params.image_guidance_scale
        if "_auto_resize" in known:  # Kontext would draw at a size of its own
            call.arguments["_auto_resize"] = False

    def infotext(self) -> dict[str, str]:
        return {"Image CFG scale": f"{self.params.image_guidance_scale or 0:g}"}


def _instructed(plan: Plan) -> Any:
    import diffusers

    if "InstructPix2Pix" in plan.cls.__name__:
        return plan.cls
    return (
        diffusers.StableDiffusionXLInstructPix2PixPipeline
        if "text_encoder_2" in plan.sources
        else diffusers.StableDiffusionInstructPix2PixPipeline
    )


class EditPipeline(DrawingPipeline):
    """Instruction editing."""

    task = EditTask
