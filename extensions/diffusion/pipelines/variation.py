"""The pipeline ``diffusion.variation``: pictures like a given one, by models that read a picture as others read a
prompt, or by a little image to image with any other.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

from extensions.diffusion.drawing.calling import unread
from extensions.diffusion.drawing.from_pictures import PictureTask
from extensions.diffusion.drawing.making import DrawingPipeline
from extensions.diffusion.models.guidance import Call
from extensions.diffusion.models.loading import Plan
from extensions.diffusion.models.siblings import reads_pictures
from extensions.diffusion.params_pictures import Variation
from webui.api import Context


class VariationTask(PictureTask):
    """unCLIP (Ramesh et al. 2022, "Hierarchical Text-Conditional Image Generation with CLIP Latents", section 3.1) and
    Stable Diffusion made for image variations; image to image where the model is neither.
    """

    params: Variation

    def __init__(self, params: Variation, context: Context) -> None:
        super().__init__(params, context)
        self._reads = False

    @property
    def strength(self) -> float:
        return 1.0 if self._reads else self.params.strength

    def planned(self, plan: Plan) -> Plan:
        self._reads = reads_pictures(plan.cls)
        if not self._reads:
            return super().planned(plan)
        self.note_native(plan)
        return plan

    def groups(self, indices: Sequence[int], size: int) -> list[Sequence[int]]:
        # unCLIP lays noise over the picture's embedding by the first of a batch's generators alone.
        return super().groups(indices, 1)

    def complete(self, call: Call, pipe: Any, plan: Plan, indices: Sequence[int]) -> None:
        if not self._reads:
            super().complete(call, pipe, plan, indices)
            return
        self._drawn_size = (call.width, call.height)
        call.arguments["image"] = self.canvas(indices[0]).picture
        known = inspect.signature(type(pipe).__call__).parameters
        call.notes += unread(call, known, self.params)
        if "noise_level" in known:
            call.arguments["noise_level"] = self.params.noise_level
        elif self.params.noise_level:
            call.notes.append(f"{type(pipe).__name__} has no noise over the picture: it was ignored.")

    def infotext(self) -> dict[str, str]:
        return {"Noise level": str(self.params.noise_level)} if self._reads else super().infotext()


class VariationPipeline(DrawingPipeline):
    """Variations of a picture."""

    task = VariationTask
