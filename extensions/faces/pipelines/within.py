"""Runs of other pipelines over cut-outs: pictures as data URLs in, pictures out, nothing kept."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image

from extensions.faces.pixels.regions import Mask
from webui.api import Artifact, Context, JobFailed, NotFound, ResolvedModel, describe

_USUAL_EDGE_PX = 512


def data_url(picture: Image.Image) -> str:
    """The picture as PNG in a data URL: a file parameter takes it."""
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    return "data:;base64," + base64.b64encode(stream.getvalue()).decode("ascii")


def run_within(context: Context, pipeline: str, params: Mapping[str, Any]) -> list[Artifact]:
    """Everything that a run makes, kept nowhere. Raises NotFound for a pipeline that is not loaded, and its errors."""
    made: list[Artifact] = []
    context.run(pipeline, params, take=made.append)
    return made


def changed(
    context: Context,
    pipeline: str,
    params: Mapping[str, Any],
    square: Image.Image,
    *,
    prompt: str,
    seed: int,
    mask: Mask | None = None,
) -> Image.Image:
    """The first picture that a pipeline makes of a square, RGB. ``mask`` [edge,edge] goes where it takes one.

    Raises JobFailed where it makes none.
    """
    rows = {row.name for row in describe(context.pipelines[pipeline].params)}
    given: dict[str, Any] = {**params, "image": data_url(square)}
    if "prompt" in rows:
        given["prompt"] = prompt
    if "seed" in rows:
        given["seed"] = seed
    if "mask" in rows and mask is not None:
        given["mask"] = data_url(Image.fromarray((255 * (mask > 0)).astype(np.uint8)).convert("RGB"))
    if context.pipelines[pipeline].needs_consent:
        given["consent"] = bool(context.job.params.get("consent"))
    made = [one for one in run_within(context, pipeline, given) if one.kind == "image"]
    if not made:
        raise JobFailed(f"{pipeline} made no picture of the cut-out.")
    picture: Image.Image = made[0].data
    return picture.convert("RGB")


def used_model(context: Context, pipeline: str, params: Mapping[str, Any]) -> ResolvedModel | None:
    """The model that a pipeline would use under these parameters; None for one without a model.

    Raises NotFound where there is no such pipeline, or no such model yet.
    """
    spec = context.pipelines.get(pipeline)
    if spec is None:
        raise NotFound(f"there is no pipeline {pipeline!r}.", hint="The Extensions tab says what is loaded.")
    model = next((row for row in describe(spec.params) if row.kind == "model"), None)
    return None if model is None else context.models.resolve(str(params.get(model.name) or ""), model.source)


def own_edge(context: Context, pipeline: str, params: Mapping[str, Any], fallback: int) -> int:
    """The edge in pixels that suits the model of a pipeline; ``fallback`` for one without a model, or none yet.

    Raises NotFound where there is no such pipeline.
    """
    try:
        model = used_model(context, pipeline, params)
    except NotFound:
        if pipeline not in context.pipelines:
            raise
        return fallback
    return fallback if model is None else int(model.recommended.get("width") or _USUAL_EDGE_PX)
