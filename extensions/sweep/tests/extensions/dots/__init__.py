"""A pipeline for tests of sweeps: every parameter changes its picture, and it fails, waits or dies when told to."""

from __future__ import annotations

from webui.api import (
    Params,
    PipelineSpec,
    boolean,
    choice,
    hookimpl,
    image,
    images,
    integer,
    model,
    number,
    prompt,
    seed,
    size,
    text,
)


class DotsParams(Params):
    prompt: str = prompt(label="Prompt")
    model: str = model(kind="text_to_image")
    steps: int = integer(2, minimum=1, maximum=50, label="Steps")
    guidance_scale: float | None = number(None, minimum=0, maximum=30, label="Guidance scale", auto=7.0)
    sampler: str = choice("euler", {"euler": "Euler", "heun": "Heun's"}, label="Sampler")
    tiling: bool = boolean(False, label="Tiling")
    width: int | None = size(label="Width", minimum=16, auto=32)
    height: int = size(32, label="Height", minimum=16)
    seed: int = seed()
    fault: str = text(label="Fault")
    start: str | None = image(label="Start from")
    several: tuple[str, ...] = images(label="Several")


@hookimpl
def register_pipelines():
    yield PipelineSpec(id="dots.draw", title="Draw dots", params=DotsParams, run=".work:Dots")
    yield PipelineSpec(id="dots.count", title="Count dots", params=DotsParams, run=".work:Count", outputs="scalar")
    yield PipelineSpec(id="dots.write", title="Write dots", params=DotsParams, run=".work:Dots", outputs="file")
