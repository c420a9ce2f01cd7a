"""Latent spaces that extensions declare, as a running pipeline reaches them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from webui.core.jobs import Job

INIT = """
    from webui.api import LatentSpace, Params, PipelineSpec, hookimpl, text

    class P(Params):
        space: str = text("planes.plane", label="Space")
        model: str = text("", label="Model")

    @hookimpl
    def register_pipelines():
        return [PipelineSpec(id="planes.draw", title="Draw", params=P, run=".work:Draw", outputs="scalar")]

    @hookimpl
    def register_latent_spaces():
        return [LatentSpace("planes.plane", "Planes", run=".work:Plane")]
"""

WORK = """
    import torch

    from webui.api import Artifact, Component, ComponentKey, ModelError

    class Plane:
        mapped = False

        def __init__(self, models, model):
            if model:
                raise ModelError(f"{model!r} is no plane.")
            self.protocol = {"weights": "none"}
            self.components = {"synthesis": Component(ComponentKey("/p", 0, 0, "p", "float32"), torch.nn.Identity)}

        def sample(self, count, generator):
            return torch.randn((count, 3, 1, 1), generator=generator)

        def labels(self, count, generator):
            return None

        def map(self, parts, z, labels):
            return z

        def synthesize(self, parts, w, labels, noise_seed):
            noise = torch.randn((1, 3, 4, 4), generator=torch.Generator().manual_seed(noise_seed))
            return parts["synthesis"](w + 0 * noise)

    class Draw:
        def run(self, params, context):
            assert list(context.latent_spaces) == ["planes.plane"]
            space = context.latent_generator(params.space, params.model)
            with context.models.lease(space.components) as parts:
                z = space.sample(2, context.generator(1))
                pictures = space.synthesize(parts, space.map(parts, z, None), None, 0)
            yield Artifact("scalar", {"shape": list(pictures.shape), "equal": bool((pictures == z).all())})
"""


def draw(lab: Any, **params: str) -> Any:
    lab.extension("planes", INIT, {"work.py": WORK})
    return lab.run(job=Job(pipeline="planes.draw", params=params))


def test_a_generator_is_leased_and_draws(lab: Any) -> None:
    outcome = draw(lab)
    assert outcome.end == "done", outcome.events[-1]
    told = json.loads(lab.files.path_of(outcome.records[0]).read_text())
    assert told == {"shape": [2, 3, 4, 4], "equal": True}


@pytest.mark.parametrize(
    ("params", "says"), [({"space": "planes.other"}, "there are: planes.plane"), ({"model": "ball"}, "no plane")]
)
def test_what_is_not_there_is_named(lab: Any, params: dict[str, str], says: str) -> None:
    outcome = draw(lab, **params)
    assert outcome.end == "failed"
    assert says in outcome.error.message
