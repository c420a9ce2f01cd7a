"""Quality against cost: a parameter of a pipeline over several values, score and time of each -> plots and a table."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from webui.api import Artifact, Context, JobFailed

from .params import TradeoffParams

COMPARE = "metrics.compare"


@dataclass(frozen=True)
class Point:
    """One value of the parameter: its scores, and how long a picture took."""

    value: Any
    scores: Mapping[str, Mapping[str, Any]]
    seconds: float

    def row(self, parameter: str) -> dict[str, Any]:
        """Of the table: value, time, then each score with its interval."""
        row: dict[str, Any] = {parameter: self.value, "seconds_per_picture": round(self.seconds, 4)}
        for name, one in self.scores.items():
            row |= {name: one["value"], f"{name} low": one["low"], f"{name} high": one["high"]}
        return row


class Tradeoff:
    """metrics.tradeoff: a run of metrics.compare for each value, all else equal."""

    def run(self, params: TradeoffParams, context: Context) -> Iterator[Artifact]:
        """Artifacts: numbers of each value (from index 4 on), then plot against the parameter, plot against time, table
        and JSON. What is on disk of an earlier attempt is not computed again. Raises JobFailed.
        """
        values = list(params.values)
        context.pending(_FIRST + len(values), [0.001] * _FIRST + [1.0] * len(values))
        if any(context.saved(_FIRST + place) is None for place in range(len(values))):
            self._warm(params, context)
        points = []
        for place, value in enumerate(values):
            points.append(self._point(params, value, _FIRST + place, context))
        names = [name for name in points[0].scores if all(name in point.scores for point in points)]
        if not names:
            raise JobFailed("no score is there for all values.")
        chosen = names[0]
        title = f"{chosen} over {params.parameter}"
        yield Artifact("plot", against(points, chosen, params.parameter), index=0, title=title)
        yield Artifact("plot", pareto(points, chosen), index=1, title=f"{chosen} against time")
        yield Artifact("table", [point.row(params.parameter) for point in points], index=2, title=title)
        numbers = [{"value": p.value, "seconds_per_picture": p.seconds, "scores": dict(p.scores)} for p in points]
        file = context.work_dir / "tradeoff.json"
        file.write_text(json.dumps({"parameter": params.parameter, "points": numbers}, indent=1), encoding="utf-8")
        yield Artifact("file", file, index=3, title=f"{title}, as JSON")

    def _warm(self, params: TradeoffParams, context: Context) -> None:
        """The real set is read and the pipeline's models are loaded, so that the first value is timed as the others."""
        real = {"real": params.real, "real_file": params.real_file, "samples": params.samples}
        try:
            context.run("metrics.statistics", {**real, "network": params.network}, take=_forget)
        except JobFailed as error:
            context.log.info("the real set is not read before: %s", error)  # it is statistics, or cannot be read at all
        first = {**params.params, params.parameter: params.values[0], "seed": params.seed}
        context.run(params.pipeline, first, take=_forget)

    def _point(self, params: TradeoffParams, value: Any, index: int, context: Context) -> Point:
        done = context.saved(index)
        times = context.work_dir / f"seconds-{index}.json"
        if done is None or not times.is_file():
            began = time.monotonic()
            asked = {
                "real": params.real,
                "real_file": params.real_file,
                "pipeline": params.pipeline,
                "params": {**params.params, params.parameter: value},
                "prompts": params.prompts,
                "samples": params.samples,
                "network": params.network,
                "scores": list(params.scores) or ["fd", "kd"],
                "seed": params.seed,
            }
            context.run(COMPARE, asked, index=index, title=f"{params.parameter} {value}")
            times.write_text(json.dumps((time.monotonic() - began) / params.samples), encoding="utf-8")
            done = context.saved(index)
        if done is None:
            raise JobFailed(f"the scores of {params.parameter} {value} are gone.")
        told = json.loads(done.read_text(encoding="utf-8"))
        ordered = {name: told["scores"][name] for name in told.get("order", told["scores"])}
        return Point(value, ordered, float(json.loads(times.read_text(encoding="utf-8"))))


def _forget(artifact: Artifact) -> None:
    """Made for what making it leaves behind."""


_FIRST = 4
"""Artifacts before those of the values."""


def against(points: Sequence[Point], name: str, parameter: str) -> dict[str, Any]:
    """The score over the parameter with its interval; values that are no numbers stand at 1, 2, 3."""
    numeric = all(isinstance(point.value, int | float) for point in points)
    at = [point.value if numeric else place for place, point in enumerate(points, 1)]
    measured = [_with_bars(x, point, name) for x, point in zip(at, points, strict=True)]
    series: list[dict[str, Any]] = [{"name": name, "line": True, "points": measured}]
    floors = [(x, point.scores[name]["real_vs_real"]) for x, point in zip(at, points, strict=True)]
    known = [[x, floor] for x, floor in floors if floor is not None]
    if known:
        series.append({"name": "real against real", "line": True, "points": known})
    return {"x": parameter, "y": name, "series": series}


def pareto(points: Sequence[Point], name: str) -> dict[str, Any]:
    """The score over the time of a picture; a line joins those that no other beats in both."""
    best = [[point.seconds, point.scores[name]["value"]] for point in front(points, name)]
    everyone = [_with_bars(point.seconds, point, name) for point in points]
    series = [
        {"name": "no other is as fast and better", "line": True, "points": best},
        {"name": "all", "points": everyone},
    ]
    return {"x": "seconds per picture", "y": name, "series": series}


def front(points: Sequence[Point], name: str) -> list[Point]:
    """Points of which no other is as fast and better, by time."""
    sign = -1.0 if points[0].scores[name].get("better") == "higher" else 1.0
    kept: list[Point] = []
    for point in sorted(points, key=lambda p: (p.seconds, sign * p.scores[name]["value"])):
        if not kept or sign * point.scores[name]["value"] < sign * kept[-1].scores[name]["value"]:
            kept.append(point)
    return kept


def _with_bars(x: float, point: Point, name: str) -> list[float]:
    one = point.scores[name]
    ends = [one["low"], one["high"]] if one["low"] is not None and one["high"] is not None else []
    return [x, one["value"], *ends]
