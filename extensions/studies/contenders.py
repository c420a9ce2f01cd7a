"""When an arena is accepted: each contender's parameters are frozen; what is wrong is said before anything runs.

Light: it runs in the web process.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from webui.api import Acceptance, FieldError, LifelikeError, ParameterError, PipelineSpec, describe

from .accepting import MOST_SETS
from .params import ArenaParams


def accept_arena(params: ArenaParams, acceptance: Acceptance) -> Mapping[str, Any]:
    """``params`` with its plan. Raises ParameterError."""
    prompts = [line.strip() for line in params.prompts.splitlines() if line.strip()]
    lines = [line.strip() for line in params.contenders.splitlines() if line.strip()]
    if not 2 <= len(lines) <= MOST_SETS:
        raise _wrong("contenders", f"expected 2 to {MOST_SETS} contenders, a line each", str(len(lines)))
    contenders: list[tuple[str, str, dict[str, Any]]] = []
    for line in lines:
        name, pipeline, own = _read(line, params.pipeline)
        if name.casefold() in (other.casefold() for other, _, _ in contenders):
            raise _wrong("contenders", f"expected another name than that of the set before: {name!r}")
        spec = _drawing(pipeline, acceptance)
        contenders.append((name, spec.id, _settled(name, spec, params, own, prompts, acceptance)))
    plan = {"contenders": contenders, "prompts": prompts, "first_seed": params.seed}
    return {**params.model_dump(), "plan": json.loads(json.dumps(plan))}


def _read(line: str, usual: str) -> tuple[str, str, dict[str, Any]]:
    """Name = [pipeline] {parameters}."""
    name, equals, rest = (part.strip() for part in line.partition("="))
    pipeline, brace, body = rest.partition("{")
    if not (name and equals and rest) or len(name) > 80:
        raise _wrong("contenders", 'expected lines such as Few steps = {"steps": 5}', repr(line[:80]))
    try:
        own = json.loads(brace + body) if brace else {}
    except (ValueError, RecursionError):
        raise _wrong("contenders", "expected a JSON object after the name", repr(line[:80])) from None
    return name, pipeline.strip() or usual, own


def _drawing(name: str, acceptance: Acceptance) -> PipelineSpec:
    """A pipeline that draws one picture from a seed. Raises ParameterError."""
    found = [spec for spec in acceptance.pipelines.values() if name == spec.id] or [
        spec for spec in acceptance.pipelines.values() if name == spec.name
    ]
    if len(found) != 1:
        raise _wrong("pipeline", "expected the id of a pipeline", repr(name[:80]))
    rows = describe(found[0].params)
    if found[0].outputs != "image" or any(row.kind == "parameters" for row in rows):
        raise _wrong("pipeline", "expected one that draws pictures, and runs no other", found[0].id)
    if not any(row.kind == "seed" and row.name == "seed" for row in rows):
        raise _wrong("pipeline", "expected one with a seed: contenders draw from the same", found[0].id)
    return found[0]


def _settled(
    name: str,
    spec: PipelineSpec,
    params: ArenaParams,
    own: Mapping[str, Any],
    prompts: list[str],
    acceptance: Acceptance,
) -> dict[str, Any]:
    """What a contender is run with, but for prompt and seed; each was looked at with every prompt."""
    declared = {row.name for row in describe(spec.params)}
    if prompts and "prompt" not in declared:
        raise _wrong("prompts", "expected none: this pipeline takes no prompt", spec.id)
    # Of another pipeline than the usual one only those common parameters that it has.
    common = {key: value for key, value in params.params.items() if spec.id == params.pipeline or key in declared}
    raw = {**common, **own}
    frozen: dict[str, Any] = {}
    for text in prompts or [None]:
        try:
            given = {**raw, "seed": params.seed, **({"prompt": text} if text is not None else {})}
            frozen = acceptance.freeze(spec.id, given)
        except ParameterError as error:
            told = [
                FieldError(_field(one.name, own), f"{name}: {one.name}: {one.message}", one.got) for one in error.fields
            ]
            raise ParameterError(told, hint=error.hint) from None
        except LifelikeError as error:
            raise _wrong("contenders", f"{name}: {error}") from None
    automatic = {row.name for row in describe(spec.params) if row.auto is not None and raw.get(row.name) is None}
    return {key: value for key, value in frozen.items() if key not in automatic | {"seed"}}


def _field(name: str, own: Mapping[str, Any]) -> str:
    """Where what is wrong was said."""
    return "contenders" if name in own else "prompts" if name == "prompt" else "params"


def _wrong(field: str, message: str, got: str = "") -> ParameterError:
    return ParameterError([FieldError(field, message, got)])
