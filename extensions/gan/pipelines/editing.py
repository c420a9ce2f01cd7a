"""gan.directions and gan.edit: directions of meaning, found and followed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from extensions.gan.latents import shelf
from extensions.gan.latents.directions import Directions, affine_weights, boundary, principal, sefa
from extensions.gan.latents.generator import Generator
from extensions.gan.latents.mixing import layers_of
from extensions.gan.latents.reading import chosen_class, numbers
from extensions.gan.montage import matrix
from extensions.gan.params_editing import DirectionsParams, EditParams
from webui.api import Artifact, Context, FeatureExtractor, JobFailed

from .making import drawn, leased, refuse

_COLUMNS = 5
_SHARE = 0.25
"""Of the points that a judge has looked at: the surest on each side are what the boundary is put between."""
_SHEETS = 8


class FindDirections:
    """gan.directions."""

    def run(self, params: DirectionsParams, context: Context) -> Iterator[Artifact]:
        """Artifacts: a sheet for each of the first directions, then a table of all."""
        name = shelf.checked_name(params.name)
        if not context.pending(1):
            return
        if shelf.place(context.folders, shelf.DIRECTIONS, name) is not None:
            raise refuse("name", "this name is taken: choose another")
        extractor = (
            context.feature_extractor(params.judge) if params.method == "svm" and params.attribute.strip() else None
        )
        with leased(context, params.model) as generator:
            found, rows = self._found(params, generator, extractor, context)
            sheets = [
                self._sheet(params, generator, found, place, context)
                for place in range(min(_SHEETS, len(found.vectors)))
            ]
        said = {
            "method": params.method,
            "model": params.model,
            "count": len(found.vectors),
            "dim": found.vectors.shape[1],
        }
        shelf.put(context.folders, shelf.DIRECTIONS, name, {"vectors": found.vectors, "scales": found.scales}, said)
        for place, sheet in enumerate(sheets):
            title = name if len(found.vectors) == 1 else f"{name} {place + 1}"
            yield Artifact("image", sheet, index=place, seed=params.seed, title=title)
        yield Artifact("table", rows, index=len(sheets), title=name)

    def _found(
        self, params: DirectionsParams, generator: Generator, extractor: FeatureExtractor | None, context: Context
    ) -> tuple[Directions, list[dict[str, object]]]:
        if params.method == "sefa":
            try:
                weights = affine_weights(generator)
            except ValueError as error:
                raise refuse("model", str(error)) from None
            layers = chosen_layers(params.layers, generator)
            found = sefa([weight for layer in layers for weight in weights[layer]], params.count)
        elif params.method == "ganspace":
            if not generator.mapped:
                raise refuse("model", "GANSpace needs a StyleGAN: the components of z are all alike")
            found = principal(random_points(generator, params.points)[:, 0], params.count)
        else:
            normal, accuracy = self._boundary(params, generator, extractor, context)
            found = Directions(normal[None], torch.ones(1))
            return found, [{"direction": params.name, "accuracy": round(accuracy, 4)}]
        rows = [
            {"direction": f"{params.name} {i + 1}", "scale": round(float(s), 4)} for i, s in enumerate(found.scales)
        ]
        return found, rows

    def _boundary(
        self, params: DirectionsParams, generator: Generator, extractor: FeatureExtractor | None, context: Context
    ) -> tuple[Tensor, float]:
        if extractor is not None:
            points = random_points(generator, params.points)
            scores = judged(params, generator, points, extractor, context)
            order = scores.argsort()
            count = max(2, int(_SHARE * len(order)))
            chosen = torch.cat([order[:count], order[-count:]])
            positive = torch.arange(2 * count) >= count
            return boundary(points[chosen, 0], positive)
        if not params.positive.strip() or not params.negative.strip():
            raise refuse("positive", "name seeds that have it and seeds that have it not, or an attribute for a judge")
        sides = [
            [int(value) for value in numbers(text, field, most=1000, minimum=0, maximum=2**53)]
            for text, field in ((params.positive, "positive"), (params.negative, "negative"))
        ]
        seeds = sides[0] + sides[1]
        points = generator.points(generator.z(seeds), generator.condition([None] * len(seeds), seeds))[:, 0]
        return boundary(points, torch.arange(len(seeds)) < len(sides[0]))

    def _sheet(
        self, params: DirectionsParams, generator: Generator, found: Directions, place: int, context: Context
    ) -> Image.Image:
        """One row a picture, from minus the strength to the strength."""
        seeds = [params.seed + row for row in range(params.samples)]
        condition = generator.condition([None] * len(seeds), seeds)
        points = generator.points(generator.z(seeds), condition, 0.7)
        layers = chosen_layers(params.layers, generator) if params.method == "sefa" else list(range(generator.layers))
        shares = [params.strength * (2 * column / (_COLUMNS - 1) - 1) for column in range(_COLUMNS)]
        columns = []
        for share in shares:
            moved = along(points, found.vectors[place], share * step_of(params.method, found, place), layers)
            columns.append([picture for _, picture in drawn(generator, moved, condition, seeds, context)])
        context.progress(place + 1, min(_SHEETS, len(found.vectors)), "drawing")
        return matrix(
            [[column[row] for column in columns] for row in range(len(seeds))],
            columns_named=[f"{share:+.2g}" for share in shares],
            rows_named=[str(seed) for seed in seeds],
        )


def step_of(method: str, found: Directions, place: int) -> float:
    """How long one unit of strength is: a standard deviation of GANSpace's components, else 1."""
    return float(found.scales[place]) if method == "ganspace" else 1.0


