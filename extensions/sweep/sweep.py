"""The pipeline: runs the cells in the cheapest order, within this job, then draws the grids and writes the table."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from PIL import Image

from webui.api import Artifact, Cancelled, Context, JobFailed, LifelikeError

from .grid import Grid, Headings, Look, Tile, beside, fit_cell
from .params import SweepParams
from .plan import Cell, Plan
from .results import DEATHS_TO_GIVE_UP, Journal, Result, numbers_of, table

_HASTY_PIXELS = 8_000_000
"""Of a grid that is drawn when the job was stopped: it must be done before patience ends."""


class Sweep:
    """sweep.grid."""

    def run(self, params: SweepParams, context: Context) -> Iterator[Artifact]:
        """Artifacts: the overview, a grid for each value of z where there are several, the table, the cells. A cell
        that fails costs the others nothing. Raises JobFailed where all do.
        """
        if not params.plan:
            raise JobFailed("this sweep has no plan.", hint="Start it from its form, by HTTP or by the command line.")
        plan = Plan.from_json(params.pipeline, params.plan)
        pending = set(context.pending(plan.total, plan.weights()))
        results = {cell.index: Result(cell) for cell in plan.cells()}
        missing = [
            result.cell
            for result in results.values()
            if result.cell.index in pending or context.saved(result.cell.index) is None
        ]
        journal = Journal(context.work_dir / "cells.jsonl")
        journal.recall(context.saved(plan.table_index), [result.cell for result in results.values()])
        try:
            for cell in in_turn(plan, missing, journal):
                make(plan, cell, results[cell.index], journal, context)
        except Cancelled:
            report = Report(plan, params, list(results.values()), journal, context)
            if report.anything:
                for artifact in report.artifacts(_HASTY_PIXELS):
                    context.save(artifact)
            raise
        report = Report(plan, params, list(results.values()), journal, context)
        report.tell_failures()
        limit = int(context.settings.get("max_grid_megapixels", 32)) * 1_000_000
        yield from report.artifacts(limit)


def in_turn(plan: Plan, cells: Sequence[Cell], journal: Journal) -> list[Cell]:
    """What ends the worker is tried last, when all the others are safe."""
    return sorted(plan.in_turn(cells), key=journal.deaths)


def make(plan: Plan, cell: Cell, result: Result, journal: Journal, context: Context) -> None:
    """Run one cell into ``result``. Raises Cancelled."""
    if journal.deaths(cell) >= DEATHS_TO_GIVE_UP:
        result.error = f"The worker ended {DEATHS_TO_GIVE_UP} times while it made this."
        return
    journal.began(cell)
    began = time.monotonic()
    seconds: float | None = None
    try:
        made = context.run(plan.pipeline, cell.params, index=cell.index, title=cell.title)
        seconds = time.monotonic() - began
        if not made:
            result.error = "The pipeline made nothing."
    except Cancelled:
        raise
    except LifelikeError as error:
        result.error = str(error)
        seconds = time.monotonic() - began
    finally:
        journal.ended(cell, seconds)


class Report:
    """What is shown of a sweep, whole or as far as it came."""

    def __init__(
        self, plan: Plan, params: SweepParams, results: Sequence[Result], journal: Journal, context: Context
    ) -> None:
        self._plan, self._params, self._context = plan, params, context
        self._results = results
        for result in results:
            index = result.cell.index
            path = context.saved(index)
            result.seconds = journal.seconds.get(index)
            if path is not None and path.suffix == ".json":
                result.numbers.update(numbers_of(path))
            elif path is not None:
                result.path = path
            seed = result.cell.params.get(plan.seed_name) if plan.seed_name else None
            result.seed = seed if isinstance(seed, int) else None

    @property
    def anything(self) -> bool:
        """Whether there is something to show."""
        return any(result.state == "done" for result in self._results)

    def tell_failures(self) -> None:
        """Raises JobFailed where no cell was made."""
        failed = [result for result in self._results if result.state != "done"]
        if not failed:
            return
        words = f"the first, {failed[0].cell.title}: {failed[0].error}"
        if len(failed) == len(self._results):
            raise JobFailed(f"none of the {len(failed)} cells could be made; {words}")
        self._context.warn(f"{len(failed)} of {len(self._results)} cells failed; {words}")

    def artifacts(self, most_pixels: int) -> Iterator[Artifact]:
        """Grids of at most ``most_pixels`` each, then the table."""
        columns, rows, grids = self._plan.shape
        size = self._cell_size()
        margin = self._params.margin
        cell = fit_cell(size, columns, rows, longest=self._params.cell_size, margin=margin, most_pixels=most_pixels)
        small = cell
        if grids > 1:
            small = fit_cell(
                cell, columns, rows, longest=0, margin=margin, most_pixels=min(most_pixels, 2 * _HASTY_PIXELS) // grids
            )
        if small != size:
            self._context.log.info("cells of %s are drawn at %s", size, small)
        drawn = []
        for z in range(grids):
            drawn.append(self._grid(z, small))
            if grids > 1:
                title = self._title(z)
                grid = drawn[-1] if small == cell else self._grid(z, cell)
                yield Artifact("image", grid, index=self._plan.grid_indices[z], title=title)
        yield Artifact("image", beside(drawn) if grids > 1 else drawn[0], index=0, title=self._name())
        rows_ = table(self._plan, self._results)
        yield Artifact("table", rows_, index=self._plan.table_index, title="Cells")

    def _cell_size(self) -> tuple[int, int]:
        """Large enough for every picture."""
        sizes = []
        for result in self._results:
            if result.path is not None:
                with Image.open(result.path) as picture:
                    sizes.append(picture.size)
        return (max(size[0] for size in sizes), max(size[1] for size in sizes)) if sizes else (160, 80)

    def _grid(self, z: int, cell: tuple[int, int]) -> Image.Image:
        columns, rows, _ = self._plan.shape
        tiles = {result.cell.at[:2]: _tile(result) for result in self._results if result.cell.at[2] == z}
        return Grid(columns, rows, self._headings(z), Look(cell, self._params.margin)).draw(tiles)

    def _headings(self, z: int) -> Headings:
        if not self._params.labels:
            return Headings()
        x, y = self._plan.axis("x"), self._plan.axis("y")
        return Headings(
            title=self._title(z),
            x_name=x.title if x else "",
            x_labels=x.labels if x else (),
            y_name=y.title if y else "",
            y_labels=y.labels if y else (),
        )

    def _title(self, z: int) -> str:
        axis = self._plan.axis("z")
        return f"{axis.title}: {axis.labels[z]}" if axis else ""

    def _name(self) -> str:
        return " × ".join(f"{axis.title} ({len(axis.values)})" for axis in self._plan.axes)


def _tile(result: Result) -> Tile:
    if result.path is not None:
        path = result.path
        return Tile(open=lambda: Image.open(path))
    if result.error:
        return Tile(words=f"Failed: {result.error}", failed=True)
    if result.numbers:
        shown = [f"{value:.6g}" if name == "value" else f"{name} {value:.6g}" for name, value in result.numbers.items()]
        return Tile(words=", ".join(shown))
    return Tile(words="Not made", faint=True)


__all__ = ["Report", "Sweep", "in_turn", "make"]
