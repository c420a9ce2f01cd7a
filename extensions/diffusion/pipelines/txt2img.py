"""The pipeline ``diffusion.txt2img``: pictures from a description alone, in one pass or several."""

from __future__ import annotations

from extensions.diffusion.drawing.groups import Drawing
from extensions.diffusion.drawing.hires import FirstPass, Passes, hires_pass, refiner_pass
from extensions.diffusion.drawing.making import Drawer, DrawingPipeline, found_model
from extensions.diffusion.drawing.task import Task
from extensions.diffusion.params import REFINER_KINDS, Txt2Img
from webui.api import Context, ResolvedModel


class Txt2ImgPipeline(DrawingPipeline):
    """Pictures from text: the shared machinery, and passes over its pictures where they are asked for."""

    task = FirstPass

    def drawer(self, model: ResolvedModel, params: Txt2Img, context: Context, task: Task) -> Drawer:
        first = super().drawer(model, params, context, task)
        later = []
        if params.hires_scale > 1:
            later.append(hires_pass(lambda own, one: Drawing(model, own, context, self.configs, one), params, context))
        if params.refiner and params.refiner_strength:
            refiner = found_model(params.refiner, context, REFINER_KINDS)
            later.append(
                refiner_pass(
                    lambda own, one: Drawing(refiner, own, context, self.configs, one), params, context, refiner.ref
                )
            )
        return Passes(first, task, later) if later and isinstance(task, FirstPass) else first