def chosen_layers(text: str, generator: Generator) -> list[int]:
    """``all``, or as ``layers_of``. Raises ParameterError."""
    if text.strip().lower() in ("", "all"):
        return list(range(generator.layers))
    try:
        return layers_of(text.strip(), generator.layers)
    except ValueError as error:
        raise refuse("layers", str(error)) from None


def along(points: Tensor, vector: Tensor, length: float, layers: Sequence[int]) -> Tensor:
    """``points`` [N,L,D] moved by ``length`` along ``vector`` [D] in some of their layers."""
    moved = points.clone()
    moved[:, list(layers)] += length * vector.to(points)
    return moved


def random_points(generator: Generator, count: int) -> Tensor:
    """Points [count,L,D] of the seeds 0, 1, 2 ..., not truncated."""
    seeds = list(range(count))
    return generator.points(generator.z(seeds), generator.condition([None] * count, seeds))


def judged(
    params: DirectionsParams, generator: Generator, points: Tensor, extractor: FeatureExtractor, context: Context
) -> Tensor:
    """How sure a judge is that each picture shows the attribute: float32 [N]. Raises ParameterError."""
    head, _, value = (part.strip() for part in params.attribute.partition("="))
    values = list(extractor.heads.get(head, ()))
    if value not in values:
        known = ", ".join(values) if values else ", ".join(list(extractor.heads)[:12])
        raise refuse(
            "attribute", f"expected head=value of the judge, such as {known}; got {params.attribute.strip()!r}"
        )
    index = values.index(value)
    seeds = list(range(len(points)))
    condition = generator.condition([None] * len(seeds), seeds)
    scores = []
    with context.models.lease({"judge": extractor.component}) as parts, torch.no_grad():
        for place, picture in drawn(generator, points, condition, seeds, context):
            prepared = torch.from_numpy(np.asarray(extractor.prepare(picture)))[None].to(context.device)
            logits = extractor.read(parts["judge"], prepared)[head][0].float()
            others = torch.cat([logits[:index], logits[index + 1 :]])
            scores.append(float(logits[index] - others.logsumexp(0)))
            if place % 16 == 0:
                context.progress(place + 1, len(points), "judging")
    found = torch.tensor(scores)
    if float(found.max() - found.min()) < 1e-6:
        raise JobFailed("The judge sees no difference between the pictures of this generator.")
    return found


class Edit:
    """gan.edit: pictures moved along up to three directions at once."""

    def run(self, params: EditParams, context: Context) -> Iterator[Artifact]:
        """Artifacts: one picture, or one strip, a seed or the projected picture."""
        count = 1 if params.projection.strip() else params.samples
        left = context.pending(count)
        if not left:
            return
        moves = [
            (field, name.strip(), strength)
            for field, name, strength in (
                ("direction_1", params.direction_1, params.strength_1),
                ("direction_2", params.direction_2, params.strength_2),
                ("direction_3", params.direction_3, params.strength_3),
            )
            if name.strip()
        ]
        with leased(context, params.model) as generator:
            layers = chosen_layers(params.layers, generator)
            shift = self._shift(moves, generator, context)
            for index in left:
                seed = params.seed + index
                points, condition = self._start(params, generator, seed, context)
                shares = [1.0] if params.steps == 1 else [column / (params.steps - 1) for column in range(params.steps)]
                moved = torch.cat([along(points, shift, share, layers) for share in shares])
                wanted = None if condition is None else condition.repeat(len(shares), 1)
                pictures = [
                    picture
                    for _, picture in drawn(
                        generator, moved, wanted, [seed] * len(shares), context, psi=params.truncation
                    )
                ]
                context.progress(1, 1, "drawing")
                whole = (
                    pictures[0]
                    if len(pictures) == 1
                    else matrix([pictures], columns_named=[f"{s:.0%}" for s in shares])
                )
                title = ", ".join(f"{name} {strength:+g}" for _, name, strength in moves)
                yield Artifact("image", whole, index=index, seed=seed, title=title)

    def _shift(self, moves: Sequence[tuple[str, str, float]], generator: Generator, context: Context) -> Tensor:
        """What all directions at their strengths add to a row of a point: [D]."""
        total = torch.zeros_like(generator.centre)
        for field, name, strength in moves:
            vector, scale = shelf.direction(context.folders, name, field)
            if vector.shape != total.shape:
                raise refuse(field, "this direction was found in another generator's space")
            method = str(shelf.about(context.folders, shelf.DIRECTIONS, name.rpartition(" ")[0]).get("method", ""))
            total = total + strength * (scale if method == "ganspace" else 1.0) * vector.to(total)
        return total

    def _start(
        self, params: EditParams, generator: Generator, seed: int, context: Context
    ) -> tuple[Tensor, Tensor | None]:
        if params.projection.strip():
            return projected(context, params.projection.strip(), generator, "projection"), None
        chosen = chosen_class(params.class_label, generator.classes, generator.class_names)
        condition = generator.condition([chosen], [seed])
        return generator.points(generator.z([seed]), condition, params.truncation), condition


def projected(context: Context, name: str, generator: Generator, field: str) -> Tensor:
    """The kept point [1,L,D] of a projected picture. Raises ParameterError."""
    point = shelf.take(context.folders, shelf.PROJECTIONS, name, field).get("w")
    expected = (1, generator.layers, len(generator.centre))
    if not generator.mapped or point is None or tuple(point.shape) != expected:
        raise refuse(field, "this picture was projected into another generator's space")
    return point.float().to(generator.device)
