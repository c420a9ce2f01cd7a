"""The pipeline ``diffusion.img2img``: pictures that begin with others, as far as the strength leaves them."""

from __future__ import annotations

from extensions.diffusion.drawing.from_pictures import PictureTask
from extensions.diffusion.drawing.making import DrawingPipeline


class Img2ImgPipeline(DrawingPipeline):
    """Pictures from pictures: one source or several, each as often as the batch says."""

    task = PictureTask
