"""The test's pipelines: pictures that follow from seed and prompt, in as many steps as asked, each as slow as asked."""

from __future__ import annotations

import time
import zlib
from collections.abc import Iterator
from pathlib import Path

from PIL import Image, ImageDraw

from webui.api import Artifact, Component, ComponentKey, Context, JobFailed

from .params import BlendParams, DrawParams, EverythingParams


def paint(prompt: str, seed: int, width: int, height: int, done: float) -> Image.Image:
    """Two colours and a sun that rises with ``done`` in 0..1."""
    mix = zlib.crc32(f"{prompt} {seed}".encode())
    low, high = (mix >> 3 & 255, mix >> 9 & 255, 160), (230, mix >> 17 & 255, mix >> 5 & 255)
    picture = Image.linear_gradient("L").resize((width, height))
    scene = Image.composite(Image.new("RGB", picture.size, low), Image.new("RGB", picture.size, high), picture)
    radius = min(width, height) // 6
    x, y = width * (20 + seed % 60) // 100, int(height * (1 - 0.7 * done))
    ImageDraw.Draw(scene).ellipse((x - radius, y - radius, x + radius, y + radius), fill=(255, 236, 190))
    return scene


def palette() -> Component:
    """A model of one layer, 1 MB."""

    def load() -> object:
        import torch

        return torch.nn.Linear(512, 512)

    return Component(ComponentKey.of(Path(__file__).with_name("extension.toml"), "palette", "float32"), load)


class Draw:
    def run(self, params: DrawParams, context: Context) -> Iterator[Artifact]:
        if params.fault == "fail":
            raise JobFailed("There is no paint.", hint="Buy some.")
        if params.fault == "raise":
            raise RuntimeError("the brush broke")
        if params.fault == "warn":
            context.warn("The paint is thin.")
        if params.style == "soft":
            with context.models.lease({"palette": palette()}) as leased:
                leased["palette"].weight.sum()
        width, height, steps = params.width or 128, params.height or 128, params.steps or 8
        for index in context.pending(params.batch_count):
            seed = params.seed + index
            for step in range(steps):
                time.sleep(params.step_s)
                context.preview(paint(params.prompt, seed, width // 4, height // 4, (step + 1) / steps), index)
                context.progress(step + 1, steps)
            yield Artifact("image", paint(params.prompt, seed, width, height, 1.0), index=index, seed=seed)


class Blend:
    def run(self, params: BlendParams, context: Context) -> Iterator[Artifact]:
        first = context.open_image(params.image).convert("RGB")
        for ref in params.others:
            first = Image.blend(first, context.open_image(ref).convert("RGB").resize(first.size), params.strength)
        yield Artifact("image", first.transpose(Image.Transpose.FLIP_LEFT_RIGHT), seed=params.seed)


class Everything:
    def run(self, params: EverythingParams, context: Context) -> Iterator[Artifact]:
        yield Artifact("scalar", params.amount, index=0, title=params.title)
        yield Artifact(
            "table", [{"name": "count", "value": params.count}, {"name": "mode", "value": params.mode}], index=1
        )
