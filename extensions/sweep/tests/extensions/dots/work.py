"""The dots, drawn."""

from __future__ import annotations

import os
import zlib

from PIL import Image

from webui.api import Artifact


class Dots:
    def run(self, params, context):
        for index in context.pending(3):
            for step in range(params.steps):
                context.progress(step + 1, params.steps)
            yield Artifact("image", self.picture(params, index, context), index=index, seed=params.seed + index)

    def picture(self, params, index, context):
        word, _, of = params.fault.partition(" ")
        if word == "raise" and (not of or of in params.prompt):
            raise ValueError("no ink is left")
        died = context.work_dir / "died"
        if word == "die" and of in params.prompt and not died.exists():
            died.touch()
            os._exit(9)
        shown = {**params.model_dump(exclude={"seed", "fault"}), "seed": params.seed + index}
        generator = context.generator(zlib.crc32(repr(sorted(shown.items())).encode()))
        import torch

        pixels = torch.randint(0, 256, (params.height, params.width, 3), generator=generator, dtype=torch.uint8)
        return Image.fromarray(pixels.numpy(), "RGB")


class Count:
    def run(self, params, context):
        context.pending(1)
        return Artifact("scalar", {"dots": params.steps * 2, "share": {"lit": 0.5}, "words": params.prompt})
