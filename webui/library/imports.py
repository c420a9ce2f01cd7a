"""Pictures that others made, taken into the library: each keeps its bytes, and so what its program wrote into it.

A picture is known again by its content, so that to import a folder twice changes nothing. One of ours keeps its name,
and with it its identity; others are named by their content and the time of their file.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from webui.core.errors import Conflict, NotFound

from . import metadata
from .disk import hash_file
from .library import Library
from .marks import MarkChange
from .naming import FileName, folder_of, stamp

ENDINGS = {"png": "png", "jpg": "jpg", "jpeg": "jpg", "webp": "webp"}
_FORMATS = {"PNG": "png", "JPEG": "jpg", "MPO": "jpg", "WEBP": "webp"}


@dataclass(frozen=True)
class Imported:
    """How many files of each kind were met."""

    added: int = 0
    known: int = 0
    """In the library already, by their content."""
    skipped: int = 0
    """No pictures that can be read, or cut short."""

    @property
    def seen(self) -> int:
        return self.added + self.known + self.skipped


def import_folder(
    library: Library,
    folder: Path,
    *,
    link: bool = False,
    change: MarkChange | None = None,
    progress: Callable[[Imported], bool] | None = None,
) -> Imported:
    """Take in every picture below ``folder``; links and what begins with a dot are passed over.

    ``link``: share the files on disk with their folder where the file system can, in place of copying. ``change``: say
    this of each picture, known ones too. ``progress`` is told after each file; the import ends where it answers False.
    Raises NotFound, and Conflict for a folder of the library itself.
    """
    root = folder.expanduser().resolve()
    if not root.is_dir():
        raise NotFound(f"there is no folder {folder}.")
    if root.is_relative_to(library.files.root) or library.files.root.is_relative_to(root):
        raise Conflict(f"{folder} holds the library itself.", hint="Name another folder, or one inside it.")
    done = Imported()
    for path in _pictures(root):
        outcome, artifact_id = import_file(library, path, link=link)
        if change is not None and artifact_id:
            library.mark([artifact_id], change)
        done = replace(done, **{outcome: getattr(done, outcome) + 1})
        if progress is not None and not progress(done):
            break
    return done


def import_file(
    library: Library, path: Path, *, link: bool = False, name: str = "", mtime: float | None = None
) -> tuple[str, str]:
    """Take in one picture: ``added``, ``known`` or ``skipped``, and the id it has here.

    ``name`` and ``mtime``: its own, where ``path`` is a copy of it under another.
    """
    try:
        meta = metadata.read(path)
        modified = path.stat().st_mtime if mtime is None else mtime
        ending = _FORMATS.get(meta.format)
        if ending is None or not meta.whole:
            return "skipped", ""
        kept = FileName.parse(name or path.name) if meta.recipe is not None else None
        if kept is None:
            seed = meta.recipe.seed if meta.recipe is not None else meta.params.get("seed")
            seed = seed if isinstance(seed, int) and 0 <= seed < 2**64 else None
            kept = FileName(stamp(modified), seed, f"import-{hash_file(path)[:16]}", 0, ending)
        if library.index.paths([kept.artifact_id]):
            return "known", kept.artifact_id
        moment = kept.timestamp if kept.timestamp is not None else modified
        relative = f"{folder_of(moment)}/{kept}"
        library.files.adopt(path, relative, modified, link=link)
        described = library.files.describe(relative)
        if described is None:
            return "skipped", ""
        return "added", library.add(described.record).id
    except (OSError, ValueError, OverflowError):  # a file that cannot be read, or whose time is no time
        return "skipped", ""


def _pictures(root: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            path = Path(folder) / name
            if path.suffix.lower().lstrip(".") in ENDINGS and not name.startswith(".") and not path.is_symlink():
                yield path
