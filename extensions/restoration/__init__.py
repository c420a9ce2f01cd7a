"""Old and damaged pictures made good, and good ones damaged to measure that. This module only declares; the rest is
imported in the worker.

Who stands where: ``pictures`` are arrays and how they go bad, ``classical`` filters need no weights, ``networks`` do,
``training`` makes our own, ``pipelines`` are jobs of these.
"""

from __future__ import annotations

from collections.abc import Iterable

from webui.api import ModelKind, PipelineSpec, TabSpec, hookimpl

from .params import DegradeParams, RestoreParams, TrainParams
from .recognise import KIND, recognise


@hookimpl
def register_pipelines() -> Iterable[PipelineSpec]:
    return [
        PipelineSpec(
            id="restoration.restore",
            title="Restore",
            params=RestoreParams,
            run="extensions.restoration.pipelines.restoring:Restore",
            tab="restoration",
            description="Scratches, noise, JPEG marks, blur, fading, colours, faces, size: the steps that you choose.",
        ),
        PipelineSpec(
            id="restoration.degrade",
            title="Degrade",
            params=DegradeParams,
            run="extensions.restoration.pipelines.degrading:Degrade",
            tab="restoration",
            description="A good picture made bad by a seed, and where it is scratched: to measure a restoration.",
        ),
        PipelineSpec(
            id="restoration.train",
            title="Train",
            params=TrainParams,
            run="extensions.restoration.pipelines.training:Train",
            tab="restoration",
            description="The small networks, on drawings or on your own pictures; goes on where it was stopped.",
            outputs="file",
            keeps_work=True,
        ),
    ]


@hookimpl
def register_tabs() -> Iterable[TabSpec]:
    return [TabSpec("restoration", "Restoration", order=45)]


@hookimpl
def register_model_kinds() -> Iterable[ModelKind]:
    return [ModelKind(KIND, "Restoration network", folders=("restoration",), recognise=recognise)]
