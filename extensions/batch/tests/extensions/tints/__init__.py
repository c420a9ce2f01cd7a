"""A pipeline for tests of batches: a picture turned upside down, with its seed in a corner."""

from __future__ import annotations

from webui.api import Params, PipelineSpec, hookimpl, image, integer, seed


class TintParams(Params):
    image: str = image(..., label="Picture")
    amount: int = integer(1, minimum=1, maximum=9, label="Amount")
    seed: int = seed()


@hookimpl
def register_pipelines():
    yield PipelineSpec(id="tints.tint", title="Tint", params=TintParams, run=".work:Tint")
