"""The pipeline ``restoration.train``: clean pictures, drawn by the starter or from a folder -> the small networks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from PIL import Image, ImageOps

from extensions.restoration.params import TrainParams
from extensions.restoration.pictures.arrays import Pixels, to_pixels
from extensions.restoration.training.loop import Plan, train
from webui.api import Artifact, Context, JobFailed

DRAW = "starter.draw"
HELD_OUT = 1_000_000_000
"""Drawings from this seed on are never trained on."""
STEPS = {"restorer": 10_000, "scratches": 2_000, "colourizer": 6_000}
"""As many as the bundled networks took; their model card says how."""
_ENDINGS = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"})
_SHEET = 6


class Train:
    """For each network its weights, ready to be put into models/restoration, and a sheet of samples."""

    def run(self, params: TrainParams, context: Context) -> Iterator[Artifact]:
        """Raises JobFailed, ParameterError, Cancelled; a stopped run goes on where it was."""
        tasks = tuple(STEPS) if params.task == "all" else (params.task,)
        folder = context.work_dir
        folder.mkdir(parents=True, exist_ok=True)
        if params.crop > params.side:
            raise JobFailed("a crop is larger than the pictures.", hint="Choose a smaller crop or larger pictures.")
        if params.source:
            pictures = _from_folder(context.open_folder(params.source), params, context)
            pool, held_out = pictures[_SHEET:] or pictures, pictures[:_SHEET]
        else:
            pool = _drawn(params.pictures, params.seed, params.side, context)
            held_out = _drawn(_SHEET, HELD_OUT, params.side, context)
        for place, task in enumerate(tasks):
            steps = params.steps or STEPS[task]
            plan = Plan(task, steps, params.batch, params.crop, params.rate, params.seed % 2**31)
            weights = train(plan, pool, held_out, folder, lambda step, total, name: context.progress(step, total, name))
            sheet = sorted(folder.glob(f"{task}-*.png"))[-1]
            with Image.open(sheet) as picture:
                yield Artifact("image", picture.convert("RGB"), index=2 * place + 1, title=f"{task}: samples")
            yield Artifact("file", weights, index=2 * place, title=task)


def _drawn(count: int, start: int, side: int, context: Context) -> list[Pixels]:
    """Drawings of the seeds from ``start`` on. Raises JobFailed where nobody draws."""
    if DRAW not in context.pipelines:
        raise JobFailed(f"pictures are drawn by {DRAW}, which is not there.", hint="Name a folder of clean pictures.")
    pictures: list[Pixels] = []
    most = 500
    for first in range(0, count, most):
        params = {"samples": min(most, count - first), "width": side, "seed": start + first}
        context.run(
            DRAW, params, count=params["samples"], take=lambda artifact: pictures.append(to_pixels(artifact.data))
        )
        context.progress(len(pictures), count, "drawing")
    return pictures


def _from_folder(folder: Path, params: TrainParams, context: Context) -> list[Pixels]:
    """Squares from the middle of the first pictures by name. Raises JobFailed where there are too few."""
    pictures: list[Pixels] = []
    for path in sorted(one for one in folder.rglob("*") if one.suffix.lower() in _ENDINGS)[: params.pictures]:
        try:
            with Image.open(path) as picture:
                square = ImageOps.fit(ImageOps.exif_transpose(picture).convert("RGB"), (params.side, params.side))
        except (OSError, ValueError) as error:
            context.warn(f"{path.name} cannot be read and is left out: {error}")
            continue
        pictures.append(to_pixels(square))
        context.check_cancelled()
    if len(pictures) < 8:
        raise JobFailed(f"{folder} holds {len(pictures)} pictures, expected 8 or more.")
    return pictures
