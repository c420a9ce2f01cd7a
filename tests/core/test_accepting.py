"""Accepting a job: parameters are frozen, then the pipeline itself may look at them and at the application."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from webui import api
from webui.core.accepting import Acceptor
from webui.core.errors import ExtensionError, FieldError, NotFound, ParameterError


class Paint(api.Params):
    model: str = api.model()
    steps: int | None = api.integer(None, minimum=1, maximum=50, label="Steps", auto=20)
    seed: int = api.seed()
    image: str | None = api.image(label="Image")


class Many(api.Params):
    pipeline: str = api.text("easel.paint", label="Pipeline")
    params: api.ParameterValues = api.parameters("pipeline", label="Its parameters")


@dataclass(frozen=True)
class Entry:
    ref: str
    usable: bool = True
    recommended: Mapping[str, Any] = field(default_factory=dict)


class Models:
    rows = (Entry("fast", recommended={"steps": 4}), Entry("broken", usable=False), Entry("fine"))

    def resolve(self, ref: str, kind: str = "") -> Entry:
        if not ref:
            return self.rows[2]
        for row in self.rows:
            if row.ref == ref:
                return row
        raise NotFound(f"there is no model {ref!r}.")

    def entries(self, kind: str = "") -> tuple[Entry, ...]:
        return self.rows


def acceptor(accept: Any) -> Acceptor:
    specs = (
        api.PipelineSpec("easel.paint", "Paint", Paint, ".work:Paint"),
        api.PipelineSpec("many.paint", "Many", Many, ".work:Many", accept=accept),
    )
    settings = {"many": {"most": 7}}
    return Acceptor(
        {spec.id: spec for spec in specs},
        Models(),
        lambda row, value: f"upload:{value}",
        settings.get,
        lambda path, field: Path(path),
    )  # type: ignore[arg-type]


def run(accept: Any, **raw: Any) -> dict[str, Any]:
    made = acceptor(accept)
    return made(made.pipelines["many.paint"], raw)


def test_a_pipeline_freezes_what_it_holds() -> None:
    def accept(params: Many, desk: api.Acceptance) -> dict[str, Any]:
        assert desk.settings == {"most": 7}
        assert desk.models("text_to_image") == ["fast", "fine"]
        assert "easel.paint" in desk.pipelines
        return {**params.model_dump(), "params": desk.freeze(params.pipeline, params.params)}

    held = run(accept, params={"model": "fast", "image": "a"})["params"]
    assert held["seed"] >= 0
    assert held == {"model": "fast", "steps": 4, "seed": held["seed"], "image": "upload:a"}
    assert run(accept)["params"]["steps"] == 20
    with pytest.raises(NotFound, match=r"no pipeline 'easel\.draw'"):
        run(accept, pipeline="easel.draw")


def test_its_refusal_reaches_the_user_and_its_fault_names_it() -> None:
    def refuse(params: Many, desk: api.Acceptance) -> dict[str, Any]:
        raise ParameterError([FieldError("params", "are too many")])

    def fail(params: Many, desk: api.Acceptance) -> dict[str, Any]:
        raise KeyError("oops")

    with pytest.raises(ParameterError, match="are too many"):
        run(refuse)
    with pytest.raises(ExtensionError, match="'many' could not look at the parameters: KeyError: 'oops'"):
        run(fail)
    with pytest.raises(ParameterError, match="colour: there is no such parameter"):
        run(lambda params, desk: {"colour": 1})
