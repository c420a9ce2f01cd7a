"""When an edit is accepted: the pipeline within it and its parameters are checked; nothing stays open.

Light: it runs in the web process. Errors stand at the field whose fault they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from webui.api import Acceptance, FieldError, ParameterError, PipelineSpec, describe

REWORD = "diffusion.reword"
"""Draws a picture again under other words."""
PROJECT = "gan.project"
"""Finds a picture's point in a StyleGAN, and keeps it."""
GIVEN = frozenset({"image", "images", "mask", "seed", "prompt", "before"})
"""Parameters of the pipeline within that the job itself says."""
_ONE_PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4//8/AAX+Av4N70a4AAAAAElFTkSuQmCC"
)
"""Stands for the cut-out while the other parameters are checked."""


def accept_edit(params: Any, acceptance: Acceptance) -> Mapping[str, Any]:
    """``params`` with the pipeline named in full and its parameters frozen. Raises ParameterError."""
    method = getattr(params, "method", "instruct")
    if method == "gan":
        _check_projection(params, acceptance)
        return dict(params.model_dump())
    if method == "reword":
        return {**params.model_dump(), "params": _frozen(_reword(acceptance), params, acceptance)}
    spec = _pipeline(params.pipeline, acceptance)
    return {**params.model_dump(), "pipeline": spec.id, "params": _frozen(spec, params, acceptance)}


def _frozen(spec: PipelineSpec, params: Any, acceptance: Acceptance) -> dict[str, Any]:
    """What of the pipeline's own parameters is kept with the job. Raises ParameterError."""
    rows = {row.name: row for row in describe(spec.params)}
    given = {name: value for name, value in params.params.items() if name not in GIVEN}
    if getattr(params, "model", ""):
        given = {**given, "model": params.model}
    raw = {**given, "image": _ONE_PIXEL}
    if "mask" in rows:
        raw["mask"] = _ONE_PIXEL
    if "prompt" in rows:
        raw["prompt"] = params.prompt
    if spec.needs_consent:
        raw["consent"] = params.consent
    try:
        frozen = acceptance.freeze(spec.id, raw)
    except ParameterError as error:
        fields = [FieldError("params", f"{one.name}: {one.message}", one.got) for one in error.fields]
        raise ParameterError(fields, hint=error.hint) from None
    return {
        name: frozen[name]
        for name, row in rows.items()
        if name not in GIVEN and name in frozen and (name in given or row.kind == "model")
    }


def _check_projection(params: Any, acceptance: Acceptance) -> None:
    """That whoever asks may project a face: it leaves a named point behind. Raises ParameterError, Forbidden."""
    if PROJECT not in acceptance.pipelines:
        raise ParameterError([FieldError("method", f"needs the pipeline {PROJECT}: enable the extension GANs")])
    chosen = {"model": params.generator} if params.generator.strip() else {}
    try:
        acceptance.freeze(PROJECT, {**chosen, "image": _ONE_PIXEL, "steps": params.projection_iterations})
    except ParameterError as error:
        names = {"model": "generator", "steps": "projection_iterations"}
        fields = [FieldError(names.get(one.name, "method"), one.message, one.got) for one in error.fields]
        raise ParameterError(fields, hint=error.hint) from None


def _reword(acceptance: Acceptance) -> PipelineSpec:
    if REWORD not in acceptance.pipelines:
        raise ParameterError([FieldError("method", f"needs the pipeline {REWORD}: enable the extension Diffusion")])
    return acceptance.pipelines[REWORD]


def _pipeline(name: str, acceptance: Acceptance) -> PipelineSpec:
    usable = {spec.id: spec for spec in acceptance.pipelines.values() if usable_within(spec)}
    found = [spec for spec in usable.values() if name in (spec.id, spec.name)]
    exact = [spec for spec in found if spec.id == name] or found
    if len(exact) == 1:
        return exact[0]
    raise ParameterError([FieldError("pipeline", "expected one of " + ", ".join(sorted(usable)), name)])


def usable_within(spec: PipelineSpec) -> bool:
    """Whether it takes a picture and gives one, and runs no others itself."""
    rows = {row.name: row.kind for row in describe(spec.params)}
    return (
        spec.outputs == "image" and rows.get("image") in ("image", "image_mask") and "parameters" not in rows.values()
    )
