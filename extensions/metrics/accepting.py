"""When a score is accepted: both sets are named, folders are there, a pipeline can make pictures; nothing is read.

Light: it runs in the web process. Errors stand at the field whose fault they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from webui.api import Acceptance, FieldError, ParameterError, describe

from .params import MEASURES, CompareParams, SetParams, TradeoffParams

WAYS_OF_NAMING = ("collection:", "dataset:", "drawn:", "pipeline:")


def accept(params: SetParams, acceptance: Acceptance) -> Mapping[str, Any]:
    """``params`` as they are, those of a pipeline checked. Raises ParameterError that names the wrong fields."""
    wrong: list[FieldError] = []
    values = params.model_dump()
    pipeline = params.pipeline if isinstance(params, CompareParams) else ""
    for side, made in (("real", ""), ("generated", pipeline)):
        if values[f"{side}_file"] or values[f"{side}_images"]:
            continue
        ref = str(values[side]).strip()
        if not ref and not made:
            words = "is required: a folder, a .zip, or one of the ways that its help names"
            wrong.append(FieldError(side, words))
        elif ref and not ref.startswith(WAYS_OF_NAMING):
            wrong += _missing(ref, side, acceptance)
    if isinstance(params, CompareParams):
        wrong += [
            FieldError("scores", f"expected some of {', '.join(MEASURES)}", one)
            for one in params.scores
            if one not in MEASURES
        ]
    if wrong:
        raise ParameterError(wrong)
    if pipeline and not values["generated"]:
        values["params"] = made_with(pipeline, values["params"], acceptance)
    return values


def accept_tradeoff(params: TradeoffParams, acceptance: Acceptance) -> Mapping[str, Any]:
    """As ``accept``; each value must be one that the pipeline takes. Raises ParameterError."""
    values = params.model_dump()
    wrong = [] if params.values else [FieldError("values", "expected at least one")]
    if not params.real_file and not params.real.strip().startswith(WAYS_OF_NAMING):
        wrong += _missing(params.real.strip(), "real", acceptance)
    if wrong:
        raise ParameterError(wrong)
    values["params"] = made_with(params.pipeline, params.params, acceptance)
    for value in params.values:
        try:
            acceptance.freeze(params.pipeline, {**values["params"], params.parameter: value})
        except ParameterError as error:
            fields = [FieldError("values", f"{one.name}: {one.message}", str(value)) for one in error.fields]
            raise ParameterError(fields, hint=error.hint) from None
    return values


def _missing(ref: str, field: str, acceptance: Acceptance) -> list[FieldError]:
    """What is wrong with a folder or a file of the machine."""
    path = Path(ref).expanduser()
    file = path.suffix.lower() in (".zip", ".npz")
    try:
        folder = acceptance.open_folder(str(path.parent) or "." if file else ref, field)
    except ParameterError as error:
        return list(error.fields)
    if file and not (folder / path.name).is_file():
        return [FieldError(field, "there is no such file", ref[:80])]
    return []


def made_with(pipeline: str, given: Mapping[str, Any], acceptance: Acceptance) -> dict[str, Any]:
    """The parameters that a set is made with: those that were given, checked, and the models that they mean."""
    spec = acceptance.pipelines.get(pipeline)
    if spec is None or spec.outputs != "image":
        raise ParameterError([FieldError("pipeline", "expected a pipeline that makes pictures", pipeline[:80])])
    rows = describe(spec.params)
    if "seed" not in {row.name for row in rows}:
        raise ParameterError([FieldError("pipeline", "it has no seed: pictures of a set must differ", pipeline[:80])])
    chosen = {name: value for name, value in given.items() if name not in ("seed", "samples", "batch_count")}
    try:
        frozen = acceptance.freeze(pipeline, chosen)
    except ParameterError as error:
        raise ParameterError(
            [FieldError("params", f"{one.name}: {one.message}", one.got) for one in error.fields], hint=error.hint
        ) from None
    return {row.name: frozen[row.name] for row in rows if row.name in chosen or row.kind == "model"}
