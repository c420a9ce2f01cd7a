"""For the tests: a pipeline that changes a person's picture, one that draws, and one that makes a film."""

from __future__ import annotations

from collections.abc import Iterable

from webui.api import Params, PipelineSpec, consent, hookimpl, image, integer, seed


class Change(Params):
    image: str = image(..., label="Picture")
    size: int = integer(192, minimum=8, maximum=512, label="Size")
    film: int = integer(0, minimum=0, maximum=2, label="Film")
    seed: int = seed(1)
    consent: bool = consent()


class Draw(Params):
    image: str | None = image(label="Picture")
    seed: int = seed(1)


@hookimpl
def register_pipelines() -> Iterable[PipelineSpec]:
    yield PipelineSpec(
        id="portraits.change", title="Change a face", params=Change, run=".work:Change", needs_consent=True
    )
    yield PipelineSpec(id="portraits.draw", title="Draw", params=Draw, run=".work:Draw")
