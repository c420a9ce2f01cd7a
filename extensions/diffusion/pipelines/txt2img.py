"""The pipeline ``diffusion.txt2img``: pictures from a description alone, in one pass or several."""

from __future__ import annotations

from typing import Any

from extensions.diffusion.drawing.groups import Drawing
from extensions.diffusion.drawing.hires import FirstPass, Passes, Refiner, handed_over, hires_pass, refiner_pass
from extensions.diffusion.drawing.making import Drawer, DrawingPipeline, found_model
from extensions.diffusion.drawing.task import Task
from extensions.diffusion.params import REFINER_KINDS, Txt2Img
from extensions.diffusion.params_adapters import attaches
from webui.api import Context, ResolvedModel


class Txt2ImgPipeline(DrawingPipeline):
    """Pictures from text: the shared machinery, and passes over its pictures where they are asked for."""

    task = FirstPass

    def drawer(self, model: ResolvedModel, params: Txt2Img, context: Context, task: Task) -> Drawer:
        first = super().drawer(model, params, context, task)
        later = []
        if params.hires_scale > 1:
            later.append(hires_pass(lambda own, one: Drawing(model, own, context, self.configs, one), params, context))
        if params.refiner and isinstance(task, FirstPass):
            later += self._refiner(first, model, params, context, task)
        return Passes(first, task, later) if later and isinstance(task, FirstPass) else first

    def _refiner(
        self, first: Drawer, model: ResolvedModel, params: Txt2Img, context: Context, task: FirstPass
    ) -> list[Any]:
        """Another model that takes over midway, or goes over the finished picture; nothing where neither is asked."""
        if params.refiner_start == 1 and not params.refiner_strength:
            return []
        found = found_model(params.refiner, context, REFINER_KINDS)

        def make(own: Txt2Img, one: Task) -> Drawing:
            return Drawing(found, own, context, self.configs, one)

        refiner = Refiner(found.ref, found.family == model.family, make)
        if not refiner.kin and attaches(params):
            context.warn("The refiner is of another family: what is attached to the model does not go with it.")
        if params.refiner_start < 1 and isinstance(first, Drawing):
            taken = handed_over(refiner, params, context, (first, task))
            if taken is not None:
                return [taken]
        return [refiner_pass(refiner, params, context)] if params.refiner_strength else []
