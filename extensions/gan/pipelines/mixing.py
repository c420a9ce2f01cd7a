"""gan.mix and gan.classes: matrices of styles in other pictures, and of classes between classes."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import torch
from PIL import Image
from torch import Tensor

from extensions.gan.latents.generator import Generator
from extensions.gan.latents.mixing import layers_of, mixed
from extensions.gan.latents.reading import chosen_class, seeds
from extensions.gan.montage import matrix
from extensions.gan.params import ClassesParams, MixParams
from webui.api import Artifact, Context

from .making import drawn, leased, needs_layers, progress, refuse
from .sampling import name_of


class Mix:
    """gan.mix: cell (r, c) is the picture of row r with the styles of column c in some of its layers."""

    def run(self, params: MixParams, context: Context) -> Iterator[Artifact]:
        """One artifact: the matrix, with the unmixed pictures at its edges."""
        if not context.pending(1):
            return
        rows = seeds(params.row_seeds, "row_seeds", first=params.seed, count=params.rows, most=16)
        columns = seeds(
            params.column_seeds, "column_seeds", first=params.seed + len(rows), count=params.columns, most=16
        )
        with leased(context, params.model) as generator:
            needs_layers(generator)
            try:
                layers = layers_of(params.layers.strip(), generator.layers)
            except ValueError as error:
                raise refuse("layers", str(error)) from None
            chosen = chosen_class(params.class_label, generator.classes, generator.class_names)
            all_seeds = rows + columns
            condition = generator.condition([chosen] * len(all_seeds), all_seeds)
            points = generator.points(generator.z(all_seeds), condition, params.truncation)
            bases, styles = points[: len(rows)], points[len(rows) :]
            cells = torch.cat([mixed(base[None].expand_as(styles), styles, layers) for base in bases])
            everything = torch.cat([points, cells])
            noise_seeds = [*all_seeds, *(row for row in rows for _ in columns)]
            say = progress(context, "drawing")
            made = [
                picture
                for _, picture in drawn(generator, everything, None, noise_seeds, context, noise=params.noise, said=say)
            ]
        top: list[Image.Image | None] = [None, *made[len(rows) : len(all_seeds)]]
        body = [
            [made[row], *made[len(all_seeds) + row * len(columns) : len(all_seeds) + (row + 1) * len(columns)]]
            for row in range(len(rows))
        ]
        sheet = matrix(
            [top, *body],
            columns_named=["", *(str(value) for value in columns)],
            rows_named=["", *(str(value) for value in rows)],
        )
        yield Artifact("image", sheet, seed=params.seed, title=f"Styles of layers {params.layers}")


class Classes:
    """gan.classes: one row a seed, columns from class to class by mixtures of their embeddings."""

    def run(self, params: ClassesParams, context: Context) -> Iterator[Artifact]:
        """One artifact: the matrix."""
        if not context.pending(1):
            return
        with leased(context, params.model) as generator:
            condition, labels = class_steps(params, generator)
            seeds_of = [params.seed + row for row in range(params.samples)]
            body = []
            say = progress(context, "drawing")
            for done, one in enumerate(seeds_of):
                z = generator.z([one]).repeat(len(condition), 1)
                points = generator.points(z, condition, params.truncation)
                made = drawn(generator, points, condition, [one] * len(condition), context, psi=params.truncation)
                body.append([picture for _, picture in made])
                say(done + 1, len(seeds_of))
        sheet = matrix(body, columns_named=labels, rows_named=[str(value) for value in seeds_of])
        yield Artifact("image", sheet, seed=params.seed, title="From class to class")


def class_steps(params: ClassesParams, generator: Generator) -> tuple[Tensor, list[str]]:
    """Mixtures [S,classes] from each class to the next, and what each is called. Raises ParameterError."""
    if not generator.classes:
        raise refuse("model", "this needs a generator with classes, such as BigGAN")
    names = [part for part in params.classes.split(",") if part.strip()]
    if not 2 <= len(names) <= 16:
        raise refuse("classes", f"expected 2 to 16 classes with commas, got {len(names)}")
    chosen = [int(chosen_class(name, generator.classes, generator.class_names, "classes") or 0) for name in names]
    keys = torch.nn.functional.one_hot(torch.tensor(chosen), generator.classes).float()
    weights, labels = [keys[0]], [name_of(generator, chosen[0])]
    for place, (a, b) in enumerate(pairwise(keys)):
        for step in range(1, params.steps):
            share = step / (params.steps - 1)
            weights.append(a + (b - a) * share)
            labels.append(name_of(generator, chosen[place + 1]) if share == 1.0 else f"{share:.0%}")
    return torch.stack(weights), labels
