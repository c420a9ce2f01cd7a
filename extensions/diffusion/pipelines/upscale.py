"""The pipeline ``diffusion.upscale``: pictures made larger by an upscaler network, without a prompt."""

from __future__ import annotations

from collections.abc import Iterator

from PIL import Image

from extensions.diffusion.params_pictures import Upscale
from extensions.diffusion.pictures.inputs import alpha_of, on_ground, open_picture
from extensions.diffusion.pictures.upscaling import (
    Upscaler,
    brought_to,
    enlarged,
    find_upscaler,
    passes,
    upscaler_component,
)
from webui.api import Artifact, Context, JobFailed

_PIXELS_MAX = 256_000_000


class UpscalePipeline:
    """One result for each picture; transparency is kept."""

    def run(self, params: Upscale, context: Context) -> Iterator[Artifact]:
        """Yields the missing pictures in their order. Raises ModelError, NotFound, JobFailed, Cancelled."""
        sources = (params.image, *params.images)
        pending = context.pending(len(sources))
        if not pending:
            return
        model = find_upscaler(context, params.upscaler)
        for index in pending:
            picture = open_picture(context, sources[index])
            with context.models.lease({"upscaler": upscaler_component(model, context.models)}) as parts:
                result = self._enlarged(parts["upscaler"], picture, params, context)
            yield Artifact("image", result, index=index)

    def _enlarged(self, network: Upscaler, picture: Image.Image, params: Upscale, context: Context) -> Image.Image:
        scale = params.scale or float(network.scale)
        target = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
        if target[0] * target[1] > _PIXELS_MAX:
            raise JobFailed(
                f"The result would have {target[0]}x{target[1]} pixels, more than {_PIXELS_MAX:,}.",
                hint="Choose a smaller scale.",
            )
        result = on_ground(picture)
        for _ in passes(picture.size, target, network.scale):
            result = enlarged(network, result, context, tile=params.tile, overlap=params.overlap)
        result = brought_to(result, target)
        alpha = alpha_of(picture)
        if alpha is not None:
            result.putalpha(brought_to(alpha, target))
        return result
