"""Which pictures a folder holds, and what their results are called; files are only listed, none is opened."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from webui.api import JobFailed

ENDINGS = frozenset({".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif"})
PICTURES_MAX = 20_000


@dataclass(frozen=True)
class Source:
    """One file of the folder. ``name`` is its path within, with slashes; ``passed_over`` says why it is not taken."""

    name: str
    passed_over: str = ""


def listed(folder: Path, *, subfolders: bool) -> list[Source]:
    """The files of ``folder`` by name, hidden ones left out. Raises JobFailed for too many pictures, OSError."""
    real = folder.resolve()
    found = sorted(_files(folder, PurePosixPath(), subfolders=subfolders), key=lambda name: name.as_posix().casefold())
    sources = []
    for name in found:
        reason = ""
        if name.suffix.lower() not in ENDINGS:
            reason = "is no picture"
        elif not (folder / name).resolve().is_relative_to(real):
            reason = "is a link that leads out of the folder"
        sources.append(Source(name.as_posix(), reason))
    if sum(not one.passed_over for one in sources) > PICTURES_MAX:
        raise JobFailed(f"The folder holds more than {PICTURES_MAX:,} pictures.", hint="Part it into several.")
    return sources


def _files(folder: Path, prefix: PurePosixPath, *, subfolders: bool) -> Iterator[PurePosixPath]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                if subfolders and not entry.is_symlink():
                    yield from _files(folder / entry.name, prefix / entry.name, subfolders=True)
            elif entry.is_file():
                yield prefix / entry.name


def remembered(path: Path, folder: Path, *, subfolders: bool) -> list[Source]:
    """As ``listed`` was when the job began, kept in ``path``: places of results follow from it. Raises as it does."""
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        sources = listed(folder, subfolders=subfolders)
        temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
        temporary.write_text(json.dumps([[one.name, one.passed_over] for one in sources]), encoding="utf-8")
        os.replace(temporary, path)
        return sources
    return [Source(str(name), str(reason)) for name, reason in rows]


def result_names(sources: Sequence[Source]) -> dict[str, str]:
    """Source -> what its result is called, without an ending: the source's own name; with its ending where two differ
    in nothing else.
    """
    stems: dict[str, int] = {}
    for one in sources:
        stem = PurePosixPath(one.name).with_suffix("").as_posix().casefold()
        stems[stem] = stems.get(stem, 0) + 1
    return {
        one.name: path.as_posix()
        if stems[path.with_suffix("").as_posix().casefold()] > 1
        else path.with_suffix("").as_posix()
        for one in sources
        if (path := PurePosixPath(one.name))
    }
