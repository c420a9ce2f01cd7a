"""A pipeline for tests: the negative of a picture, a little more of it with each seed."""

from webui.api import Params, PipelineSpec, hookimpl, image, prompt, seed


class NegativeParams(Params):
    image: str = image(..., label="Image")
    prompt: str = prompt("", label="Words")
    seed: int = seed(0)


@hookimpl
def register_pipelines():
    yield PipelineSpec(id="negatives.make", title="Negative", params=NegativeParams, run=".work:Negative")
