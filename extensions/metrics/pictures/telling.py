"""Rows of single scores -> what a person is shown: numbers with intervals, tables, histograms, the record."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from extensions.metrics import records
from extensions.metrics.sets.interval import of_means
from webui.api import Artifact, Context

Row = dict[str, Any]
Better = Literal["lower", "higher", ""]
_BARS = 24


@dataclass(frozen=True)
class Column:
    """A score in the rows. ``better``: which numbers are; empty where neither is."""

    key: str
    title: str
    better: Better = ""


class RowFile:
    """The rows so far, a line each in the job's folder: a run that was cut off goes on after them."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.rows: list[Row] = []
        if path.is_file():
            whole = [line for line in path.read_text(encoding="utf-8").splitlines(keepends=True) if line[-1:] == "\n"]
            self.rows = [json.loads(line) for line in whole]
            path.write_text("".join(whole), encoding="utf-8")

    def __len__(self) -> int:
        return len(self.rows)

    def add(self, rows: Sequence[Row]) -> None:
        """On disk when it returns."""
        with self._path.open("a", encoding="utf-8") as file:
            file.write("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
        self.rows += rows


@dataclass
class Told:
    """What a pipeline found."""

    title: str
    rows: Sequence[Row]
    columns: Sequence[Column]
    protocol: Mapping[str, Any]
    further: Mapping[str, Any] = field(default_factory=dict)
    """Numbers beside the columns' means."""
    unit: str = "pictures"
    histograms: bool = True
    more: Sequence[Artifact] = ()
    """Shown after the tables; their index is set here."""

    @property
    def count(self) -> int:
        """How many artifacts ``artifacts`` makes, as far as ``more`` is known."""
        return 4 + len(self.more) + (len(self.columns) if self.histograms else 0)


def finite(rows: Sequence[Row], key: str) -> list[float]:
    """The numbers of a column; what is missing or infinite is left out."""
    found = (row.get(key) for row in rows)
    return [float(value) for value in found if isinstance(value, int | float) and math.isfinite(value)]


def summary(rows: Sequence[Row], columns: Sequence[Column], unit: str = "pictures") -> list[Row]:
    """A row a column that has numbers: the mean with its 95% interval (Student), and how the numbers are spread."""
    told = []
    for column in columns:
        values = finite(rows, column.key)
        if not values:
            continue
        array = np.array(values)
        alike = len(array) > 1 and bool(array.min() == array.max())
        estimate = of_means(values, way=f"none: all {unit} have the same" if alike else f"Student, over {unit}")
        known = not alike and math.isfinite(estimate.low)
        told.append(
            {
                "key": column.key,
                "score": column.title,
                "value": estimate.value,
                "low": estimate.low if known else None,
                "high": estimate.high if known else None,
                "median": float(np.median(array)),
                "deviation": float(array.std(ddof=1)) if len(array) > 1 else None,
                "least": float(array.min()),
                "most": float(array.max()),
                "n": len(values),
                "better": column.better,
                "interval": estimate.way,
            }
        )
    return told


def histogram(column: Column, values: Sequence[float]) -> dict[str, Any]:
    """How often a number is met: the centres of bars of one width, and how many numbers each has."""
    counts, edges = np.histogram(values, bins=min(_BARS, max(4, round(math.sqrt(len(values))))))
    centres = (edges[:-1] + edges[1:]) / 2
    points = [[float(x), int(y)] for x, y in zip(centres, counts, strict=True)]
    return {"x": column.title, "y": "How often", "series": [{"name": column.title, "bars": True, "points": points}]}


def artifacts(context: Context, told: Told) -> Iterator[Artifact]:
    """The numbers, the table of each row, the table of means, the record; histograms; what is further shown."""
    found = summary(told.rows, told.columns, told.unit)
    scores = {row["score"]: {name: value for name, value in row.items() if name != "score"} for row in found}
    numbers = {"scores": scores, **told.further, "protocol": dict(told.protocol)}
    yield Artifact("scalar", plain(numbers), index=0, title=told.title)
    yield Artifact("table", [_shown(row) for row in told.rows], index=1, title=f"Scores of {told.unit}")
    shown = [{name: value for name, value in row.items() if name != "key"} for row in found]
    yield Artifact("table", [_shown(row) for row in shown], index=2, title="Scores")
    text = records.lines([plain(row) for row in found], plain(told.protocol))
    file = context.work_dir / "scores.jsonl"
    file.write_text(text or "{}\n", encoding="utf-8")
    if context.settings.get("history", True) and text:
        records.keep(context.folders("metrics")[0], text, job=context.job.id)
    yield Artifact("file", file, index=3, title="Record")
    index = 4
    for column in told.columns if told.histograms else ():
        if len(values := finite(told.rows, column.key)) >= 8:
            yield Artifact("plot", histogram(column, values), index=index, title=column.title)
            index += 1
    for one in told.more:
        yield Artifact(one.kind, one.data, index=index, title=one.title)
        index += 1


def plain(value: Any) -> Any:
    """As JSON has it: numbers that are not finite become None."""
    if isinstance(value, Mapping):
        return {str(name): plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _shown(row: Row) -> Row:
    """A flat row for a table: a list as text, infinity as a word."""
    return {name: _cell(value) for name, value in row.items()}


def _cell(value: Any) -> Any:
    if isinstance(value, list | tuple | dict):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, float) and not math.isfinite(value):
        return "" if math.isnan(value) else "inf" if value > 0 else "-inf"
    return "" if value is None else value


def teller(context: Context, words: str) -> Callable[[int, int], None]:
    """Tells the progress of a stage; raises Cancelled."""
    return lambda done, total: context.progress(done, total, words)
