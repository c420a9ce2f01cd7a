"""Ratings, tags and collections beside the pictures, so that they outlive the index and travel with the files: one
``.marks.json`` in each folder of the library, by the artifact's id.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from webui.core.errors import FieldError, ParameterError

from .naming import ARTIFACT_ID

FILE_NAME = ".marks.json"
MAX_RATING = 5
MAX_NAMES = 64
"""Of tags, and of collections, that one picture may have."""
MAX_NAME_CHARS = 80


@dataclass(frozen=True)
class Marks:
    """What a person said of an artifact. A collection is all that bears its name."""

    rating: int = 0
    """1 to 5; 0: none."""
    tags: tuple[str, ...] = ()
    collections: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.rating or self.tags or self.collections)


NO_MARKS = Marks()


@dataclass(frozen=True)
class MarkChange:
    """What to change; None and empty leave things as they are. Additions come after removals."""

    rating: int | None = None
    add_tags: tuple[str, ...] = ()
    remove_tags: tuple[str, ...] = ()
    add_collections: tuple[str, ...] = ()
    remove_collections: tuple[str, ...] = ()

    def of(self, marks: Marks) -> Marks:
        """Raises ParameterError for a rating or a name that cannot be."""
        rating = marks.rating if self.rating is None else self.rating
        if not 0 <= rating <= MAX_RATING:
            raise ParameterError([FieldError("rating", f"expected 0 to {MAX_RATING}", str(rating))])
        return Marks(
            rating,
            _names(marks.tags, self.remove_tags, self.add_tags, "tags"),
            _names(marks.collections, self.remove_collections, self.add_collections, "collections"),
        )


def clean_name(text: str, field: str = "tags") -> str:
    """A tag's or collection's name as it is kept. Raises ParameterError."""
    name = " ".join(text.split())
    if not 0 < len(name) <= MAX_NAME_CHARS or not name.isprintable() or any(one in name for one in '"*,'):
        message = f"expected a name of 1 to {MAX_NAME_CHARS} letters without comma, star and quotation mark"
        raise ParameterError([FieldError(field, message, repr(text)[:80])])
    return name


def _names(before: Iterable[str], remove: Iterable[str], add: Iterable[str], field: str) -> tuple[str, ...]:
    """In the order of adding; two names that differ in case alone are one."""
    gone = {name.casefold() for name in remove}
    kept = {name.casefold(): name for name in before if name.casefold() not in gone}
    for text in add:
        name = clean_name(text, field)
        kept.setdefault(name.casefold(), name)
    if len(kept) > MAX_NAMES:
        raise ParameterError([FieldError(field, f"expected at most {MAX_NAMES}", str(len(kept)))])
    return tuple(kept.values())


class MarkStore:
    """The marks of a library's folder. Each file is written whole under another name, then renamed."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lock = threading.Lock()
        """Guards reading and writing the files as one; nothing else is taken under it."""

    def read(self, path: str) -> dict[str, Marks]:
        """The marks in the folder of a record's path. A file that is damaged is set aside, not overwritten."""
        file = self._file(path)
        try:
            body = json.loads(file.read_text(encoding="utf-8"))
            return {key: _marks(one) for key, one in body["marks"].items() if ARTIFACT_ID.fullmatch(key)}
        except FileNotFoundError:
            return {}
        except (ValueError, KeyError, TypeError, AttributeError, ParameterError):
            with contextlib.suppress(OSError):
                os.replace(file, file.with_name(f"{FILE_NAME}.broken"))
            return {}

    def read_all(self) -> dict[str, Marks]:
        """Every artifact's marks."""
        found: dict[str, Marks] = {}
        for folder in _folders(self._root):
            if (folder / FILE_NAME).is_file():
                found.update(self.read((folder / "x").relative_to(self._root).as_posix()))
        return found

    def change(self, paths: Mapping[str, str], change: Callable[[Marks], Marks]) -> dict[str, Marks]:
        """Change the marks of artifacts, whose ids are given with their records' paths; the marks after it. Files are
        written once each, and only where something changed. Raises OSError, and what ``change`` raises.
        """
        by_folder: dict[str, list[str]] = {}
        for artifact_id, path in paths.items():
            by_folder.setdefault(path.rpartition("/")[0], []).append(artifact_id)
        after: dict[str, Marks] = {}
        with self._lock:
            for folder, ids in by_folder.items():
                before = self.read(f"{folder}/x")
                marks = {one: change(before.get(one, NO_MARKS)) for one in ids}
                merged = {key: one for key, one in {**before, **marks}.items() if one}
                if merged != before:
                    self._write(self._file(f"{folder}/x"), merged)
                after.update(marks)
        return after

    def _file(self, path: str) -> Path:
        return (self._root / path.lstrip("/")).with_name(FILE_NAME)

    def _write(self, file: Path, marks: Mapping[str, Marks]) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        temporary = file.with_name(f"{FILE_NAME}.{os.getpid()}.tmp")
        rows = {key: _row(one) for key, one in sorted(marks.items())}
        with temporary.open("w", encoding="utf-8") as target:
            json.dump({"format": 1, "marks": rows}, target, ensure_ascii=False, indent=1)
            target.flush()
            os.fsync(target.fileno())
        os.replace(temporary, file)


def in_collection(root: Path, name: str) -> list[str]:
    """Ids of the artifacts in the collection ``name`` of the library in ``root``; ids sort by the time of their job."""
    wanted = name.casefold()
    marks = MarkStore(root).read_all()
    found = (one for one, said in marks.items() if wanted in (each.casefold() for each in said.collections))
    return sorted(found, key=lambda one: (one.rpartition("-")[0], int(one.rpartition("-")[2])))


def _folders(root: Path) -> Iterator[Path]:
    """``root`` and the folders below it that pictures may lie in."""
    yield root
    try:
        entries = list(os.scandir(root))
    except OSError:
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False) and not entry.name.startswith("."):
            yield from _folders(root / entry.name)


def _row(marks: Marks) -> dict[str, Any]:
    row = {"rating": marks.rating, "tags": list(marks.tags), "collections": list(marks.collections)}
    return {key: value for key, value in row.items() if value}


def _marks(row: Any) -> Marks:
    """Raises TypeError, AttributeError and ValueError for what was not written here."""
    rating = row.get("rating", 0)
    names = [tuple(clean_name(name) for name in row.get(key, ())) for key in ("tags", "collections")]
    return Marks(rating if isinstance(rating, int) and 0 <= rating <= MAX_RATING else 0, names[0], names[1])
