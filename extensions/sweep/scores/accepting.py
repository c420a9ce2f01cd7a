"""When a sweep with scores is accepted: each score is known, and what it takes is given. Light: in the web process."""

from __future__ import annotations

from typing import Any, Protocol

from webui.api import Acceptance, FieldError, ParameterError, PipelineSpec, describe

from .asked import PICTURES, REAL, REFERENCES, ScoreRun, find, offered, runs_of


class Asked(Protocol):
    """The parameters that are read here."""

    pictures: int
    prompts: str | None
    scores: tuple[str, ...]
    real: str
    reference: str | None
    references: str


def accepted_scores(params: Asked, spec: PipelineSpec, seed: str, acceptance: Acceptance) -> tuple[ScoreRun, ...]:
    """The runs that take the scores; ``seed`` is the swept pipeline's parameter, if it has one. Raises ParameterError
    that names every wrong field.
    """
    wrong: list[FieldError] = []
    if (params.scores or params.pictures > 1) and spec.outputs != "image":
        wrong.append(FieldError("scores", "expected a pipeline that makes pictures", spec.id))
    if params.pictures > 1 and seed != "seed":
        wrong.append(FieldError("pictures", "expected 1: this pipeline has no seed, all would be the same"))
    if params.prompts and "prompt" not in {row.name for row in describe(spec.params)}:
        wrong.append(FieldError("prompts", "expected none: this pipeline takes no prompt"))
    known = offered(acceptance.pipelines.values())
    wanted = []
    for name in params.scores:
        found = find(name, known)
        if found is None:
            wrong.append(FieldError("scores", f"expected some of {', '.join(known) or 'none'}", name[:80]))
        else:
            wanted.append(found)
    runs = runs_of(wanted)
    wrong += [error for run in runs for error in _lacking(run, params, acceptance)]
    if wrong:
        raise ParameterError(list(dict.fromkeys(wrong)))
    return runs


def _lacking(run: ScoreRun, params: Asked, acceptance: Acceptance) -> list[FieldError]:
    """What a run would be short of."""
    wrong = [
        FieldError("pictures", f"expected at least {column.least} for {column.title}", str(params.pictures))
        for column in run.columns
        if params.pictures < column.least
    ]
    titles = ", ".join(column.title for column in run.columns)
    if REFERENCES in run.takes and not (params.reference or params.references.strip()):
        wrong.append(FieldError("reference", f"is required by {titles}"))
    if REAL in run.takes and not params.real.strip():
        wrong.append(FieldError("real", f"is required by {titles}, such as a folder or drawn:avatar"))
    elif REAL in run.takes:
        # The pipeline's own rules for the set; its pictures are not there yet, so that set stands for both.
        asked: dict[str, Any] = {**run.params, run.takes[PICTURES]: params.real, run.takes[REAL]: params.real}
        try:
            acceptance.freeze(run.pipeline, asked)
        except ParameterError as error:
            wrong += [FieldError("real", one.message, one.got) for one in error.fields if one.name == run.takes[REAL]]
    return wrong
