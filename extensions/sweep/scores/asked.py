"""Which scores a sweep asks for: names -> the runs of other pipelines that take them. Light: in the web process."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from webui.api import Measure, PipelineSpec

PICTURES, REAL, REFERENCES = "pictures", "real", "references"
_KNOWN = frozenset({PICTURES, REAL, REFERENCES})


@dataclass(frozen=True)
class Column:
    """One score that was asked for: the first of ``keys`` that is told is plotted."""

    title: str
    keys: tuple[str, ...]
    better: str
    least: int


@dataclass(frozen=True)
class ScoreRun:
    """A run of ``pipeline`` over the pictures of a cell, and the columns that it gives."""

    pipeline: str
    params: Mapping[str, Any]
    takes: Mapping[str, str]
    columns: tuple[Column, ...]

    @property
    def least(self) -> int:
        """Pictures without which none of its scores is defined."""
        return min(column.least for column in self.columns)

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "columns": [asdict(column) for column in self.columns]}

    @staticmethod
    def from_json(body: Mapping[str, Any]) -> ScoreRun:
        columns = tuple(Column(**{**one, "keys": tuple(one["keys"])}) for one in body["columns"])
        return ScoreRun(body["pipeline"], body["params"], body["takes"], columns)


def offered(pipelines: Iterable[PipelineSpec]) -> dict[str, tuple[str, Measure]]:
    """Id of a measure -> its pipeline, and itself; those that take what a sweep cannot give are left out."""
    return {
        one.id: (spec.id, one)
        for spec in pipelines
        for one in spec.measures
        if PICTURES in one.takes and one.takes.keys() <= _KNOWN
    }


def find(name: str, known: Mapping[str, tuple[str, Measure]]) -> tuple[str, Measure] | None:
    """By id, or by what follows the extension in it where that is one's alone."""
    if name in known:
        return known[name]
    short = [one for id_, one in known.items() if id_.partition(".")[2] == name]
    return short[0] if len(short) == 1 else None


def runs_of(wanted: Sequence[tuple[str, Measure]]) -> tuple[ScoreRun, ...]:
    """As few runs as take all of them: those of one pipeline go together unless a parameter has two values."""
    runs: list[ScoreRun] = []
    for pipeline, measure in wanted:
        column = Column(measure.title, measure.keys, measure.better, measure.least)
        for place, run in enumerate(runs):
            params = _joined(run.params, measure.params)
            if run.pipeline == pipeline and dict(run.takes) == dict(measure.takes) and params is not None:
                runs[place] = ScoreRun(pipeline, params, run.takes, (*run.columns, column))
                break
        else:
            runs.append(ScoreRun(pipeline, dict(measure.params), dict(measure.takes), (column,)))
    return tuple(runs)


def _joined(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any] | None:
    """Both: lists joined. None where they differ in anything else."""
    joined = dict(one)
    for name, value in other.items():
        if isinstance(value, list | tuple) and isinstance(joined.get(name, []), list | tuple):
            joined[name] = list(dict.fromkeys([*joined.get(name, []), *value]))
        elif joined.setdefault(name, value) != value:
            return None
    return joined
