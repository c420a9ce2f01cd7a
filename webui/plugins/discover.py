"""Finds extensions: folders that hold one, and installed packages with the entry point. Imports none of them."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from webui.core.settings import Settings

ENTRY_POINT_GROUP = "webui.v1"
FOLDER_PACKAGE = "extensions"
"""Folders are imported as ``extensions.<id>``, wherever they lie."""


@dataclass(frozen=True)
class Found:
    """A place that looks like an extension. ``package`` is the name it is imported by."""

    id: str
    folder: Path
    package: str
    builtin: bool


def extension_folders(settings: Settings) -> tuple[Path, ...]:
    """Where folders of extensions are looked for: those of the settings, then what was installed."""
    return tuple(dict.fromkeys((*settings.extensions_dirs, settings.own_extensions_dir)))


def find_folders(directories: Iterable[Path], builtin_dir: Path) -> Iterator[Found]:
    """Each folder of ``directories`` that holds Python or a manifest, by name."""
    for directory in directories:
        if not directory.is_dir():
            continue
        for folder in sorted(directory.iterdir()):
            if folder.name.startswith((".", "_")) or not folder.is_dir():
                continue
            if (folder / "__init__.py").exists() or (folder / "extension.toml").exists():
                yield found_folder(folder, builtin=directory.resolve() == builtin_dir.resolve())


def found_folder(folder: Path, *, builtin: bool = False) -> Found:
    """``folder`` itself as a place to load from."""
    return Found(folder.name, folder.resolve(), f"{FOLDER_PACKAGE}.{folder.name}", builtin)


def find_packages() -> Iterator[Found]:
    """Each installed package with an entry point of the group; its manifest lies in the package."""
    for point in sorted(metadata.entry_points(group=ENTRY_POINT_GROUP), key=lambda point: point.name):
        top, *rest = point.module.split(".")
        try:
            spec = importlib.util.find_spec(top)  # of a top-level name: looks, and imports nothing
        except (ImportError, ValueError):
            spec = None
        locations = list(spec.submodule_search_locations or ()) if spec is not None else []
        folder = Path(locations[0]).joinpath(*rest) if locations else Path(top)
        yield Found(point.name, folder, point.module, builtin=False)
