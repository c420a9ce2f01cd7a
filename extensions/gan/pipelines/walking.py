"""gan.walk: a film along a way through the latent space."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from extensions.gan.film import write_film
from extensions.gan.latents.generator import Generator
from extensions.gan.latents.reading import chosen_class, seeds
from extensions.gan.latents.walks import PathKind, walk
from extensions.gan.params import WalkParams
from webui.api import Artifact, Context

from .editing import projected
from .making import drawn, leased, refuse

_MOST_FRAMES = 20_000


class Walk:
    """gan.walk."""

    def run(self, params: WalkParams, context: Context) -> Iterator[Artifact]:
        """One artifact: the film."""
        if not context.pending(1):
            return
        if len(params.through) == 1:
            raise refuse("through", "a walk needs at least two keyframes")
        keys = seeds(params.seeds, "seeds", first=params.seed, count=params.keyframes, most=200)
        if len(keys) < 2:
            raise refuse("seeds", "a walk needs at least two keyframes")
        path = context.work_dir / f"walk.{params.film}"
        with leased(context, params.model) as generator:
            kept = [projected(context, name, generator, "through") for name in params.through]
            points, condition = way(params, generator, keys, torch.cat(kept) if kept else None)
            frames = pixels(params, generator, points, condition, context)
            count = write_film(path, frames, params.fps, params.film)
        title = f"{count} frames, {count / params.fps:.1f} s"
        yield Artifact("video" if params.film == "mp4" else "file", path, seed=params.seed, title=title)


def way(
    params: WalkParams, generator: Generator, keys: list[int], kept: Tensor | None = None
) -> tuple[Tensor, Tensor | None]:
    """The points of all frames, and their classes. ``kept`` [K,L,D]: keyframes in W+, in place of the seeds."""
    if kept is not None:
        keys = [params.seed] * len(kept)
    in_w = generator.mapped if params.space == "auto" else params.space == "w" or kept is not None
    if in_w and not generator.mapped:
        raise refuse("space", "W is a space of StyleGANs; this generator has Z alone")
    kind: PathKind = ("spline" if in_w else "slerp") if params.path == "auto" else params.path  # type: ignore[assignment]
    circle = kind == "circle"
    keys = keys[:2] if circle else keys
    segments = 1 if circle else len(keys) if params.loop else len(keys) - 1
    frames = max(2, round(segments * params.seconds * params.fps))
    if frames > _MOST_FRAMES:
        raise refuse("seconds", f"that is {frames} frames; at most {_MOST_FRAMES} are made")
    z = generator.z(keys)
    classes = _classes(params, generator, keys)
    psi, cutoff = params.truncation, params.cutoff or None
    loop = params.loop or circle
    condition = None if classes is None else walk(classes, frames, "linear", loop=loop)
    if in_w:
        ends = generator.points(z, classes, psi, cutoff) if kept is None else kept[: len(keys)]
        points = walk(ends, frames, kind, loop=loop, centre=generator.centre)
    else:
        points = generator.points(walk(z, frames, kind, loop=loop), condition, psi, cutoff)
    return points, condition


def _classes(params: WalkParams, generator: Generator, keys: list[int]) -> Tensor | None:
    names = [part for part in params.class_label.split(",") if part.strip()]
    chosen = [chosen_class(name, generator.classes, generator.class_names) for name in names] or [None]
    if len(chosen) > 1:
        chosen = [chosen[place % len(chosen)] for place in range(len(keys))]
    elif chosen[0] is None:  # one class for the whole way, that of the first seed
        first = generator.condition([None], keys[:1])
        return None if first is None else first.repeat(len(keys), 1)
    else:
        chosen = chosen * len(keys)
    return generator.condition(chosen, keys)


def pixels(
    params: WalkParams, generator: Generator, points: Tensor, condition: Tensor | None, context: Context
) -> Iterator[np.ndarray]:
    """uint8 [H,W,3] a frame."""
    total = len(points)
    edge = params.size or generator.resolution
    seeds_of = [params.seed] * total  # noise that stays the same for all
    with torch.no_grad():
        for place, picture in drawn(
            generator, points, condition, seeds_of, context, psi=params.truncation, noise=params.noise
        ):
            if picture.size != (edge, edge):
                picture = picture.resize((edge, edge), Image.Resampling.LANCZOS)
            context.progress(place + 1, total, "filming")
            context.preview(picture)
            yield np.asarray(picture)
