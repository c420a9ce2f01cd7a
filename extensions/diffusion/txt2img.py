"""The pipeline ``diffusion.txt2img``: pictures from a description alone."""

from __future__ import annotations

from .making import DrawingPipeline


class Txt2ImgPipeline(DrawingPipeline):
    """Pictures from text: the shared machinery with nothing changed."""
