"""The pictures of cells that are scored or have several: made by the swept pipeline, kept as files of this job."""

from __future__ import annotations

import json
import os
import statistics
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from webui.api import Artifact, Context, JobFailed, SetRun, set_runs

from .plan import Cell, Plan

METADATA, TIMES = "metadata.jsonl", "times.jsonl"


class CellPictures:
    """A folder a cell: ``000000.png`` on, their prompts, and how long the runs took. Picture i has the cell's seed + i
    and, of ``prompts``, number i. The first ``plan.keep`` of a cell are artifacts of the job as well.
    """

    def __init__(self, plan: Plan, prompts: Sequence[str], context: Context) -> None:
        self._plan, self._prompts, self._context = plan, prompts, context

    def folder(self, cell: Cell) -> Path:
        return self._context.work_dir / "cells" / str(cell.index)

    def complete(self, cell: Cell) -> bool:
        """Whether all pictures of the cell are there."""
        return self._there(cell) >= self._plan.pictures

    def seconds(self, cell: Cell) -> float | None:
        """Of a picture. The first run of a cell may load models: where there are others, it does not count."""
        path = self.folder(cell) / TIMES
        rows = [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []
        each = [float(row["seconds"]) / int(row["count"]) for row in rows]
        return statistics.median(each[1:] or each) if each else None

    def make(self, cell: Cell) -> None:
        """Those that are missing. Raises what the pipeline raises, JobFailed where it makes no picture."""
        folder = self.folder(cell)
        folder.mkdir(parents=True, exist_ok=True)
        for run in self._runs(cell, self._there(cell)):
            began = time.monotonic()
            made = self._made(cell, run)
            seconds = time.monotonic() - began
            for place, image in enumerate(made, start=run.start):
                path = _file(folder, place)
                image.save(path.with_suffix(".part"), "PNG")
                os.replace(path.with_suffix(".part"), path)
            with (folder / TIMES).open("a", encoding="utf-8") as file:
                file.write(json.dumps({"start": run.start, "count": run.count, "seconds": seconds}) + "\n")
        texts = [self._text(cell, place) for place in range(self._plan.pictures)]
        if all(texts):
            rows = [{"file_name": _file(folder, place).name, "text": text} for place, text in enumerate(texts)]
            lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
            (folder / METADATA).write_text(lines, encoding="utf-8")

    def _there(self, cell: Cell) -> int:
        """How many pictures there are from the first on; kept ones must be artifacts too."""
        folder = self.folder(cell)
        for place in range(self._plan.pictures):
            kept = place >= self._plan.keep or self._context.saved(cell.index + place) is not None
            if not kept or not _file(folder, place).is_file():
                return place
        return self._plan.pictures

    def _text(self, cell: Cell, place: int) -> str:
        if self._prompts:
            return self._prompts[place % len(self._prompts)]
        return str(cell.params.get("prompt") or "").strip()

    def _runs(self, cell: Cell, start: int) -> Iterator[SetRun]:
        """Those of pictures that are kept, then those of the others."""
        plan = self._plan
        if plan.pictures == 1 and not self._prompts:
            if start == 0:
                yield SetRun(0, 1, cell.params)
            return
        spec, seed = self._context.pipelines[plan.pipeline], int(cell.params["seed"])
        for first, end in ((start, plan.keep), (max(start, plan.keep), plan.pictures)):
            if first < end:
                said: Any = {"seed": seed, "start": first, "count": end - first, "prompts": self._prompts}
                yield from set_runs(spec, cell.params, **said)

    def _made(self, cell: Cell, run: SetRun) -> list[Image.Image]:
        """RGB, in order."""
        made: dict[int, Image.Image] = {}

        def take(artifact: Artifact) -> None:
            if artifact.kind == "image":
                made[artifact.index] = artifact.data.convert("RGB")

        pipeline, index = self._plan.pipeline, cell.index + run.start
        if run.start < self._plan.keep:
            self._context.run(pipeline, run.params, index=index, count=run.count, title=cell.title)
            for place in range(run.count):
                path = self._context.saved(index + place)
                if path is not None:
                    with Image.open(path) as image:
                        made[place] = image.convert("RGB")
        else:
            self._context.run(pipeline, run.params, count=run.count, take=take)
        missing = [place for place in range(run.count) if place not in made]
        if missing:
            raise JobFailed(f"the pipeline made {len(made)} pictures where {run.count} were asked for.")
        return [made[place] for place in range(run.count)]


def _file(folder: Path, place: int) -> Path:
    return folder / f"{place:06}.png"


def mosaic(paths: Sequence[Path]) -> Image.Image:
    """Several pictures as one, in the arrangement nearest to a square; one as it is."""
    if len(paths) == 1:
        return Image.open(paths[0])
    shown = []
    for path in paths:
        with Image.open(path) as image:
            shown.append(image.convert("RGB"))
    width, height = (max(image.size[side] for image in shown) for side in (0, 1))
    columns = mosaic_columns(len(shown))
    canvas = Image.new("RGB", (columns * width, -(-len(shown) // columns) * height), "white")
    for place, image in enumerate(shown):
        canvas.paste(image, (place % columns * width, place // columns * height))
    return canvas


def mosaic_columns(count: int) -> int:
    """Of a mosaic of ``count`` pictures."""
    return next(columns for columns in range(1, count + 1) if columns * columns >= count)


__all__ = ["METADATA", "CellPictures", "mosaic", "mosaic_columns"]
