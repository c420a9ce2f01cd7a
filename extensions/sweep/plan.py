"""A whole sweep: axes and what they have in common become cells, each with its parameters, its place and its turn."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .axes import LETTERS, Axis
from .scores.asked import ScoreRun

FILES = 3
"""Beside the plots of scores: the sheet of them as SVG and as a picture, and all numbers as JSON."""
_EXTRA_SHARE = 0.02
"""Of a cell's work, what drawing a grid or writing the table takes."""
_SEED_LIMIT = 2**63


@dataclass(frozen=True)
class Cell:
    """``at``: column, row and grid. ``index``: of its artifact in the job."""

    at: tuple[int, int, int]
    index: int
    params: Mapping[str, Any]
    title: str


@dataclass(frozen=True)
class Plan:
    """``base``: parameters of every cell, without seeds or files that are still open."""

    pipeline: str
    base: Mapping[str, Any]
    axes: tuple[Axis, ...]
    seed_name: str = ""
    """The seed that is varied; empty: none is."""
    vary: str = ""
    """cells, x, y or z."""
    pictures: int = 1
    """Of each cell, picture i with the cell's seed + i."""
    keep: int = 1
    """How many of them become artifacts: those from the cell's ``index`` on."""
    scores: tuple[ScoreRun, ...] = ()

    def to_json(self) -> dict[str, Any]:
        axes = [axis.to_json() for axis in self.axes]
        body = {"base": dict(self.base), "axes": axes, "seed_name": self.seed_name, "vary": self.vary}
        scores = [run.to_json() for run in self.scores]
        return {**body, "pictures": self.pictures, "keep": self.keep, "scores": scores}

    @staticmethod
    def from_json(pipeline: str, body: Mapping[str, Any]) -> Plan:
        """Raises KeyError, TypeError for what ``to_json`` never made."""
        axes = tuple(Axis.from_json(axis) for axis in body["axes"])
        scores = tuple(ScoreRun.from_json(one) for one in body.get("scores", ()))
        counts = int(body.get("pictures", 1)), int(body.get("keep", 1))
        return Plan(pipeline, body["base"], axes, body["seed_name"], body["vary"], *counts, scores)

    @property
    def several(self) -> bool:
        """Whether cells are made as sets: they are scored, or have several pictures."""
        return self.pictures > 1 or bool(self.scores)

    def axis(self, letter: str) -> Axis | None:
        return next((axis for axis in self.axes if axis.letter == letter), None)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Columns, rows, grids."""
        columns, rows, grids = (len(axis.values) if (axis := self.axis(letter)) else 1 for letter in LETTERS)
        return columns, rows, grids

    # Artifacts of the job: what shows everything, a grid for each z where there are several, the table, plots and files
    # of scores where there are any, the cells.

    @property
    def grid_indices(self) -> range:
        """Of the single grids; none where there is one alone, which is the overview itself."""
        grids = self.shape[2]
        return range(1, grids + 1) if grids > 1 else range(1, 1)

    @property
    def table_index(self) -> int:
        return self.grid_indices.stop

    @property
    def plots_index(self) -> int:
        """Of the first plot: two of each score, then three files."""
        return self.table_index + 1

    @property
    def cells_index(self) -> int:
        """Of the first cell."""
        scores = sum(len(run.columns) for run in self.scores)
        return self.plots_index + (2 * scores + FILES if scores else 0)

    @property
    def total(self) -> int:
        return self.cells_index + math.prod(self.shape) * self.keep

    def cells(self) -> list[Cell]:
        """In the order of their indices: by row, columns first."""
        columns, rows, grids = self.shape
        places = itertools.product(range(grids), range(rows), range(columns))
        first = self.cells_index
        return [self._cell((x, y, z), first + place * self.keep) for place, (z, y, x) in enumerate(places)]

    def _cell(self, at: tuple[int, int, int], index: int) -> Cell:
        places = dict(zip(LETTERS, at, strict=True))
        params = dict(self.base)
        for axis in sorted(self.axes, key=lambda axis: bool(axis.search)):
            axis.put(params, places[axis.letter])
        if self.seed_name and self.vary:
            columns, rows, _ = self.shape
            offsets = {**places, "cells": (at[2] * rows + at[1]) * columns + at[0]}
            params[self.seed_name] = (int(params[self.seed_name]) + offsets[self.vary] * self.pictures) % _SEED_LIMIT
        title = ", ".join(f"{axis.title} {axis.labels[places[axis.letter]]}" for axis in self.axes)
        return Cell(at, index, params, title)

    def in_turn(self, cells: Sequence[Cell]) -> list[Cell]:
        """So that the axis whose change costs most changes least often; among equals z, then y."""
        order = sorted(self.axes, key=lambda axis: (-axis.cost, -LETTERS.index(axis.letter)))
        return sorted(cells, key=lambda cell: [cell.at[LETTERS.index(axis.letter)] for axis in order])

    def weights(self) -> list[float]:
        """How much of the work each artifact is: steps times pixels, as far as the parameters say."""
        cells = [
            math.prod(float(value) for name in ("steps", "width", "height") if (value := _size(cell.params.get(name))))
            for cell in self.cells()
        ]
        extra = _EXTRA_SHARE * sum(cells) / len(cells)
        return [extra] * self.cells_index + [one / self.keep for one in cells for _ in range(self.keep)]


def _size(value: Any) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) and value > 0 else 0.0
