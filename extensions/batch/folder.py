"""The pipeline ``batch.folder``: runs another one for each picture of a folder, within this job; a bad file costs the
others nothing and stands in the table with its reason.
"""

from __future__ import annotations

import base64
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from webui.api import Artifact, Cancelled, Context, FieldError, JobFailed, LifelikeError, ParameterError, describe

from .accepting import PICTURE, new_folder
from .params import FolderParams
from .sources import Source, remembered, result_names

_FILE_BYTES_MAX = 64 * 2**20
_RESULT_ENDINGS = (".png", ".jpg", ".webp")


@dataclass
class _Row:
    """What became of one file."""

    file: str
    state: str = "waiting"
    """done, kept (a result was there), failed or passed over"""
    reason: str = ""
    result: str = ""
    seconds: float | None = None

    def told(self) -> dict[str, Any]:
        seconds = "" if self.seconds is None else round(self.seconds, 3)
        return {
            "file": self.file,
            "state": self.state,
            "reason": self.reason,
            "result": self.result,
            "seconds": seconds,
        }


@dataclass(frozen=True)
class _Target:
    """The folder of copies; without one nothing is copied."""

    folder: Path | None
    replace: bool

    def there(self, name: str) -> Path | None:
        """A result of an earlier time under ``name``, of whatever format, that is to be kept."""
        if self.folder is None or self.replace:
            return None
        known = (self.folder / (name + ending) for ending in _RESULT_ENDINGS)
        return next((path for path in known if path.is_file()), None)

    def put(self, made: Path, name: str) -> str:
        """Copy ``made`` under ``name``, whole or not at all; where it is now. Raises OSError."""
        if self.folder is None:
            return ""
        target = self.folder / (name + made.suffix)
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
        shutil.copyfile(made, temporary)
        os.replace(temporary, target)
        return str(target)


def made(path: str, context: Context) -> Path:
    """The folder of results, made where it is missing. Raises ParameterError, JobFailed."""
    try:
        return context.open_folder(path)
    except ParameterError:
        new = new_folder(path)
        if new is None:
            raise
        folder = context.open_folder(new[0]) / new[1]
        if folder.exists():  # what is there and may not be opened is neither used nor taken away
            raise
    try:
        folder.mkdir()
        return context.open_folder(str(folder))
    except OSError as error:
        raise JobFailed(f"The folder {folder.name!r} cannot be made: {error}") from error
    except ParameterError:
        folder.rmdir()  # no request comes near this place
        raise


class Folder:
    """batch.folder. Artifacts: a picture for each source, in the order of names, then the table of all files."""

    def run(self, params: FolderParams, context: Context) -> Iterator[Artifact]:
        """Raises ParameterError for folders that may not be named, JobFailed where no picture became anything."""
        folder = context.open_folder(params.folder)
        copies = made(params.target, context) if params.target else None
        files = remembered(context.work_dir / "files.json", folder, subfolders=params.subfolders)
        sources = [one for one in files if not one.passed_over]
        if not sources:
            raise JobFailed(f"There is no picture in {folder.name!r}.", hint="PNG, JPEG, WebP, GIF, BMP, TIFF or AVIF.")
        pending = set(context.pending(len(sources) + 1))
        batch = _Batch(folder, _Target(copies, params.there_already == "replace"), params, context)
        names = result_names(sources)
        rows = [
            batch.done(place, one, names[one.name], missing=place in pending or context.saved(place) is None)
            for place, one in enumerate(sources)
        ]
        yield _table(rows, [one for one in files if one.passed_over], len(sources), context)


@dataclass(frozen=True)
class _Batch:
    """What all pictures have in common."""

    folder: Path
    target: _Target
    params: FolderParams
    context: Context

    def done(self, place: int, source: Source, name: str, *, missing: bool) -> _Row:
        """Make what is ``missing`` of a picture's result, which is called ``name``; its row. Raises Cancelled alone."""
        row = _Row(source.name)
        there = self.target.there(name) if missing else None
        if there is not None:
            row.state, row.result = "kept", str(there)
            return row
        began = time.monotonic()
        try:
            if missing:
                self._make(place, source.name)
                row.seconds = time.monotonic() - began
            made = self.context.saved(place)
            row.result = self.target.put(made, name) if made is not None else ""
            row.state = "done"
        except Cancelled:
            raise
        except ParameterError as error:
            told = [one.message if one.name == PICTURE else str(one) for one in error.fields]
            row.state, row.reason = "failed", "; ".join(told)
        except OSError as error:
            row.state, row.reason = "failed", error.strerror or str(error)
        except LifelikeError as error:
            row.state, row.reason = "failed", str(error)
        return row

    def _make(self, place: int, name: str) -> None:
        inner = {**self.params.params, PICTURE: _read(self.folder, name)}
        rows = describe(self.context.pipelines[self.params.pipeline].params)
        seed = next((row.name for row in rows if row.kind == "seed"), "")
        if self.params.vary_seed and isinstance(inner.get(seed), int):
            inner[seed] += place
        if not self.context.run(self.params.pipeline, inner, index=place, title=name):
            raise JobFailed("The pipeline made nothing.")


def _read(folder: Path, name: str) -> str:
    """A picture of the folder as a data URL: it is stored by its content, so that its result can be made again when
    the folder is gone. Raises ParameterError, OSError.
    """
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()):  # swapped for a link since it was listed
        raise ParameterError([FieldError(PICTURE, "is a link that leads out of the folder")])
    size = path.stat().st_size
    if size > _FILE_BYTES_MAX:
        raise ParameterError([FieldError(PICTURE, f"has {size:,} bytes, more than {_FILE_BYTES_MAX:,}")])
    return "data:;base64," + base64.b64encode(path.read_bytes()).decode("ascii")


def _table(rows: Sequence[_Row], others: Sequence[Source], index: int, context: Context) -> Artifact:
    """Every file with what became of it. Raises JobFailed where nothing became of any."""
    failed = [row for row in rows if row.state == "failed"]
    if failed:
        words = f"the first, {failed[0].file}: {failed[0].reason}"
        if len(failed) == len(rows):
            raise JobFailed(f"None of the {len(rows)} pictures could be used; {words}")
        context.warn(f"{len(failed)} of {len(rows)} pictures could not be used; {words}")
    kept = sum(row.state == "kept" for row in rows)
    if kept:
        context.warn(f"{kept} of {len(rows)} pictures were left out: their results are there already.")
    told = [row.told() for row in rows]
    told += [_Row(one.name, "passed over", one.passed_over).told() for one in others]
    return Artifact("table", told, index=index, title="Files")
