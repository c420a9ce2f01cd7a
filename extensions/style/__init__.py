"""The style of some pictures for others. This module only declares; what it declares is imported in the worker.

Who stands where: ``colour`` and ``networks`` compute, ``pictures`` come in and go out, ``pipelines`` are jobs of these.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from webui.api import Params, PipelineSpec, TabSpec, hookimpl

from .params import ColourParams


def _spec(name: str, title: str, params: type[Params], run: str, description: str, **more: Any) -> PipelineSpec:
    return PipelineSpec(
        id=f"style.{name}",
        title=title,
        params=params,
        run=f"extensions.style.pipelines.{run}",
        tab="style",
        description=description,
        **more,
    )


@hookimpl
def register_pipelines() -> Iterable[PipelineSpec]:
    return [
        _spec(
            "colour",
            "Colours",
            ColourParams,
            "colour:Colour",
            "The colours of references for a picture, by four methods that need no model.",
            live=True,
        ),
    ]


@hookimpl
def register_tabs() -> Iterable[TabSpec]:
    return [TabSpec("style", "Style transfer", order=35)]
