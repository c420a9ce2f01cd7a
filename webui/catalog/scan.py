"""Walks the models folders: yields what may be a model, cheaply, without opening any weights."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .entry import PICKLE_ENDINGS
from .folders import INDEX

DEPTH = 6
"""Levels of folders that are looked at below a models folder."""
WEIGHT_ENDINGS = (".safetensors", ".gguf", *PICKLE_ENDINGS)


@dataclass(frozen=True)
class Candidate:
    """A file that may be a model, or a folder with an index. ``stamp`` changes when it does."""

    place: str
    """Its path, as text: a Path costs more to make than the file's stat."""
    relative: str
    """Below its models folder, with forward slashes."""
    is_folder: bool
    size_bytes: int
    stamp: tuple[int, ...]

    @property
    def path(self) -> Path:
        return Path(self.place)


def candidates(root: Path) -> Iterator[Candidate]:
    """Everything below ``root`` that may be a model, in the order of its path. Unreadable folders are passed over."""
    yield from _walk(str(root), "", DEPTH, frozenset())


def single(path: Path, relative: str = "") -> Candidate | None:
    """``path`` itself as a candidate; None if it is neither a diffusers folder nor a weights file. Raises OSError."""
    relative = relative or path.name
    if path.is_dir():
        return _folder(path, relative) if (path / INDEX).is_file() else None
    if path.suffix.lower() not in WEIGHT_ENDINGS:
        return None
    stat = path.stat()
    return Candidate(str(path), relative, False, stat.st_size, (stat.st_size, stat.st_mtime_ns))


def _walk(folder: str, relative: str, depth: int, above: frozenset[str]) -> Iterator[Candidate]:
    real = os.path.realpath(folder)
    if real in above:  # a link that leads back up
        return
    try:
        with os.scandir(folder) as listing:
            rows = sorted(listing, key=lambda row: row.name)
    except OSError:
        return
    if relative and any(row.name == INDEX for row in rows):
        yield _folder(Path(folder), relative)
        return
    for row in rows:
        if row.name.startswith("."):
            continue
        below = f"{relative}/{row.name}" if relative else row.name
        is_weights = row.name.lower().endswith(WEIGHT_ENDINGS)
        try:
            if row.is_dir() and not (is_weights and not os.path.exists(os.path.join(row.path, INDEX))):
                if depth > 0:
                    yield from _walk(row.path, below, depth - 1, above | {real})
            elif is_weights:
                stat = row.stat()
                yield Candidate(row.path, below, False, stat.st_size, (stat.st_size, stat.st_mtime_ns))
        except OSError:  # a link to nothing or to itself; what it is said to be shows in the list
            if is_weights:
                yield Candidate(row.path, below, False, 0, (0, 0))


def _folder(folder: Path, relative: str) -> Candidate:
    """A diffusers folder; its stamp covers the index, the configurations and the weights."""
    size_bytes, newest, count = 0, 0, 0
    for place in (folder, *_subfolders(folder)):
        try:
            with os.scandir(place) as listing:
                for row in listing:
                    if row.is_file():
                        stat = row.stat()
                        count += 1
                        newest = max(newest, stat.st_mtime_ns)
                        size_bytes += stat.st_size
        except OSError:
            continue
    return Candidate(str(folder), relative, True, size_bytes, (size_bytes, newest, count))


def _subfolders(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as listing:
            return [Path(row.path) for row in listing if not row.name.startswith(".") and row.is_dir()]
    except OSError:
        return []
