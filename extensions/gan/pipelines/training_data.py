"""The pictures of a training job: drawn, from a folder, or of the hub -> one mapped array in the job's work folder."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image

from extensions.gan.params_training import TrainParams
from extensions.gan.recipe import Recipe
from extensions.gan.tasks.sources import FolderRows, hub_rows
from extensions.gan.training.data import PictureArray, opened, write_array
from webui.api import Context, FieldError, JobFailed, ParameterError

from .making import refuse

_REF = re.compile(r"(?P<name>[\w./-]+?)(?:@(?P<revision>[\w.-]+))?(?:\[(?P<split>[\w:%]+)\])?(?:#(?P<column>\w+))?")
_DRAWN_SEED = 10_000_000
"""Of the first drawing: evaluations take theirs from elsewhere."""


def pictures_for(params: TrainParams, recipe: Recipe, context: Context) -> PictureArray:
    """Made once a job, and found again when it goes on. Raises ParameterError, JobFailed, Cancelled."""
    place = context.work_dir / "data"
    found = opened(place)
    if found is not None and found.size == recipe.resolution:
        return found

    def told(done: int, total: int) -> None:
        context.check_cancelled()
        context.progress(0, 1, f"preparing pictures: {done:,} of {total:,}")

    try:
        if params.data == "hub":
            rows: Iterator[tuple[Image.Image, str]] = _hub(params, context)
            count = params.samples
        else:
            folder = _drawn(params, recipe, context) if params.data == "drawn" else _named(params, context)
            listed = FolderRows(folder, params.label)
            rows, count = iter(listed), min(params.samples, len(listed.rows))
        made = write_array(place, rows, count, recipe.resolution, told)
    except ValueError as error:
        field = {"hub": "dataset", "drawn": "label"}.get(
            params.data, "label" if "class column" in str(error) else "folder"
        )
        raise refuse(field, str(error)) from None
    except OSError as error:
        raise JobFailed(
            f"the pictures cannot be prepared: {error}", hint="Look for broken pictures, and at the room that is left."
        ) from error
    shutil.rmtree(context.work_dir / "drawn", ignore_errors=True)
    return made


def _named(params: TrainParams, context: Context) -> Path:
    if not params.folder.strip():
        raise refuse("folder", "name the folder of the pictures, or choose drawn ones")
    try:
        return context.open_folder(params.folder)
    except ParameterError as error:
        raise ParameterError([FieldError("folder", one.message, one.got) for one in error.fields]) from None


def _drawn(params: TrainParams, recipe: Recipe, context: Context) -> Path:
    """An image folder that ``starter.draw`` writes, twice as large as is trained on: scaled down, edges are smooth."""
    if "starter.draw" not in context.pipelines:
        raise refuse("data", "the extension starter is not loaded: choose a folder")
    folder = context.work_dir / "drawn"
    if not (folder / "metadata.jsonl").is_file():
        wanted = {
            "samples": params.samples,
            "domain": params.domain,
            "style": params.style,
            "width": max(16, 2 * recipe.resolution),
            "seed": _DRAWN_SEED + params.seed,
            "folder": str(folder),
        }
        context.run("starter.draw", wanted, take=lambda artifact: None)
    return folder


def _hub(params: TrainParams, context: Context) -> Iterator[tuple[Image.Image, str]]:
    found = _REF.fullmatch(params.dataset.strip())
    if found is None or found["name"].count("/") > 1 or found["name"][0] in "./":
        raise refuse("dataset", "expected an id of the hub, such as name@revision[split]#column")
    if context.offline:
        raise refuse("dataset", "this installation is offline: choose a folder")
    try:
        from datasets import load_dataset
    except ImportError:
        raise JobFailed(
            "data sets of the hub need the package `datasets`, which is not installed.",
            hint="Install it into .venv (pip install datasets), then start again; or give a folder.",
        ) from None
    try:
        rows: Any = load_dataset(
            found["name"], split=found["split"] or "train", revision=found["revision"], streaming=True
        )
    except Exception as error:  # the hub's client and every format raise errors of their own
        raise JobFailed(
            f"{params.dataset} cannot be opened: {' '.join(str(error).split())[:300]}",
            hint="Check the id, the split and the network; a data set that asks for consent needs HF_TOKEN.",
        ) from error
    return hub_rows(rows, found["column"] or _picture_column(rows), params.label)


def _picture_column(rows: Any) -> str:
    for name, kind in (rows.features or {}).items():
        if type(kind).__name__ == "Image":
            return str(name)
    return "image"
