"""Paints: each step computes for a few hundredths of a second, tells how far it is, and shows what there is."""

import numpy as np
from PIL import Image

from webui.api import Artifact

SIDE_PX = 192


class Paint:
    """``PipelineSpec.run`` of the load measurement."""

    def run(self, params, context):
        for index in context.pending(params.batch_count):
            random = np.random.default_rng(params.seed + index)
            canvas = random.random((SIDE_PX, SIDE_PX, 3))
            for step in range(params.steps):
                for _ in range(8):  # a blur by its spectrum: work that holds a core
                    canvas = np.abs(np.fft.ifft2(np.fft.fft2(canvas, axes=(0, 1)) * 0.999, axes=(0, 1)))
                context.progress(step + 1, params.steps)
                context.preview(_picture(canvas))
            yield Artifact("image", _picture(canvas), index=index, seed=params.seed + index)


def _picture(canvas):
    return Image.fromarray((np.clip(canvas, 0, 1) * 255).astype(np.uint8))
