"""Installs, updates and removes extensions for the person at the command line: shown first, asked, checked, undone
where it does not load.
"""

from __future__ import annotations

import importlib
import os
import shutil
import sysconfig
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from webui.core.errors import Conflict, NotFound, SetupError
from webui.core.settings import ROOT, Settings
from webui.plugins.discover import extension_folders, find_folders, find_packages
from webui.testing.report import CheckReport
from webui.testing.supervise import check_extension, find_subject

from . import pip
from .sources import Ask, Fetched, fetch
from .store import Installed, Store, distributions_in, unpack_folder, unpack_packages


@dataclass(frozen=True)
class Told:
    """What was done, for people and for programs."""

    extension: str
    version: str
    before: str
    done: str
    """installed, updated, unchanged, went_back or removed."""
    moves: tuple[pip.Move, ...] = ()
    left: tuple[str, ...] = ()
    """Packages that came with it and are still there."""


class Installer:
    """``ask`` is given all that would be done, and raises Cancelled for a no."""

    def __init__(self, settings: Settings, ask: Ask) -> None:
        self._settings = settings
        self._store = Store(settings)
        self._ask = ask

    def install(self, source: str) -> Told:
        """Put a new extension in place. Raises Conflict, SetupError, NotFound, ParameterError, Cancelled."""
        with self._store.alone(), tempfile.TemporaryDirectory(prefix="lifelike-ext-") as staging:
            fetched = fetch(source, Path(staging), self._ask)
            if there := self._place(fetched.manifest.id):
                raise Conflict(
                    f"there is an extension {fetched.manifest.id!r} already, in {there}.",
                    hint="`ext update` changes one that was installed; `ext remove` takes it away.",
                )
            return self._put(fetched, None)

    def update(self, extension: str) -> Told:
        """Fetch it again from where it came from; where the new version does not load, the one before comes back."""
        before = self._installed(extension)
        with self._store.alone(), tempfile.TemporaryDirectory(prefix="lifelike-ext-") as staging:
            fetched = fetch(before.origin, Path(staging), self._ask)
            if fetched.manifest.id != extension:
                raise SetupError(f"{before.origin} holds an extension {fetched.manifest.id!r} now.")
            if fetched.exact == before.exact and fetched.manifest.version == before.version:
                return Told(extension, before.version, before.version, "unchanged")
            return self._put(fetched, before)

    def go_back(self, extension: str) -> Told:
        """Bring back the version before the last update."""
        now = self._installed(extension)
        kept = self._store.previous(extension)
        if kept is None:
            raise NotFound(f"no version before {now.version} of {extension!r} was kept.")
        before, archive = kept
        self._ask(f"{extension} {now.version} goes back to {before.version}. Go on?")
        with self._store.alone():
            self._restore(before, archive)
            self._store.write(replace(before, brought=tuple(dict.fromkeys((*before.brought, *now.brought)))))
            self._store.drop_previous(extension)
        since = [name for name in now.brought if name not in before.brought]
        return Told(extension, before.version, now.version, "went_back", left=_still_there(since))

    def remove(self, extension: str) -> Told:
        """Take it away. Packages that came with it stay, and are named."""
        now = self._installed(extension)
        self._ask(f"{extension} {now.version} is removed. Go on?")
        with self._store.alone():
            self._take_away(now)
            self._store.forget(now)
        left = _still_there(name for name in now.brought if name != now.distribution)
        return Told(extension, "", now.version, "removed", left=left)

    # --- steps

    def _put(self, fetched: Fetched, before: Installed | None) -> Told:
        extension, version = fetched.manifest.id, fetched.manifest.version
        wanted = [*([str(fetched.path)] if fetched.is_wheel else []), *fetched.manifest.requires]
        moves = pip.resolve(wanted)
        if fetched.is_wheel and not any(move.path == fetched.path for move in moves):
            moves = [_own(fetched), *moves]  # pip leaves an installed version as it is, were its files others
        self._ask(describe(fetched, moves, before))
        archive = self._keep(before, moves) if before is not None else None
        fresh = [move.name for move in moves if not move.installed]
        brought = tuple(dict.fromkeys((*(before.brought if before else ()), *fresh)))
        now = Installed(extension, version, fetched.origin, fetched.exact, fetched.distribution, brought)
        try:
            pip.install(moves)
            if not fetched.is_wheel:
                self._lay(fetched.path, extension)
            report = self._loads(extension)
            if not report.ok:
                raise SetupError(f"{extension} {version} does not load: {'; '.join(report.problems)}")
        except (SetupError, OSError) as error:
            if before is None or archive is None:
                self._take_away(now)
                pip.uninstall(fresh)
                raise SetupError(str(error), hint="It was taken away again.") from error
            pip.uninstall(fresh)
            self._restore(before, archive)
            raise SetupError(str(error), hint=f"{before.version} is back in its place.") from error
        self._store.write(now)
        done = "installed" if before is None else "updated"
        return Told(extension, version, before.version if before else "", done, tuple(moves))

    def _loads(self, extension: str) -> CheckReport:
        importlib.invalidate_caches()
        return check_extension(find_subject(extension, self._settings), self._settings, run_jobs=False)

    def _lay(self, source: Path, extension: str) -> None:
        """Copy a folder into its place; what was there goes in one step."""
        target = self._settings.own_extensions_dir / extension
        target.parent.mkdir(parents=True, exist_ok=True)
        fresh = target.with_name(f".{extension}.{os.getpid()}.new")
        shutil.rmtree(fresh, ignore_errors=True)
        shutil.copytree(source, fresh)
        self._swap(fresh, target)

    @staticmethod
    def _swap(fresh: Path, target: Path) -> None:
        old = target.with_name(f".{target.name}.{os.getpid()}.old")
        if target.exists():
            os.replace(target, old)
        os.replace(fresh, target)
        shutil.rmtree(old, ignore_errors=True)

    def _keep(self, before: Installed, moves: Iterable[pip.Move]) -> Path:
        """Archive what ``moves`` take the place of, packages that a folder requires among it."""
        own = [before.distribution] if before.distribution else []
        names = dict.fromkeys([*own, *(move.name for move in moves if move.installed)])
        folder = None if before.distribution else self._settings.own_extensions_dir / before.id
        return self._store.keep(before, names, folder)

    def _restore(self, before: Installed, archive: Path) -> None:
        pip.uninstall(distributions_in(archive))
        unpack_packages(archive, Path(sysconfig.get_path("purelib")))
        if not before.distribution:
            place = self._settings.own_extensions_dir
            with tempfile.TemporaryDirectory(prefix=".back-", dir=place) as folder:
                unpack_folder(archive, Path(folder) / before.id)
                self._swap(Path(folder) / before.id, place / before.id)

    def _take_away(self, now: Installed) -> None:
        if now.distribution:
            pip.uninstall([now.distribution])
        else:
            shutil.rmtree(self._settings.own_extensions_dir / now.id, ignore_errors=True)

    def _installed(self, extension: str) -> Installed:
        """Raises NotFound with what the extension is instead."""
        found = self._store.find(extension)
        if found is not None:
            return found
        place = self._place(extension)
        if place is None:
            raise NotFound(f"no extension {extension!r} is installed.", hint="`ext list` shows what there is.")
        if place.parent == (ROOT / "extensions").resolve():
            raise NotFound(f"{extension!r} comes with Lifelike.", hint=f"--disable-ext {extension} leaves it out.")
        raise NotFound(f"{extension!r} was not installed by `ext install`: it is yours, in {place}.")

    def _place(self, extension: str) -> Path | None:
        folders = find_folders(extension_folders(self._settings), ROOT / "extensions")
        return next((one.folder for one in (*folders, *find_packages()) if one.id == extension), None)


def _still_there(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(name for name in names if pip.installed_version(name))


def _own(fetched: Fetched) -> pip.Move:
    return pip.Move(
        fetched.distribution,
        fetched.manifest.version,
        pip.installed_version(fetched.distribution),
        fetched.path.as_uri(),
        pip.sha256_of(fetched.path),
    )


def describe(fetched: Fetched, moves: Iterable[pip.Move], before: Installed | None) -> str:
    """All that would be done, in lines, with the question at the end."""
    manifest = fetched.manifest
    title = f"{manifest.title or manifest.id} ({manifest.id}) {manifest.version}, extension API {manifest.api}"
    lines = [title, *filter(None, [manifest.description]), f"from {fetched.origin} ({fetched.exact})"]
    if before is not None:
        lines.append(f"in place of {before.version}")
    if not fetched.is_wheel:
        lines.append("a folder is copied")
    for move in moves:
        change = f"{move.installed} -> {move.version}" if move.installed else move.version
        lines.append(f"  {move.name} {change}  sha256:{move.sha256}")
    lines.append("Its code will run with your rights. Install it?")
    return "\n".join(lines)
