"""What ``ext`` installed, and what it keeps to go back: a record and the version before, for each extension.

Records of packages lie in the environment that pip writes to, records of folders beside the folders, so that each is
lost only together with what it tells of.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import sys
import tarfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from webui.core.errors import Conflict
from webui.core.settings import Settings

_KEPT = "previous.tar"
_LOCK = "lock.sqlite3"
_PACKAGES, _FOLDER = "packages", "folder"
"""The two parts of an archive: files of the environment, and an extension's own folder."""


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

    @contextmanager
    def alone(self) -> Iterator[None]:
        """One installation at a time, in this environment and in these folders: two would each undo what the other
        did. Held by the process, so that it ends with it. Raises Conflict at once where another holds it.
        """
        with ExitStack() as held:
            for root in (self._packages, self._folders):
                try:
                    root.mkdir(parents=True, exist_ok=True)
                    lock = held.enter_context(closing(sqlite3.connect(root / _LOCK, timeout=0, isolation_level=None)))
                    lock.execute("BEGIN EXCLUSIVE")
                except (OSError, sqlite3.OperationalError) as error:
                    if "locked" in str(error):
                        hint = "Wait until it is done, or answer what it asks; then try again."
                        raise Conflict(
                            "another `ext` installs, updates or removes at this moment.", hint=hint
                        ) from None
                    # A folder that may not be written to has nothing to guard: whoever writes there will say why not.
            yield

    # --- the version before

    def keep(self, before: Installed, distributions: Iterable[str], folder: Path | None) -> Path:
        """Archive the files of ``distributions`` and what is in ``folder`` with the record of the version that they
        are; the archive.
        """
        paths = [(path, f"{_PACKAGES}/{name}") for one in distributions for path, name in files_of(one)]
        paths += [(folder, _FOLDER)] if folder is not None else []
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

    def drop_previous(self, extension: str) -> None:
        """Once gone back to, it is no version before."""
        for root in (self._folders, self._packages):
            for name in ("previous.json", _KEPT):
                (root / extension / name).unlink(missing_ok=True)

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
        parts = [Path(name).parts for name in tar.getnames()]
    folders = {part[1] for part in parts if part[0] == _PACKAGES and len(part) > 2}
    return sorted(name.partition("-")[0] for name in folders if name.endswith(".dist-info"))


def unpack_packages(archive: Path, target: Path) -> None:
    """Put the files of the environment in an archive of ours back below ``target``."""
    _unpack(archive, _PACKAGES, target)


def unpack_folder(archive: Path, target: Path) -> None:
    """Put the extension's own folder back as ``target``."""
    _unpack(archive, _FOLDER, target)


def _unpack(archive: Path, part: str, target: Path) -> None:
    with tarfile.open(archive) as tar:
        for member in tar.getmembers():
            first, _, rest = member.name.partition("/")
            if first == part:
                tar.extract(member.replace(name=rest or ".", deep=False), target, filter="data")
