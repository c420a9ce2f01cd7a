"""From what a person wrote in a form to a set: folder, zip, statistics, gallery, data set, drawings, a pipeline."""

from __future__ import annotations

import os
import urllib.parse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from PIL import Image

from extensions.metrics.features import statistics
from extensions.metrics.sets.frechet import Moments
from webui.api import Context, FieldError, JobFailed, ParameterError

from .hub import HubPictures
from .made import PipelinePictures, texts_in
from .pictures import PictureSet, Prepare
from .places import folder_set, gallery_set, place_of, zip_set

DRAWN_SEED = 3_000_000_000
"""Of drawings to compare with: far from those that models were trained on."""


@dataclass(frozen=True)
class Asked:
    """One side of a comparison as the form says it."""

    field: str
    """Of the form, for messages."""
    ref: str = ""
    file: str | None = None
    """An uploaded .zip or .npz."""
    images: Sequence[str] = ()
    pipeline: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)
    prompts: str | None = None
    seed: int = 0
    count: int = 0
    """At most so many pictures; of a set that is made, so many. 0: all, or ``usual``."""
    usual: int = 2048
    keep: bool = False
    first_artifact: int = 0


class First:
    """The first pictures of a set."""

    def __init__(self, whole: PictureSet, count: int) -> None:
        self.whole, self._count = whole, count
        self.title, self.file_format, self.runs_pipelines = whole.title, whole.file_format, whole.runs_pipelines
        self.identity = f"{whole.identity}:{count}" if whole.identity else ""

    def __len__(self) -> int:
        return self._count

    def name(self, index: int) -> str:
        return self.whole.name(index)

    def picture(self, index: int) -> Image.Image:
        return self.whole.picture(index)

    def read(self, start: int, prepare: Prepare) -> Any:
        return islice(self.whole.read(start, prepare), self._count - start)


def open_set(asked: Asked, context: Context, threads: int = 0) -> PictureSet | Moments:
    """Pictures, or the statistics of an .npz. Raises ParameterError, JobFailed, NotFound."""
    threads = threads or min(16, os.cpu_count() or 1)
    found = _open(asked, context, threads)
    if isinstance(found, Moments):
        return found
    return First(found, asked.count) if 0 < asked.count < len(found) else found


def _open(asked: Asked, context: Context, threads: int) -> PictureSet | Moments:
    if asked.images:
        return gallery_set(asked.images, f"{len(asked.images)} chosen pictures", context, threads)
    if asked.file:
        path = context.open_file(asked.file)
        return _file(path, path.name, threads)
    kind, _, rest = asked.ref.strip().partition(":")
    if kind == "collection" and rest:
        return gallery_set(context.collection(rest), f"the collection {rest}", context, threads)
    if kind == "dataset" and rest:
        return HubPictures(rest, asked.count or asked.usual, context)
    if kind == "drawn":
        return _drawn(rest, asked, context)
    if kind == "pipeline" and rest:
        return _pipeline(rest, asked, context)
    if asked.ref.strip():
        place = place_of(asked.ref.strip(), context, asked.field)
        return folder_set(place, str(place), threads) if place.is_dir() else _file(place, str(place), threads)
    if asked.pipeline:
        return _pipeline(asked.pipeline, asked, context)
    raise ParameterError(
        [FieldError(asked.field, "is required: a folder, a .zip, or one of the ways that its help names")]
    )


def _file(path: Path, title: str, threads: int) -> PictureSet | Moments:
    return statistics.read(path) if path.suffix.lower() == ".npz" else zip_set(path, title, threads)


def _drawn(rest: str, asked: Asked, context: Context) -> PictureSet:
    """``avatar``, ``scene`` or ``any``, then ``?style=flat&size=128&seed=5``."""
    domain, _, query = rest.partition("?")
    said = dict(urllib.parse.parse_qsl(query))
    wrong = set(said) - {"style", "size", "seed"}
    if wrong or not all(said[name].isdigit() for name in ("size", "seed") if name in said):
        raise ParameterError([FieldError(asked.field, "drawn:avatar?style=flat&size=128&seed=5 is how it is written")])
    params: dict[str, Any] = {"domain": domain or "any", "width": int(said.get("size", 128))}
    params |= {"style": said["style"]} if "style" in said else {}
    made = _pipeline("starter.draw", asked, context, params, int(said.get("seed", DRAWN_SEED)))
    made.identity = f"drawn:{sorted(params.items())}:{made.seed}:{made.count}"  # the drawing is exact
    return made


def _pipeline(
    name: str, asked: Asked, context: Context, params: Mapping[str, Any] | None = None, seed: int | None = None
) -> PipelinePictures:
    spec = context.pipelines.get(name)
    if spec is None:
        raise JobFailed(f"there is no pipeline {name!r} to make pictures with.")
    prompts = texts_in(context.open_file(asked.prompts)) if asked.prompts and params is None else ()
    return PipelinePictures(
        context,
        spec,
        asked.params if params is None else params,
        asked.seed if seed is None else seed,
        asked.count or asked.usual,
        prompts,
        keep=asked.keep and params is None,
        first_artifact=asked.first_artifact,
    )
