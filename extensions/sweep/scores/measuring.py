"""From the pictures of the cells to their scores: runs of other pipelines within this job, kept as they come."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from webui.api import Artifact, Cancelled, Context, LifelikeError, Number, numbers_of

from .asked import PICTURES, ScoreRun

_MOST_ARTIFACTS = 64
"""Of a run that takes scores: more than it makes of what is looked at here."""


class Scored:
    """The scores of each cell, a line a run in the job's folder: what an attempt took is not taken again."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[tuple[int, int], list[Number]] = {}
        for row in _lines(path):
            self._known[int(row["cell"]), int(row["run"])] = [Number(**one) for one in row["numbers"]]

    def __contains__(self, place: tuple[int, int]) -> bool:
        return place in self._known

    def add(self, cell: int, run: int, numbers: Sequence[Number]) -> None:
        """On disk when it returns."""
        row = {"cell": cell, "run": run, "numbers": [asdict(one) for one in numbers]}
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
        self._known[cell, run] = list(numbers)

    def of(self, cell: int) -> list[Number]:
        """All of a cell, in the order in which they were asked for."""
        return [one for place, numbers in sorted(self._known.items()) if place[0] == cell for one in numbers]


def _lines(path: Path) -> list[Mapping[str, Any]]:
    """The whole lines; a last one that was cut short is none."""
    if not path.is_file():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines(True) if line.endswith("\n")]


class Measuring:
    """Takes ``runs`` of folders of pictures. ``given``: what they take beside pictures."""

    def __init__(self, runs: Sequence[ScoreRun], given: Mapping[str, str], scored: Scored, context: Context) -> None:
        self._runs, self._given, self._scored, self._context = runs, given, scored, context

    def measure(self, cells: Mapping[int, Path], first_place: int) -> None:
        """Cell -> the folder of its pictures. ``first_place``: beyond the job's own artifacts. Raises Cancelled."""
        total = len(cells) * len(self._runs)
        done = 0
        for cell, folder in cells.items():
            for number, run in enumerate(self._runs):
                self._context.progress(done, total, "Taking scores")
                if (cell, number) not in self._scored:
                    place = first_place + done * _MOST_ARTIFACTS
                    self._scored.add(cell, number, self._taken(run, folder, place))
                done += 1

    def _taken(self, run: ScoreRun, folder: Path, place: int) -> list[Number]:
        """Nothing where it cannot be taken, which is told."""
        params = {**run.params, run.takes[PICTURES]: str(folder)}
        params |= {parameter: self._given[name] for name, parameter in run.takes.items() if name != PICTURES}
        found: list[Number] = []

        def take(artifact: Artifact) -> None:
            if artifact.kind == "scalar":
                found.extend(numbers_of(artifact.data))

        try:
            self._context.run(run.pipeline, params, index=place, count=_MOST_ARTIFACTS, take=take)
        except Cancelled:
            raise
        except LifelikeError as error:
            titles = ", ".join(column.title for column in run.columns)
            self._context.warn(f"Not measured: {titles}. {error}")
            return []
        wanted = [key for column in run.columns for key in column.keys]
        return sorted((one for one in found if one.key in wanted), key=lambda one: wanted.index(one.key))
