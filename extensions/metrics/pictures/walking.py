"""metrics.ppl: a latent space of any extension -> its perceptual path length."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from extensions.metrics import records
from extensions.metrics.comparing import VERSION
from extensions.metrics.sets.interval import of_means
from webui.api import Artifact, Context, FieldError, JobFailed, LatentGenerator, NotFound, ParameterError, Work

from .params import PathParams
from .path_length import READ_PX, TRIM_PERCENT, Pairs, Walk, lengths, trimmed
from .perceptual import FORMULA, Perceptual, perceptual
from .telling import Column, RowFile, histogram, plain, teller

_PUBLISHED = "Karras et al. 2019 and 2020"
_LABELS, _NOISE = 1, 2
"""Which of a batch's generators: its points, their labels and its noise differ, and repeat from the seed."""


class PathLength:
    """metrics.ppl."""

    def run(self, params: PathParams, context: Context) -> Iterator[Artifact]:
        space = _space(params, context)
        if params.walk == "w" and not space.mapped:
            raise ParameterError([FieldError("walk", "this generator has no mapping, so no W: walk in Z")])
        distance = perceptual(context, params.perceptual, params.weights, usual="vgg")
        walk = Walk(params.walk, params.sampling, params.epsilon, params.crop)  # type: ignore[arg-type]
        context.pending(4, [1000.0, 1.0, 1.0, 1.0])
        held, tell = RowFile(context.work_dir / "lengths.jsonl"), teller(context, "Walking")
        tell(len(held), params.samples)
        while len(held) < params.samples:
            batch = len(held) // params.batch
            count = min(params.batch, params.samples - len(held))
            found = _batch(params, context, (space, distance), walk, batch)[:count]
            if not np.isfinite(found).all():
                raise JobFailed("the generator's pictures are not finite: there is no path length.")
            held.add([{"length": float(value)} for value in found])
            tell(len(held), params.samples)
        yield from _told(params, context, (space, distance), np.array([row["length"] for row in held.rows]))


def _space(params: PathParams, context: Context) -> LatentGenerator:
    if not context.latent_spaces:
        raise JobFailed("no extension offers a latent space.", hint="docs/hooks.md: register_latent_spaces.")
    name = params.space or next(iter(context.latent_spaces))
    try:
        return context.latent_generator(name, params.model)
    except NotFound as error:
        raise ParameterError([FieldError("space", error.message)]) from error


def _batch(
    params: PathParams, context: Context, parts: tuple[LatentGenerator, Perceptual], walk: Walk, batch: int
) -> Any:
    """The lengths of one batch: a whole one always, so that each path is the same however many are asked for."""
    space, distance = parts
    count, generator = params.batch, context.generator((params.seed * 1_000_003 + batch) % 2**63)
    z = space.sample(2 * count, generator)
    labels = space.labels(count, generator)
    at = torch.rand(count, generator=generator) if walk.sampling == "full" else torch.zeros(count)
    noise_seed = int(torch.randint(2**31, (1,), generator=generator))
    pairs = Pairs(z[:count], z[count:], at)
    wanted = {**{f"generator.{name}": one for name, one in space.components.items()}, "distance": distance.component}
    with context.models.lease(wanted, work=Work("other", batch=2 * count)) as leased, torch.inference_mode():
        own = {name: leased[f"generator.{name}"] for name in space.components}
        twice = _twice(labels)

        def draw(w: Tensor) -> Tensor:
            images = space.synthesize(own, w, twice, noise_seed)
            if images.ndim != 4 or images.shape[1] != 3 or not images.is_floating_point():
                raise JobFailed(f"expected float pictures [N,3,H,W] of the generator, got {list(images.shape)}.")
            return images.float()

        def apart(a: Tensor, b: Tensor) -> Tensor:
            if min(a.shape[-2:]) < distance.smallest_px:
                raise JobFailed(f"{distance.name} takes pictures of {distance.smallest_px} pixels or more.")
            return distance.distance(leased["distance"], a, b)

        return lengths(pairs, walk, lambda points: space.map(own, points, labels), draw, apart)


def _twice(labels: Any) -> Any:
    return torch.cat([labels, labels]) if isinstance(labels, Tensor) else labels


def _told(
    params: PathParams, context: Context, parts: tuple[LatentGenerator, Perceptual], values: Any
) -> Iterator[Artifact]:
    space, distance = parts
    kept = trimmed(values)
    estimate = of_means(list(kept), way=f"Student, over {len(kept)} paths")
    spec = context.latent_spaces[params.space or next(iter(context.latent_spaces))]
    name = f"PPL ({params.walk}, {params.sampling}{', centre' if params.crop else ''}) by {distance.name}"
    row = {
        "key": "ppl",
        "score": name,
        "value": estimate.value,
        "low": estimate.low,
        "high": estimate.high,
        "median": float(np.median(kept)),
        "n": len(kept),
        "better": "lower",
        "interval": estimate.way,
    }
    protocol = {
        "space": spec.id,
        "generator": dict(space.protocol),
        **distance.protocol,
        "walk": params.walk,
        "sampling": params.sampling,
        "epsilon": params.epsilon,
        "paths": len(values),
        "trimmed_percent": TRIM_PERCENT,
        "reduced_to_px": READ_PX,
        "crop": params.crop,
        "noise": "shared within a pair",
        "seed": params.seed,
        "batch": params.batch,
        "formulas": f"{_PUBLISHED}; {FORMULA}",
        "device": records.device_words(context.device),
        "versions": records.versions(VERSION),
    }
    if len(values) < 10_000:
        context.warn(f"{len(values)} paths: the interval tells how sure that is; published numbers are of 50,000.")
    yield Artifact("scalar", plain({"scores": {name: row}, "protocol": protocol}), index=0, title=name)
    yield Artifact("table", [plain(row)], index=1, title="Scores")
    text = records.lines([plain(row)], plain(protocol))
    file = context.work_dir / "scores.jsonl"
    file.write_text(text, encoding="utf-8")
    if context.settings.get("history", True):
        records.keep(context.folders("metrics")[0], text, job=context.job.id)
    yield Artifact("file", file, index=2, title="Record")
    yield Artifact("plot", histogram(Column("length", "Length of a path"), list(kept)), index=3, title="Path lengths")
