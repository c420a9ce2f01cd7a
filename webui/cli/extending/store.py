"""What ``ext`` installed, and what it keeps to go back: a record and the version before, for each extension.

Records of packages lie in the environment that pip writes to, records of folders beside the folders, so that each is
lost only together with what it tells of.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from webui.core.settings import Settings

_KEPT = "previous.tar"


@dataclass(frozen=True)
class Installed:
    """One extension that was installed. ``distribution``: of a package; empty for a folder."""

    id: str
    version: str
    origin: str
    exact: str
    distribution: str = ""
    brought: tuple[str, ...] = ()
    """Packages that were not there before it."""


class Store:
    """Records, one small file an extension, and archives of what was there before."""

    def __init__(self, settings: Settings) -> None:
        self._folders = settings.own_extensions_dir / ".installed"
        self._packages = Path(sys.prefix) / "lifelike-extensions"

    def find(self, extension: str) -> Installed | None:
        """What was recorded; None where nothing was."""
        for root in (self._folders, self._packages):
            try:
                said: dict[str, Any] = json.loads((root / extension / "record.json").read_text(encoding="utf-8"))
                return Installed(**{**said, "brought": tuple(said.get("brought", ()))})
            except (OSError, ValueError, TypeError):
                continue
        return None

    def all(self) -> list[Installed]:
        """Every record, by id."""
        names = {path.parent.name for root in (self._folders, self._packages) for path in root.glob("*/record.json")}
        return [one for name in sorted(names) if (one := self.find(name)) is not None]

    def write(self, installed: Installed) -> None:
        """Record what is there now."""
        self._put(self.place(installed) / "record.json", installed)

    def place(self, installed: Installed) -> Path:
        """Where its record and archive lie."""
        return (self._packages if installed.distribution else self._folders) / installed.id

    def forget(self, installed: Installed) -> None:
        """Record and archive go."""
        shutil.rmtree(self.place(installed), ignore_errors=True)

    # --- the version before

    def keep(self, before: Installed, paths: list[tuple[Path, str]]) -> Path:
        """Archive ``paths`` (path, name in the archive) with the record of the version they are; the archive."""
        archive = self.place(before) / _KEPT
        archive.parent.mkdir(parents=True, exist_ok=True)
        temporary = archive.with_name(f"{_KEPT}.{os.getpid()}.tmp")
        with tarfile.open(temporary, "w") as tar:
            for path, name in paths:
                tar.add(path, name, recursive=path.is_dir(), filter=_without_caches)
        os.replace(temporary, archive)
        self._put(archive.with_name("previous.json"), before)
        return archive

    def previous(self, extension: str) -> tuple[Installed, Path] | None:
        """The version before and its archive; None where none was kept."""
        for root in (self._folders, self._packages):
            archive = root / extension / _KEPT
            try:
                said = json.loads(archive.with_name("previous.json").read_text(encoding="utf-8"))
                if archive.exists():
                    return Installed(**{**said, "brought": tuple(said.get("brought", ()))}), archive
            except (OSError, ValueError, TypeError):
                continue
        return None

    @staticmethod
    def _put(path: Path, installed: Installed) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
        temporary.write_text(json.dumps(asdict(installed), indent=1) + "\n", encoding="utf-8")
        os.replace(temporary, path)


def _without_caches(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    return None if "__pycache__" in member.name else member


def files_of(distribution: str) -> list[tuple[Path, str]]:
    """The files of an installed distribution that lie in the folder of packages, as ``Store.keep`` takes them."""
    return [(path, name) for path, name in _listed(distribution) if path.is_file() and "__pycache__" not in name]


def _listed(distribution: str) -> Iterator[tuple[Path, str]]:
    for file in metadata.distribution(distribution).files or ():
        if ".." not in file.parts and not file.is_absolute():
            yield Path(str(file.locate())), file.as_posix()


def distributions_in(archive: Path) -> list[str]:
    """The names of the distributions whose files an archive holds."""
    with tarfile.open(archive) as tar:
        folders = {name.partition("/")[0] for name in tar.getnames()}
    return sorted(name.partition("-")[0] for name in folders if name.endswith(".dist-info"))


def unpack(archive: Path, target: Path) -> None:
    """Put the files of an archive of ours back below ``target``."""
    with tarfile.open(archive) as tar:
        tar.extractall(target, filter="data")
