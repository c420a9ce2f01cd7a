"""The heavy part: the nearest colour of the palette for each pixel."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import Image

from webui.api import Artifact, Context, ModelError

from .colours import TENSOR


class Recolour:
    def run(self, params: Any, context: Context) -> Iterator[Artifact]:
        found = context.models.resolve(params.palette, "palette")
        if found.path is None:
            raise ModelError(f"the palette {params.palette!r} is not on this machine")
        colours = context.models.open_weights(found.path)[TENSOR].float().clamp(0, 1).numpy() * 255
        picture = context.open_image(params.image).convert("RGB")
        pixels = np.asarray(picture, dtype=np.float32)
        rows = []
        for number, row in enumerate(pixels):  # a row at a time: memory stays that of the picture
            distances = ((row[:, None, :] - colours[None, :, :]) ** 2).sum(axis=2)
            rows.append(colours[distances.argmin(axis=1)])
            context.progress(number + 1, len(pixels))
        mixed = pixels + params.strength * (np.stack(rows) - pixels)
        yield Artifact("image", Image.fromarray(mixed.round().astype(np.uint8)))
