"""Faces: found, edited, blended back, made to speak. This module only declares; the rest is imported in the worker.

Who stands where: ``vocabulary`` names, ``networks`` compute, ``finding`` tells where faces are, ``pixels`` cut and
blend, ``pipelines`` are jobs of these.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from webui.api import ModelKind, PipelineSpec, TabSpec, hookimpl

from .networks.files import KIND, recognise
from .params import FindParams


def _spec(name: str, title: str, params: type, run: str, description: str, **more: Any) -> PipelineSpec:
    return PipelineSpec(
        id=f"faces.{name}",
        title=title,
        params=params,
        run=f"extensions.faces.pipelines.{run}",
        tab="faces",
        description=description,
        **more,
    )


@hookimpl
def register_pipelines() -> Iterable[PipelineSpec]:
    return [
        _spec(
            "find",
            "Find faces",
            FindParams,
            "find:Find",
            "Boxes, landmarks and parts of all faces, as a picture, as JSON that the other forms take, and as a mask.",
        ),
    ]


@hookimpl
def register_tabs() -> Iterable[TabSpec]:
    return [TabSpec("faces", "Face edit", order=50)]


@hookimpl
def register_model_kinds() -> Iterable[ModelKind]:
    return [ModelKind(KIND, "Network of faces", folders=("faces",), recognise=recognise)]
