"""What became of the cells: kept in the job's folder while they are made, then the rows of the table."""

from __future__ import annotations

import csv
import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from webui.api import Number

from .plan import Cell, Plan
from .scores.series import row_of

DEATHS_TO_GIVE_UP = 2
"""Times that the worker may die in a cell before that cell is left out."""


@dataclass
class Result:
    """Of one cell. ``numbers`` become columns of the table, by their names."""

    cell: Cell
    paths: tuple[Path, ...] = ()
    """Of its pictures, as far as they are kept."""
    error: str = ""
    seconds: float | None = None
    seed: int | None = None
    seconds_per_picture: float | None = None
    """Of cells that are scored, or have several."""
    numbers: dict[str, float] = field(default_factory=dict)
    scores: list[Number] = field(default_factory=list)

    @property
    def state(self) -> str:
        return "failed" if self.error else "done" if self.paths or self.numbers else "missing"


class Journal:
    """Beginnings and ends of cells, a line each, on disk at once: what an attempt tells the next one."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._open: dict[int, int] = {}
        self.seconds: dict[int, float] = {}
        """Of finished cells, by their index."""
        for row in _lines(path):
            self._take(row)

    def deaths(self, cell: Cell) -> int:
        """How often ``cell`` was begun and neither ended nor left in order."""
        return self._open.get(cell.index, 0)

    def began(self, cell: Cell) -> None:
        self._write({"cell": cell.index, "what": "began"})

    def ended(self, cell: Cell, seconds: float | None = None) -> None:
        """Without ``seconds``: it was left unfinished."""
        self._write({"cell": cell.index, "what": "ended", "seconds": seconds})

    def recall(self, table: Path | None, cells: Sequence[Cell]) -> None:
        """Times of cells from the table of an earlier attempt that was stopped, whose folder is gone."""
        rows = read_table(table) if table is not None else {}
        for cell in cells:
            if cell.index not in self.seconds and (text := rows.get(cell.index, {}).get("seconds")):
                self.seconds[cell.index] = float(text)

    def _write(self, row: Mapping[str, Any]) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self._take(row)

    def _take(self, row: Mapping[str, Any]) -> None:
        index = int(row["cell"])
        if row["what"] == "began":
            self._open[index] = self._open.get(index, 0) + 1
            return
        self._open[index] = 0
        if row.get("seconds") is not None:
            self.seconds[index] = float(row["seconds"])


def _lines(path: Path) -> list[Mapping[str, Any]]:
    """The whole lines of a journal; a last one that was cut short is none."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    rows = []
    for line in text.splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict) and isinstance(row.get("cell"), int) and row.get("what") in ("began", "ended"):
            rows.append(row)
    return rows


def read_table(path: Path) -> dict[int, dict[str, str]]:
    """A table that ``table`` made, by the index of the cell; nothing where it cannot be read."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return {int(row["cell"]): row for row in csv.DictReader(file)}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def table(plan: Plan, results: Sequence[Result]) -> list[dict[str, Any]]:
    """A row a cell: where it is, its values on the axes, how long it took, what became of it, its numbers."""
    numbers = [{**result.numbers, **row_of(result.scores)} for result in results]
    names = dict.fromkeys(name for one in numbers for name in one)
    timed = any(result.seconds_per_picture is not None for result in results)
    rows = []
    for result, known in zip(results, numbers, strict=True):
        cell = result.cell
        values = {axis.column: _plain(axis.values[cell.at["xyz".index(axis.letter)]]) for axis in plan.axes}
        rows.append(
            {
                **values,
                "cell": cell.index,
                "state": result.state,
                "seed": result.seed if result.seed is not None else "",
                "seconds": _rounded(result.seconds, 3),
                **({"seconds_per_picture": _rounded(result.seconds_per_picture, 4)} if timed else {}),
                **{name: known.get(name, "") for name in names},
                "error": result.error,
            }
        )
    return rows


def _rounded(value: float | None, digits: int) -> float | str:
    return "" if value is None else round(value, digits)


def scalars_of(path: Path) -> dict[str, float]:
    """The numbers of a scalar artifact: one, or those of an object and of the objects in it, named by their path."""
    found: dict[str, float] = {}
    _gather(json.loads(path.read_text(encoding="utf-8")), "", found)
    return found


def _gather(value: Any, name: str, found: dict[str, float]) -> None:
    if isinstance(value, dict):
        for key, one in value.items():
            _gather(one, f"{name}.{key}" if name else str(key), found)
    elif isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        found[name or "value"] = float(value)


def _plain(value: Any) -> str | int | float | bool:
    return value if isinstance(value, str | int | float | bool) else "" if value is None else str(value)
