"""When a sweep is accepted: pipeline, common parameters and each value of each axis are checked; nothing stays open.

Light: it runs in the web process. Errors stand at the field whose fault they are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from webui.api import (
    Acceptance,
    FieldError,
    LifelikeError,
    Parameter,
    ParameterError,
    PipelineSpec,
    describe,
)

from .axes import LETTERS, Axis, find_row, label_of, read_axis
from .params import SweepParams
from .plan import Plan
from .scores.accepting import accepted_scores
from .values import ValueProblem


def accept(params: SweepParams, acceptance: Acceptance) -> Mapping[str, Any]:
    """``params`` with its plan. Raises ParameterError that names every wrong field."""
    spec = _pipeline(params.pipeline, acceptance)
    rows = describe(spec.params)
    axes = _axes(params, rows, acceptance)
    first = _first_cell(spec, params, axes, acceptance)
    base = _base(params, rows, first, axes)
    checked = _checked(spec, rows, base, axes, first, acceptance)
    seed = next((row.name for row in rows if row.kind == "seed"), "")
    if params.vary_seed in LETTERS and not any(axis.letter == params.vary_seed for axis in axes):
        raise _wrong("vary_seed", f"expected one that there is: no {params.vary_seed.upper()} axis is given")
    if seed and params.vary_seed != "no" and any(axis.parameter == seed for axis in axes):
        raise _wrong("vary_seed", "expected one seed for all, for the seed is an axis")
    runs = accepted_scores(params, spec, seed, acceptance)
    vary = "" if params.vary_seed == "no" else params.vary_seed
    keep = min(params.keep, params.pictures)
    plan = Plan(spec.id, base, checked, seed, vary, params.pictures, keep, runs)
    shown = {name: base[name] for name in (*params.params, seed) if name in base}
    return {**params.model_dump(), "pipeline": spec.id, "params": shown, "plan": plan.to_json()}


def _pipeline(name: str, acceptance: Acceptance) -> PipelineSpec:
    found = [spec for spec in acceptance.pipelines.values() if name in (spec.id, spec.name)]
    exact = [spec for spec in found if spec.id == name] or found
    if len(exact) != 1:
        known = ", ".join(spec.id for spec in found or acceptance.pipelines.values() if _can_run(spec))
        raise _wrong("pipeline", f"expected one of {known}", name)
    if not _can_run(exact[0]):
        raise _wrong("pipeline", "expected one that makes pictures or numbers, and runs no other", exact[0].id)
    return exact[0]


def _can_run(spec: PipelineSpec) -> bool:
    return spec.outputs in ("image", "scalar") and all(row.kind != "parameters" for row in describe(spec.params))


def _axes(params: SweepParams, rows: Sequence[Parameter], acceptance: Acceptance) -> tuple[Axis, ...]:
    limit = int(acceptance.settings["max_cells"])
    axes: list[Axis] = []
    wrong: list[FieldError] = []
    for letter in LETTERS:
        name, mode, text = (str(getattr(params, letter + end)) for end in ("", "_mode", "_values"))
        if not name.strip():
            if text.strip():
                wrong.append(FieldError(letter, "expected the parameter that these values are of"))
            continue
        field = letter
        try:
            row = find_row(name.strip(), rows)
            field = f"{letter}_mode" if mode == "replace" and row.kind not in ("text", "prompt") else f"{letter}_values"
            axis = read_axis(letter, row, text, replace=mode == "replace", models=acceptance.models, limit=limit)
        except ValueProblem as problem:
            wrong.append(FieldError(field, problem.expected, problem.got))
            continue
        if any(other.parameter == axis.parameter and not other.search and not axis.search for other in axes):
            wrong.append(FieldError(letter, "expected another parameter than that of the axis before", axis.parameter))
        axes.append(axis)
    if not axes and not wrong:
        wrong.append(FieldError("x", "expected the parameter that differs from cell to cell"))
    cells = math.prod(len(axis.values) for axis in axes)
    if not wrong and cells > limit:
        product = " × ".join(str(len(axis.values)) for axis in axes)
        message = f"expected at most {limit} cells, these are {product} = {cells}"
        wrong.append(FieldError(f"{axes[-1].letter}_values", message))
    if wrong:
        raise ParameterError(wrong)
    return tuple(axes)


def _first_cell(
    spec: PipelineSpec, params: SweepParams, axes: Sequence[Axis], acceptance: Acceptance
) -> dict[str, Any]:
    """The frozen parameters of the cell in the corner. Raises ParameterError."""
    raw = dict(params.params)
    for axis in axes:
        if not axis.search:
            raw[axis.parameter] = axis.values[0]
    try:
        return acceptance.freeze(spec.id, raw)
    except ParameterError as error:
        letters = {axis.parameter: axis for axis in axes if not axis.search}
        raise ParameterError(
            [
                FieldError(f"{axis.letter}_values", f"{axis.labels[0]}: {field.message}", field.got)
                if (axis := letters.get(field.name))
                else FieldError("params", f"{field.name}: {field.message}", field.got)
                for field in error.fields
            ],
            hint=error.hint,
        ) from None


def _base(
    params: SweepParams, rows: Sequence[Parameter], first: Mapping[str, Any], axes: Sequence[Axis]
) -> dict[str, Any]:
    """What all cells have in common. What is automatic stays so: each model has its own."""
    varied = {axis.parameter for axis in axes if not axis.search}
    return {
        row.name: first[row.name]
        for row in rows
        if row.name not in varied
        and (row.auto is None or params.params.get(row.name) is not None)
        and (row.kind != "record" or row.name in params.params)
    }


def _checked(
    spec: PipelineSpec,
    rows: Sequence[Parameter],
    base: Mapping[str, Any],
    axes: Sequence[Axis],
    first: Mapping[str, Any],
    acceptance: Acceptance,
) -> tuple[Axis, ...]:
    """The axes with frozen values: models named, seeds drawn, files stored. Raises ParameterError."""
    by_name = {row.name: row for row in rows}
    corner = {**base, **{axis.parameter: first[axis.parameter] for axis in axes if not axis.search}}
    frozen: list[Axis] = []
    wrong: list[FieldError] = []
    for axis in axes:
        if axis.search:
            wrong += _unfound(axis, axes, corner)
            frozen.append(axis)
            continue
        values: list[Any] = []
        for value, label in zip(axis.values, axis.labels, strict=True):
            try:
                values.append(acceptance.freeze(spec.id, {**corner, axis.parameter: value})[axis.parameter])
            except ParameterError as error:
                wrong += [
                    FieldError(f"{axis.letter}_values", f"{label}: {one.message}", one.got) for one in error.fields
                ]
            except LifelikeError as error:
                wrong.append(FieldError(f"{axis.letter}_values", f"{label}: {error}"))
        row = by_name[axis.parameter]
        labels = axis.labels if row.kind not in ("model", "seed") else tuple(label_of(row, value) for value in values)
        frozen.append(Axis(axis.letter, axis.parameter, axis.title, tuple(values), labels, axis.cost))
    if wrong:
        raise ParameterError(wrong)
    return tuple(frozen)


def _unfound(axis: Axis, axes: Sequence[Axis], corner: Mapping[str, Any]) -> list[FieldError]:
    """A replacement that would change nothing, in any of the texts that it is meant for."""
    whole = next((one for one in axes if one.parameter == axis.parameter and not one.search), None)
    texts = whole.values if whole is not None else (corner.get(axis.parameter) or "",)
    return [
        FieldError(
            f"{axis.letter}_values", f"expected a first value that stands in {text[:60]!r}", repr(axis.search[:60])
        )
        for text in map(str, texts)
        if axis.search not in text
    ]


def _wrong(field: str, message: str, got: str = "") -> ParameterError:
    return ParameterError([FieldError(field, message, got)])
