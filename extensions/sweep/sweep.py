"""The pipeline: runs the cells in the cheapest order, within this job, has them scored, then tells what came of it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from webui.api import Artifact, Cancelled, Context, JobFailed, LifelikeError

from .cell_pictures import CellPictures
from .params import SweepParams
from .plan import Cell, Plan
from .prompts import texts_in
from .report import Report
from .results import DEATHS_TO_GIVE_UP, Journal, Result
from .scores.asked import REAL, REFERENCES
from .scores.measuring import Measuring, Scored

_HASTY_PIXELS = 8_000_000
"""Of a grid that is drawn when the job was stopped: it must be done before patience ends."""


class Sweep:
    """sweep.grid."""

    def run(self, params: SweepParams, context: Context) -> Iterator[Artifact]:
        """Artifacts: the overview, a grid for each value of z where there are several, the table, what shows scores
        where there are some, the cells. A cell that fails costs the others nothing. Raises JobFailed where all do.
        """
        if not params.plan:
            raise JobFailed("this sweep has no plan.", hint="Start it from its form, by HTTP or by the command line.")
        plan = Plan.from_json(params.pipeline, params.plan)
        pending = set(context.pending(plan.total, plan.weights()))
        results = {cell.index: Result(cell) for cell in plan.cells()}
        journal = Journal(context.work_dir / "cells.jsonl")
        journal.recall(context.saved(plan.table_index), [result.cell for result in results.values()])
        prompts = texts_in(context.open_file(params.prompts)) if params.prompts else ()
        pictures = CellPictures(plan, prompts, context) if plan.several else None
        making = Making(plan, journal, pictures, context)
        missing = [result.cell for result in results.values() if making.lacks(result.cell, pending)]
        scored = Scored(context.work_dir / "scores.jsonl")

        def report() -> Report:
            return Report(plan, params, list(results.values()), (journal, pictures, scored), context)

        try:
            for cell in in_turn(plan, missing, journal):
                making.make(cell, results[cell.index])
            if pictures is not None and plan.scores:
                folders = {cell.index: pictures.folder(cell) for cell in plan.cells() if pictures.complete(cell)}
                Measuring(plan.scores, _given(params, context), scored, context).measure(folders, plan.total)
        except Cancelled:
            told = report()
            if told.anything:
                for artifact in told.artifacts(_HASTY_PIXELS):
                    context.save(artifact)
            raise
        told = report()
        told.tell_failures()
        yield from told.artifacts(int(context.settings.get("max_grid_megapixels", 32)) * 1_000_000)


def _given(params: SweepParams, context: Context) -> Mapping[str, str]:
    """What scores take beside pictures."""
    references = params.references
    if params.reference:
        folder = context.work_dir / "reference"
        folder.mkdir(exist_ok=True)
        context.open_image(params.reference).convert("RGB").save(folder / "reference.png")
        references = str(folder)
    return {REAL: params.real, REFERENCES: references}


def in_turn(plan: Plan, cells: Sequence[Cell], journal: Journal) -> list[Cell]:
    """What ends the worker is tried last, when all the others are safe."""
    return sorted(plan.in_turn(cells), key=journal.deaths)


@dataclass(frozen=True)
class Making:
    """Runs cells. ``pictures``: where they have several, or are scored."""

    plan: Plan
    journal: Journal
    pictures: CellPictures | None
    context: Context

    def lacks(self, cell: Cell, pending: set[int]) -> bool:
        """Whether something of it is still to be made."""
        kept = range(cell.index, cell.index + self.plan.keep)
        if any(index in pending or self.context.saved(index) is None for index in kept):
            return True
        return self.pictures is not None and not self.pictures.complete(cell)

    def make(self, cell: Cell, result: Result) -> None:
        """Run one cell into ``result``. Raises Cancelled."""
        if self.journal.deaths(cell) >= DEATHS_TO_GIVE_UP:
            result.error = f"The worker ended {DEATHS_TO_GIVE_UP} times while it made this."
            return
        self.journal.began(cell)
        began = time.monotonic()
        seconds: float | None = None
        try:
            self._run(cell, result)
            seconds = time.monotonic() - began
        except Cancelled:
            raise
        except LifelikeError as error:
            result.error = str(error)
            seconds = time.monotonic() - began
        finally:
            self.journal.ended(cell, seconds)

    def _run(self, cell: Cell, result: Result) -> None:
        if self.pictures is not None:
            self.pictures.make(cell)
        elif not self.context.run(self.plan.pipeline, cell.params, index=cell.index, title=cell.title):
            result.error = "The pipeline made nothing."


__all__ = ["Making", "Sweep", "in_turn"]
