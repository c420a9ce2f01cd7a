"""Where pictures come from: a folder with classes or metadata.jsonl, or rows of a data set -> (picture, class)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from PIL import Image

ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
Rows = Iterator[tuple[Image.Image, str]]


class FolderRows:
    """An image folder as the `datasets` library has it: metadata.jsonl with ``file_name``, or a folder a class."""

    def __init__(self, folder: Path, label: str = "") -> None:
        """Raises ValueError where there is no picture, or no such column."""
        self.folder = folder.resolve()
        metadata = self.folder / "metadata.jsonl"
        if metadata.is_file():
            self.rows = [*self._listed(metadata, label)]
        else:
            if label:
                raise ValueError(f"class column {label!r}: the folder has no metadata.jsonl")
            self.rows = [*self._found()]
        if not self.rows:
            raise ValueError(f"there is no picture in the folder; expected files that end in {', '.join(ENDINGS)}")

    def _listed(self, metadata: Path, label: str) -> Iterator[tuple[Path, str]]:
        for number, line in enumerate(metadata.read_text(encoding="utf-8").splitlines(), 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
                path = (self.folder / str(row["file_name"])).resolve()
            except (ValueError, KeyError, TypeError):
                raise ValueError(f'metadata.jsonl, line {number}: expected {{"file_name": ...}}') from None
            if not path.is_relative_to(self.folder):
                raise ValueError(f"metadata.jsonl, line {number}: the picture lies outside the folder")
            yield path, value_at(row, label) if label else ""

    def _found(self) -> Iterator[tuple[Path, str]]:
        for path in sorted(self.folder.rglob("*")):
            if path.suffix.lower() in ENDINGS and path.resolve().is_relative_to(self.folder) and path.is_file():
                first = path.relative_to(self.folder).parts
                yield path, first[0] if len(first) > 1 else ""

    @property
    def stamp(self) -> str:
        """Changes when the pictures do."""
        digest = hashlib.sha256()
        for path, name in self.rows:
            stat = path.stat()
            digest.update(f"{path}|{name}|{stat.st_size}|{stat.st_mtime_ns}".encode())
        return digest.hexdigest()

    def __iter__(self) -> Rows:
        for path, name in self.rows:
            with Image.open(path) as picture:
                yield picture.convert("RGB"), name


def value_at(row: Mapping[str, Any], column: str) -> str:
    """``attributes.mood`` of a row, as text. Raises ValueError."""
    found: Any = row
    for part in column.split("."):
        if not isinstance(found, Mapping) or part not in found:
            raise ValueError(f"class column {column!r}: a row has {', '.join(map(str, row))}")
        found = found[part]
    return str(found)


def hub_rows(rows: Any, column: str, label: str) -> Rows:
    """Rows of a streamed data set."""
    names = getattr((rows.features or {}).get(label), "names", None) if label else None
    for row in rows:
        picture = row.get(column)
        if not isinstance(picture, Image.Image):
            raise ValueError(f"the data set has no pictures in {column!r}")
        name = value_at(row, label) if label else ""
        yield picture.convert("RGB"), names[int(name)] if names and name.isdecimal() else name
