"""A whole sweep: axes and what they have in common become cells, each with its parameters, its place and its turn."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .axes import LETTERS, Axis

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

    def to_json(self) -> dict[str, Any]:
        axes = [axis.to_json() for axis in self.axes]
        return {"base": dict(self.base), "axes": axes, "seed_name": self.seed_name, "vary": self.vary}

    @staticmethod
    def from_json(pipeline: str, body: Mapping[str, Any]) -> Plan:
        """Raises KeyError, TypeError for what ``to_json`` never made."""
        axes = tuple(Axis.from_json(axis) for axis in body["axes"])
        return Plan(pipeline, body["base"], axes, body["seed_name"], body["vary"])

    def axis(self, letter: str) -> Axis | None:
        return next((axis for axis in self.axes if axis.letter == letter), None)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Columns, rows, grids."""
        columns, rows, grids = (len(axis.values) if (axis := self.axis(letter)) else 1 for letter in LETTERS)
        return columns, rows, grids

    # Artifacts of the job: what shows everything, a grid for each z where there are several, the table, the cells.

    @property
    def grid_indices(self) -> range:
        """Of the single grids; none where there is one alone, which is the overview itself."""
        grids = self.shape[2]
        return range(1, grids + 1) if grids > 1 else range(1, 1)

    @property
    def table_index(self) -> int:
        return self.grid_indices.stop

    @property
    def total(self) -> int:
        return self.table_index + 1 + math.prod(self.shape)

    def cells(self) -> list[Cell]:
        """In the order of their indices: by row, columns first."""
        columns, rows, grids = self.shape
        places = itertools.product(range(grids), range(rows), range(columns))
        first = self.table_index + 1
        return [self._cell((x, y, z), first + place) for place, (z, y, x) in enumerate(places)]

    def _cell(self, at: tuple[int, int, int], index: int) -> Cell:
        places = dict(zip(LETTERS, at, strict=True))
        params = dict(self.base)
        for axis in sorted(self.axes, key=lambda axis: bool(axis.search)):
            axis.put(params, places[axis.letter])
        if self.seed_name and self.vary:
            columns, rows, _ = self.shape
            offsets = {**places, "cells": (at[2] * rows + at[1]) * columns + at[0]}
            params[self.seed_name] = (int(params[self.seed_name]) + offsets[self.vary]) % _SEED_LIMIT
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
        return [extra] * (self.table_index + 1) + cells


def _size(value: Any) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) and value > 0 else 0.0
