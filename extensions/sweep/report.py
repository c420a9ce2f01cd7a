"""What is shown of a sweep, whole or as far as it came: grids, the table, and where scores were taken their plots."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from PIL import Image

from webui.api import Artifact, Context, JobFailed

from .cell_pictures import CellPictures, mosaic, mosaic_columns
from .grid import Grid, Headings, Look, Tile, beside, fit_cell
from .params import SweepParams
from .plan import Plan
from .results import Journal, Result, scalars_of, table
from .scores.chart import as_picture, as_svg
from .scores.measuring import Scored
from .scores.series import Panel, Scores, against_time, over_axis

_OVERVIEW_PIXELS = 16_000_000
"""Of all grids beside each other."""
_MOST_FOOT_LINES = 8
"""Scores below a cell; all of them stand in the table."""


class Report:
    """What is shown of a sweep, whole or as far as it came."""

    def __init__(
        self,
        plan: Plan,
        params: SweepParams,
        results: Sequence[Result],
        known: tuple[Journal, CellPictures | None, Scored],
        context: Context,
    ) -> None:
        self._plan, self._params, self._context = plan, params, context
        self._results = results
        journal, pictures, scored = known
        for result in results:
            index = result.cell.index
            saved = [context.saved(index + place) for place in range(plan.keep)]
            paths = [path for path in saved if path is not None]
            result.seconds = journal.seconds.get(index)
            if paths and paths[0].suffix == ".json":
                result.numbers.update(scalars_of(paths[0]))
            else:
                result.paths = tuple(paths)
            if pictures is not None:
                result.seconds_per_picture = pictures.seconds(result.cell)
            result.scores = scored.of(index)
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
                cell, columns, rows, longest=0, margin=margin, most_pixels=min(most_pixels, _OVERVIEW_PIXELS) // grids
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
        if any(result.scores for result in self._results):
            yield from self._scores(rows_)

    # Scores

    def _scores(self, rows: Sequence[dict[str, Any]]) -> Iterator[Artifact]:
        """Plots, then all of them on one sheet, and all numbers."""
        sheet: list[list[Panel]] = []
        columns = [column for run in self._plan.scores for column in run.columns]
        for place, column in enumerate(columns):
            panels = self._panels(column.keys)
            for which, panel in enumerate(panels):
                if panel is not None:
                    index = self._plan.plots_index + 2 * place + which
                    yield Artifact("plot", panel.data(), index=index, title=panel.title)
            shown = [panel for panel in panels if panel is not None]
            if shown:
                sheet.append(shown)
        index = self._plan.plots_index + 2 * len(columns)
        if sheet:
            path = self._context.work_dir / "scores.svg"
            path.write_text(as_svg(sheet), encoding="utf-8")
            yield Artifact("file", path, index=index, title="Scores, as SVG")
            yield Artifact("image", as_picture(sheet), index=index + 1, title="Scores")
        scores = {result.cell.index: [asdict(one) for one in result.scores] for result in self._results}
        told = [{**row, "scores": scores[row["cell"]]} for row in rows]
        path = self._context.work_dir / "scores.json"
        path.write_text(json.dumps(told, indent=1, ensure_ascii=False), encoding="utf-8")
        yield Artifact("file", path, index=index + 2, title="Cells and scores, as JSON")

    def _panels(self, keys: Sequence[str]) -> tuple[Panel | None, Panel | None]:
        first, *others = self._plan.axes
        cells = []
        for result in self._results:
            places = {axis.letter: result.cell.at["xyz".index(axis.letter)] for axis in self._plan.axes}
            rest = ", ".join(f"{axis.title} {axis.labels[places[axis.letter]]}" for axis in others)
            at = places[first.letter]
            label = result.cell.title
            time = result.seconds_per_picture
            cells.append(Scores(first.values[at], first.labels[at], rest, label, time, result.scores))
        return over_axis(cells, keys, first.title), against_time(cells, keys)

    # Grids

    def _cell_size(self) -> tuple[int, int]:
        """Large enough for every picture."""
        sizes = []
        for result in self._results:
            columns = mosaic_columns(len(result.paths)) if result.paths else 0
            for path in result.paths:
                with Image.open(path) as picture:
                    lines = -(-len(result.paths) // columns)
                    sizes.append((picture.width * columns, picture.height * lines))
        return (max(size[0] for size in sizes), max(size[1] for size in sizes)) if sizes else (160, 80)

    def _grid(self, z: int, cell: tuple[int, int]) -> Image.Image:
        columns, rows, _ = self._plan.shape
        tiles = {result.cell.at[:2]: _tile(result) for result in self._results if result.cell.at[2] == z}
        return Grid(columns, rows, self._headings(z), self._look(cell)).draw(tiles)

    def _look(self, cell: tuple[int, int]) -> Look:
        lines = max((len(result.scores) for result in self._results), default=0)
        return Look(cell, self._params.margin, min(lines, _MOST_FOOT_LINES))

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
    foot = tuple(f"{one.value:.4g} {one.title}" for one in result.scores)
    if result.paths:
        return Tile(open=lambda: mosaic(result.paths), foot=foot)
    if result.error:
        return Tile(words=f"Failed: {result.error}", failed=True)
    if result.numbers:
        shown = [f"{value:.6g}" if name == "value" else f"{name} {value:.6g}" for name, value in result.numbers.items()]
        return Tile(words=", ".join(shown))
    return Tile(words="Not made", faint=True)
