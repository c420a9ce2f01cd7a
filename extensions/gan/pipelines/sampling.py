"""gan.sample and gan.truncation: pictures of seeds, and what truncation does to them."""

from __future__ import annotations

import math
from collections.abc import Iterator

from PIL import Image

from extensions.gan.latents.generator import Generator
from extensions.gan.latents.reading import chosen_class, numbers
from extensions.gan.montage import matrix
from extensions.gan.params import SampleParams, TruncationParams
from webui.api import Artifact, Context

from .making import Batch, drawn, leased, progress


class Sample:
    """gan.sample: picture i is that of seed + i."""

    def run(self, params: SampleParams, context: Context) -> Iterator[Artifact]:
        """Artifacts: the pictures, then the sheet where one is asked for."""
        total = params.samples + (1 if params.grid else 0)
        pending = context.pending(total)
        left = [index for index in pending if index < params.samples]
        if left:
            yield from self._pictures(params, left, context)
        if params.grid and params.samples in pending:
            yield self._sheet(params, context)

    def _pictures(self, params: SampleParams, left: list[int], context: Context) -> Iterator[Artifact]:
        with leased(context, params.model) as generator:
            chosen = chosen_class(params.class_label, generator.classes, generator.class_names)
            for rows in Batch.of(context, params.batch_size).parts(left):
                seeds = [params.seed + index for index in rows]
                condition = generator.condition([chosen] * len(seeds), seeds)
                points = generator.points(generator.z(seeds), condition, params.truncation, params.cutoff or None)
                for place, picture in drawn(
                    generator,
                    points,
                    condition,
                    seeds,
                    context,
                    psi=params.truncation,
                    noise=params.noise,
                    batch=params.batch_size,
                ):
                    told = {} if condition is None else {"Class": name_of(generator, int(condition[place].argmax()))}
                    yield Artifact("image", picture, index=rows[place], seed=seeds[place], infotext=told)
                context.progress(1, 1, "drawing", batch=len(rows))

    def _sheet(self, params: SampleParams, context: Context) -> Artifact:
        columns = math.ceil(math.sqrt(params.samples))
        cells: list[Image.Image | None] = []
        for index in range(params.samples):
            path = context.saved(index)
            if path is None:
                cells.append(None)
                continue
            with Image.open(path) as picture:
                cells.append(picture.convert("RGB"))
        rows = [cells[start : start + columns] for start in range(0, len(cells), columns)]
        return Artifact("image", matrix(rows), index=params.samples, seed=params.seed, title="Grid")


def name_of(generator: Generator, index: int) -> str:
    """A class in words, as far as the file tells them."""
    names = generator.class_names
    return names[index] if index < len(names) else str(index)


class Truncation:
    """gan.truncation: one row a seed, one column a value of psi."""

    def run(self, params: TruncationParams, context: Context) -> Iterator[Artifact]:
        """One artifact: the labelled strip."""
        if not context.pending(1):
            return
        values = numbers(params.psi_values, "psi_values", most=32, minimum=-2.0, maximum=2.0)
        seeds = [params.seed + row for row in range(params.samples)]
        with leased(context, params.model) as generator:
            chosen = chosen_class(params.class_label, generator.classes, generator.class_names)
            condition = generator.condition([chosen] * len(seeds), seeds)
            z = generator.z(seeds)
            columns = []
            say = progress(context, "drawing")
            for done, psi in enumerate(values):
                points = generator.points(z, condition, psi, params.cutoff or None)
                made = drawn(generator, points, condition, seeds, context, psi=psi, noise=params.noise)
                columns.append([picture for _, picture in made])
                say(done + 1, len(values))
        sheet = matrix(
            [[column[row] for column in columns] for row in range(len(seeds))],
            columns_named=[f"psi {value:g}" for value in values],
            rows_named=[str(seed) for seed in seeds],
        )
        yield Artifact("image", sheet, seed=params.seed, title="Truncation")
