"""When a batch is accepted: folders, pipeline and its parameters are checked; nothing stays open.

Light: it runs in the web process. Errors stand at the field whose fault they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from webui.api import Acceptance, FieldError, ParameterError, PipelineSpec, describe

from .params import FolderParams

PICTURE = "image"
"""The parameter that each picture of the folder becomes."""
_GIVEN_BY_FOLDER = frozenset({PICTURE, "images", "mask"})
_ONE_PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4//8/AAX+Av4N70a4AAAAAElFTkSuQmCC"
)
"""Stands for the pictures while the other parameters are checked."""


def accept(params: FolderParams, acceptance: Acceptance) -> Mapping[str, Any]:
    """``params`` with frozen parameters of the pipeline. Raises ParameterError that names the wrong fields."""
    folder = acceptance.open_folder(params.folder, "folder")
    if params.target and _target(params.target, acceptance) == folder:
        raise ParameterError([FieldError("target", "expected another folder than that of the pictures")])
    spec = _pipeline(params.pipeline, acceptance)
    rows = describe(spec.params)
    given = {name: value for name, value in params.params.items() if name not in _GIVEN_BY_FOLDER}
    try:
        frozen = acceptance.freeze(spec.id, {**given, PICTURE: _ONE_PIXEL})
    except ParameterError as error:
        fields = [FieldError("params", f"{one.name}: {one.message}", one.got) for one in error.fields]
        raise ParameterError(fields, hint=error.hint) from None
    kept = {
        row.name: frozen[row.name]
        for row in rows
        if row.name not in _GIVEN_BY_FOLDER
        and (row.name in given or row.kind in ("seed", "model"))
        # What is automatic stays so: it may follow from the picture.
        and (row.auto is None or given.get(row.name) is not None)
    }
    return {**params.model_dump(), "pipeline": spec.id, "params": kept}


def new_folder(path: str) -> tuple[str, str] | None:
    """What a missing folder would be made in, and its name; None for what is no name."""
    named = Path(path)
    return (str(named.parent), named.name) if named.name not in ("", ".", "..") else None


def _target(path: str, acceptance: Acceptance) -> Path:
    """The folder of results, which the job makes where it is missing in one that is there. Raises ParameterError."""
    try:
        return acceptance.open_folder(path, "target")
    except ParameterError as missing:
        new = new_folder(path)
        if new is None:
            raise
        try:
            return acceptance.open_folder(new[0], "target") / new[1]
        except ParameterError:
            raise missing from None


def _pipeline(name: str, acceptance: Acceptance) -> PipelineSpec:
    usable = {spec.id: spec for spec in acceptance.pipelines.values() if _can_run(spec)}
    found = [spec for spec in usable.values() if name in (spec.id, spec.name)]
    if len(found) == 1:
        return found[0]
    raise ParameterError([FieldError("pipeline", "expected one of " + ", ".join(sorted(usable)), name)])


def _can_run(spec: PipelineSpec) -> bool:
    rows = {row.name: row.kind for row in describe(spec.params)}
    return (
        spec.outputs == "image" and rows.get(PICTURE) in ("image", "image_mask") and "parameters" not in rows.values()
    )
