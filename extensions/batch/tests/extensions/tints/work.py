"""The tints, made."""

from __future__ import annotations

from webui.api import Artifact


class Tint:
    def run(self, params, context):
        context.pending(1)
        picture = context.open_image(params.image).convert("RGB")
        picture.putpixel((0, 0), (params.seed % 256, params.amount, 0))
        yield Artifact("image", picture, seed=params.seed)
