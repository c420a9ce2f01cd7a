"""Scores of cells as what is plotted: a score over the first axis, and over the time of a picture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from webui.api import Number

MOST_LINES = 6
"""Of one plot; what is left out stands in the table."""
TIME = "Seconds per picture"
FLOOR = "Real against real"
FRONT = "No other is as fast and better"


@dataclass(frozen=True)
class Mark:
    """A cell in a plot."""

    x: float
    number: Number
    label: str
    """What the cell is, for whoever points at it."""

    @property
    def words(self) -> str:
        """Name, value and interval."""
        one = self.number
        known = one.low is not None and one.high is not None
        return f"{self.label}: {one.value:.4g}" + (f" ({one.low:.4g} to {one.high:.4g})" if known else "")


@dataclass(frozen=True)
class Line:
    """Marks of one name, joined where ``joined``; ``dashed`` for what is only compared with."""

    name: str
    marks: tuple[Mark, ...]
    joined: bool = True
    dashed: bool = False


@dataclass(frozen=True)
class Panel:
    """One plot. ``ticks``: places of ``x`` that stand for words; none where it is a number."""

    title: str
    x_title: str
    y_title: str
    lines: tuple[Line, ...]
    ticks: tuple[tuple[float, str], ...] = ()
    named: bool = False
    """Whether each mark of the last line is labelled."""

    def data(self) -> dict[str, Any]:
        """As a plot artifact has it."""
        series = []
        for line in self.lines:
            points = [[one.x, one.number.value, *_ends(one.number)] for one in line.marks]
            series.append({"name": line.name, "line": line.joined, "points": points})
        return {"x": self.x_title, "y": self.y_title, "series": series}


def _ends(one: Number) -> list[float]:
    return [one.low, one.high] if one.low is not None and one.high is not None else []


@dataclass(frozen=True)
class Scores:
    """What is known of a cell: its label on each axis, x first, the others' labels together, and its scores."""

    x: Any
    x_label: str
    others: str
    label: str
    seconds: float | None
    numbers: Sequence[Number]

    def number(self, keys: Sequence[str]) -> Number | None:
        """The first of ``keys`` that was told."""
        return next((one for key in keys for one in self.numbers if one.key == key), None)


def over_axis(cells: Sequence[Scores], keys: Sequence[str], axis: str) -> Panel | None:
    """A line for each value of the other axes, and the floor. None where no cell has the score."""
    known = [(cell, one) for cell in cells if (one := cell.number(keys)) is not None]
    if not known:
        return None
    numeric = all(isinstance(cell.x, int | float) and not isinstance(cell.x, bool) for cell, _ in known)
    labels = list(dict.fromkeys(cell.x_label for cell in cells))
    lines: dict[str, list[Mark]] = {}
    for cell, one in known:
        x = float(cell.x) if numeric else 1.0 + labels.index(cell.x_label)
        lines.setdefault(cell.others, []).append(Mark(x, one, cell.label))
    shown = [Line(name, tuple(sorted(marks, key=lambda one: one.x))) for name, marks in lines.items()][:MOST_LINES]
    title = known[0][1].title
    ticks = () if numeric else tuple((1.0 + place, label) for place, label in enumerate(labels))
    return Panel(f"{title} over {axis}", axis, title, (*shown, *_floor(shown[0])), ticks)


def _floor(line: Line) -> list[Line]:
    """Of the cells of one line: that of others differs by chance alone."""
    marks = tuple(
        Mark(one.x, Number(one.number.key, FLOOR, value), f"{FLOOR}, {one.label}")
        for one in line.marks
        if (value := one.number.real_vs_real) is not None
    )
    return [Line(FLOOR, marks, dashed=True)] if marks else []


def against_time(cells: Sequence[Scores], keys: Sequence[str]) -> Panel | None:
    """Every cell, and a line through those of which no other is as fast and better. None where fewer than two are
    timed, or neither low nor high is better.
    """
    marks = [
        Mark(cell.seconds, one, cell.label)
        for cell in cells
        if cell.seconds is not None and (one := cell.number(keys)) is not None
    ]
    if len(marks) < 2 or marks[0].number.better not in ("lower", "higher"):
        return None
    title = marks[0].number.title
    lines = (Line(FRONT, tuple(front(marks)), dashed=True), Line(title, tuple(marks), joined=False))
    return Panel(f"{title} against time", TIME, title, lines, named=True)


def front(marks: Sequence[Mark]) -> list[Mark]:
    """The Pareto front by time: each takes longer than the one before and is better."""
    sign = -1.0 if marks[0].number.better == "higher" else 1.0
    kept: list[Mark] = []
    for mark in sorted(marks, key=lambda one: (one.x, sign * one.number.value)):
        if not kept or sign * mark.number.value < sign * kept[-1].number.value:
            kept.append(mark)
    return kept


def row_of(numbers: Sequence[Number]) -> dict[str, float | str]:
    """Columns of the table: each score with its interval and its floor."""
    row: dict[str, float | str] = {}
    for one in numbers:
        row[one.title] = one.value
        ends = {"low": one.low, "high": one.high, "real against real": one.real_vs_real}
        row |= {f"{one.title} {name}": value for name, value in ends.items() if value is not None}
    return row


def axis_ticks(values: Sequence[float]) -> list[float]:
    """Round steps of 1, 2 or 5 times a power of ten within the span of ``values`` and one beyond."""
    low, high = min(values), max(values)
    span = (high - low) or abs(high) or 1.0
    power = 10.0 ** math.floor(math.log10(span / 4))
    step = next(power * factor for factor in (1, 2, 5, 10) if span / (power * factor) <= 5)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(step * tick, 10) for tick in range(first, max(last, first + 1) + 1)]
