"""Quality against cost: which points are worth it, and a run over two values."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from extensions.metrics.params import TradeoffParams
from extensions.metrics.tradeoff import Point, against, front, pareto
from webui.api import ParameterError
from webui.testing import Outcome


def point(value: object, seconds: float, score: float, better: str = "lower") -> Point:
    one = {"value": score, "low": score - 1, "high": score + 1, "real_vs_real": 0.5, "better": better}
    return Point(value, {"FD": one}, seconds)


def test_the_front_holds_what_no_other_beats() -> None:
    points = [point(5, 1.0, 9), point(10, 2.0, 4), point(15, 2.5, 5), point(20, 4.0, 3), point(25, 4.0, 3.5)]
    assert [one.value for one in front(points, "FD")] == [5, 10, 20]
    higher = [point(5, 1.0, 9, "higher"), point(10, 2.0, 4, "higher"), point(20, 3.0, 10, "higher")]
    assert [one.value for one in front(higher, "FD")] == [5, 20]
    plot = pareto(points, "FD")
    assert plot["series"][0]["points"] == [[1.0, 9], [2.0, 4], [4.0, 3]]
    assert plot["series"][1]["points"][0] == [1.0, 9, 8, 10]


def test_values_that_are_no_numbers_stand_side_by_side() -> None:
    plot = against([point("euler", 1.0, 9), point("ddim", 1.0, 8)], "FD", "sampler")
    assert [row[0] for row in plot["series"][0]["points"]] == [1, 2]
    assert plot["series"][1]["points"] == [[1, 0.5], [2, 0.5]]


@pytest.mark.parametrize(
    ("text", "values"), [("5, 10, 20", (5, 10, 20)), ("1.5,2", (1.5, 2)), ("euler, ddim", ("euler", "ddim"))]
)
def test_values_are_numbers_where_they_are(text: str, values: tuple[object, ...]) -> None:
    assert TradeoffParams(values=text).values == values  # type: ignore[arg-type]
    assert TradeoffParams(values=values).values == values


def test_a_run_has_plots_a_table_and_each_values_scores(score: Callable[..., Outcome], real: Path) -> None:
    asked = {"pipeline": "starter.draw", "params": {"domain": "avatar"}, "parameter": "width", "values": "16, 32"}
    outcome = score("tradeoff", real=real, samples=12, scores=("fd",), **asked)
    assert outcome.state == "done", outcome.error
    kinds = {record.index: record.kind for record in outcome.records}
    assert kinds == {0: "plot", 1: "plot", 2: "table", 3: "file", 4: "scalar", 5: "scalar"}
    by_index = {record.index: path for record, path in zip(outcome.records, outcome.paths, strict=True)}
    plot = json.loads(by_index[0].read_text(encoding="utf-8"))
    assert [row[0] for row in plot["series"][0]["points"]] == [16, 32]
    rows = by_index[2].read_text(encoding="utf-8").splitlines()
    assert rows[0].split(",")[:3] == ["width", "seconds_per_picture", "FD-starter"]
    assert len(rows) == 3
    with pytest.raises(ParameterError, match="values"):
        score("tradeoff", real=real, samples=12, **{**asked, "values": "16, wide"})
