"""``reproduce IMAGE``: makes the picture again from the recipe in its file, and says whether it is the same."""

from __future__ import annotations

import argparse
import json
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from webui.app import Studio, build_studio
from webui.cli.options import add_host_options, settings_from
from webui.cli.progress import Bar
from webui.core.errors import JobFailed, NotFound
from webui.core.jobs import ArtifactRecord, Job, JobArtifact, JobCancelled, JobFailedEvent
from webui.core.recipes import Recipe
from webui.library import metadata

MOST_IMAGES = 4096
FORMATS = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".webp": "webp"}


@dataclass(frozen=True)
class Comparison:
    """``largest`` and ``mean`` are differences of channel values in 0..255; ``changed`` lists what differs in the
    environment.
    """

    identical: bool
    largest: int
    mean: float
    differing_share: float
    changed: tuple[str, ...]
    size: tuple[int, int]
    made_size: tuple[int, int]


def main(arguments: Sequence[str]) -> int:
    """Exit status 0 only if every pixel is the same; 1 if not, or if it cannot be made."""
    parser = argparse.ArgumentParser(prog="launch.py reproduce", allow_abbrev=False, description=__doc__)
    parser.add_argument("image", type=Path, help="a picture that Lifelike made")
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_host_options(parser)
    given = parser.parse_args(list(arguments))
    if not given.image.is_file():
        raise NotFound(f"there is no file {given.image}.")
    read = metadata.read(given.image)
    if read.recipe is None:
        raise JobFailed(f"{given.image} holds no recipe of ours. {' '.join(read.notes)}".strip())
    with tempfile.TemporaryDirectory(prefix="lifelike-reproduce-") as folder:
        image_format = FORMATS.get(given.image.suffix.lower(), "png")
        settings = settings_from(given, image_format=image_format)
        studio = build_studio(settings, library_dir=Path(folder), allow_paths=True)
        record = make_again(studio, read.recipe)
        made = studio.files.path_of(record)
        again = metadata.read(made).recipe
        comparison = compare(given.image, made, read.recipe, again or read.recipe)
    print(json.dumps(asdict(comparison)) if given.json else _text(comparison))
    return 0 if comparison.identical else 1


def make_again(studio: Studio, recipe: Recipe) -> ArtifactRecord:
    """Run the recipe's pipeline for its one image. Raises NotFound, JobFailed."""
    if recipe.pipeline not in studio.host.pipelines:
        raise NotFound(f"the recipe needs the pipeline {recipe.pipeline!r}, which no loaded extension has.")
    from webui.engine.local import run_local

    records: list[ArtifactRecord] = []
    errors: list[str] = []
    bar = Bar()

    def take(event: Any) -> None:
        bar.show(event)
        if isinstance(event, JobArtifact):
            records.append(event.artifact)
        elif isinstance(event, JobFailedEvent):
            errors.append(f"{event.error.message} {event.error.hint}".strip())
        elif isinstance(event, JobCancelled):
            errors.append("cancelled")

    others = tuple(index for index in range(MOST_IMAGES) if index != recipe.index)
    job = Job(pipeline=recipe.pipeline, params=recipe.params)
    try:
        run_local(studio.runner(), job, take, threading.Event(), done_indices=others)
    finally:
        bar.close()
    for record in records:
        if record.index == recipe.index:
            return record
    raise JobFailed("it could not be made again: " + ("; ".join(errors) or "the pipeline made no such image"))


def compare(original: Path, made: Path, recipe: Recipe, again: Recipe) -> Comparison:
    """Pixel by pixel, and the environments of the two recipes."""
    import numpy as np
    from PIL import Image

    with Image.open(original) as one, Image.open(made) as two:
        sizes = (one.size, two.size)
        first, second = (np.asarray(image.convert("RGBA"), dtype=np.int16) for image in (one, two))
    changed = environment_changes(recipe, again)
    if first.shape != second.shape:
        return Comparison(False, 255, 255.0, 1.0, changed, sizes[0], sizes[1])
    difference = np.abs(first - second)
    return Comparison(
        identical=not difference.any(),
        largest=int(difference.max(initial=0)),
        mean=float(difference.mean()),
        differing_share=float((difference.max(axis=-1) > 0).mean()),
        changed=changed,
        size=sizes[0],
        made_size=sizes[1],
    )


def environment_changes(then: Recipe, now: Recipe) -> tuple[str, ...]:
    """What differs between the environments of two recipes, a line each."""
    rows = []
    for title, old, new in (
        ("library", then.libraries, now.libraries),
        ("extension", then.extensions, now.extensions),
        ("device", then.device, now.device),
        ("model", {use.ref: use.sha256[:12] for use in then.models}, {use.ref: use.sha256[:12] for use in now.models}),
    ):
        for name in sorted({*old, *new}):
            if old.get(name) != new.get(name):
                rows.append(f"{title} {name}: {old.get(name, 'none')} then, {new.get(name, 'none')} now")
    return tuple(rows)


def _text(comparison: Comparison) -> str:
    if comparison.identical:
        head = "identical: every pixel is the same."
    elif comparison.size != comparison.made_size:
        head = f"different: the size was {comparison.size}, now {comparison.made_size}."
    else:
        head = (
            f"different: {comparison.differing_share:.1%} of the pixels, by at most {comparison.largest} of 255, "
            f"{comparison.mean:.4f} on average."
        )
    changes = comparison.changed or (() if comparison.identical else ("nothing that the recipe records",))
    return "\n".join([head, *(["what changed:"] if changes else []), *(f"  {line}" for line in changes)])
