"""What a person names to ``ext install``: a package of PyPI, a wheel, a folder or a git address; made into a wheel, or
the folder of an extension, and read without running anything of it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tomllib
import zipfile
from collections.abc import Callable
from configparser import ConfigParser
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import parse_wheel_filename

from webui.api import API_VERSION
from webui.core.errors import FieldError, NotFound, ParameterError, SetupError
from webui.plugins.discover import ENTRY_POINT_GROUP
from webui.plugins.manifest import (
    MANIFEST_NAME,
    Manifest,
    ManifestError,
    api_mismatch,
    missing_requirements,
    read_manifest,
)

from . import pip

SourceKind = Literal["index", "wheel", "folder", "project", "git"]
Ask = Callable[[str], None]
"""Puts a question; raises Cancelled for a no."""

_GIT_LIMIT_S = 600
_COPIED = shutil.ignore_patterns(".git", "__pycache__", "*.pyc", ".venv", ".mypy_cache", ".pytest_cache", ".ruff_cache")


@dataclass(frozen=True)
class Fetched:
    """An extension that can be put in place. ``path``: a wheel, or a folder to be copied."""

    manifest: Manifest
    path: Path
    origin: str
    """As it is fetched again by an update."""
    exact: str
    """What was fetched of it: a version, a commit, a hash."""
    distribution: str = ""
    """Of a wheel; empty for a folder."""

    @property
    def is_wheel(self) -> bool:
        return bool(self.distribution)


def kind_of(source: str) -> SourceKind:
    """What ``source`` names. Raises ParameterError."""
    if source.startswith("git+") or re.match(r"(https|ssh)://\S+\.git(@\S+)?$", source):
        return "git"
    path = Path(source)
    if path.is_file() and path.suffix == ".whl":
        return "wheel"
    if path.is_dir():
        return "project" if (path / "pyproject.toml").exists() else "folder"
    looks_like_path = os.sep in source or source.startswith((".", "~")) or path.suffix == ".whl"
    try:
        requirement = None if looks_like_path else Requirement(source)
    except InvalidRequirement:
        requirement = None
    if requirement is None or requirement.url:
        said = "expected a package of PyPI (name or name==version), a wheel, a folder, or git+https://..."
        raise ParameterError([FieldError("SOURCE", said, repr(source[:80]))])
    return "index"


def fetch(source: str, staging: Path, ask: Ask) -> Fetched:
    """Bring ``source`` into ``staging`` and read what it is. ``ask`` is called before code of a project is run, which
    building it does. Raises ParameterError, NotFound, SetupError, Conflict, Cancelled.
    """
    kind = kind_of(source)
    staging.mkdir(parents=True, exist_ok=True)
    if kind == "index":
        wheel = pip.download(source, staging)
        name = Requirement(source).name
        return _wheel(wheel, name, f"{name}=={parse_wheel_filename(wheel.name)[1]}")
    if kind == "wheel":
        kept = Path(shutil.copy2(source, staging))
        return _wheel(kept, str(Path(source).resolve()), f"sha256:{pip.sha256_of(kept)}")
    if kind == "git":
        folder, commit = _clone(source, staging)
        exact = commit
    else:
        folder, exact = Path(source).resolve(), ""
    if (folder / "pyproject.toml").exists():
        return _built(folder, source if kind == "git" else str(folder), exact, staging, ask)
    return _folder(folder, source if kind == "git" else str(folder), exact, staging)


def _wheel(path: Path, origin: str, exact: str) -> Fetched:
    """Read a wheel's entry point and manifest. Raises SetupError."""
    name = str(parse_wheel_filename(path.name)[0])
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        points = ConfigParser(delimiters=("=",))
        points.optionxform = str  # type: ignore[assignment, method-assign]
        listed = next((one for one in names if one.endswith(".dist-info/entry_points.txt")), "")
        if listed:
            points.read_string(archive.read(listed).decode("utf-8"))
        group = dict(points[ENTRY_POINT_GROUP]) if points.has_section(ENTRY_POINT_GROUP) else {}
        if len(group) != 1:
            met = "none" if not group else str(len(group))
            raise SetupError(
                f"{path.name} is no extension: expected one entry point of group {ENTRY_POINT_GROUP}, met {met}.",
                hint="docs/writing-extensions.md shows the lines of pyproject.toml.",
            )
        ((extension, module),) = group.items()
        place = f"{module.strip().replace('.', '/')}/{MANIFEST_NAME}"
        if place not in names:
            raise SetupError(
                f"{path.name} has no {place}.", hint="Its author has to add the manifest to the package's data."
            )
        text = archive.read(place)
    holder = path.with_suffix(".manifest")
    holder.mkdir(exist_ok=True)
    (holder / MANIFEST_NAME).write_bytes(text)
    return Fetched(_accepted(holder, extension), path, origin, exact, distribution=name)


def _folder(folder: Path, origin: str, exact: str, staging: Path) -> Fetched:
    if not (folder / MANIFEST_NAME).exists():
        raise NotFound(
            f"there is no extension in {folder.name}/: expected {MANIFEST_NAME} or pyproject.toml there.",
            hint="`ext new NAME` writes one.",
        )
    manifest = _accepted(folder, "")
    if any(path.is_symlink() for path in folder.rglob("*") if ".git" not in path.parts):
        raise SetupError(f"{folder.name}/ holds links.", hint="Replace them by the files they lead to.")
    kept = staging / "folder" / manifest.id
    shutil.copytree(folder, kept, ignore=_COPIED)
    return Fetched(manifest, kept, origin, exact or _digest(kept))


def _accepted(folder: Path, entry_point: str) -> Manifest:
    """The manifest in ``folder``, if this host can load what it says. Raises SetupError."""
    try:
        manifest = read_manifest(folder)
    except ManifestError as error:
        raise SetupError(str(error), hint="docs/writing-extensions.md shows a manifest.") from None
    if entry_point and manifest.id != entry_point:
        raise SetupError(f"its manifest says id {manifest.id!r}, and its entry point {entry_point!r}.")
    if reason := api_mismatch(manifest.api, API_VERSION):
        raise SetupError(f"{manifest.id}: {reason}.", hint="Update the extension or Lifelike, whichever is older.")
    return manifest


def _digest(folder: Path) -> str:
    """One hash of all files and their names."""
    from hashlib import sha256

    told = sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        told.update(f"{path.relative_to(folder).as_posix()}\0{pip.sha256_of(path)}\n".encode())
    return f"sha256:{told.hexdigest()}"


def _built(folder: Path, origin: str, exact: str, staging: Path, ask: Ask) -> Fetched:
    ask(f"Building {origin} runs code of it on this machine. Build it?")
    wheels = staging / "wheels"
    wheels.mkdir(exist_ok=True)
    # A copy, since builds leave folders of their own behind.
    copied = staging / "project"
    shutil.copytree(folder, copied, ignore=_COPIED)
    wheel = pip.build(copied, wheels, isolated=not _builds_here(copied))
    return _wheel(wheel, origin, exact or f"sha256:{pip.sha256_of(wheel)}")


def _builds_here(project: Path) -> bool:
    """Whether what builds it is installed already: no index is asked then."""
    try:
        said = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))
        wanted = said.get("build-system", {}).get("requires", ["setuptools"])
        return not missing_requirements(tuple(wanted))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, InvalidRequirement, TypeError) as error:
        raise SetupError(f"pyproject.toml cannot be read: {error}") from None


def _clone(source: str, staging: Path) -> tuple[Path, str]:
    """A shallow copy of a repository, and its commit; ``@`` names a branch or a tag. Raises SetupError."""
    address = source.removeprefix("git+")
    match = re.match(r"(?P<url>.+?\.git|[^@]+://[^@]+)(@(?P<ref>[\w][\w./-]*))?$", address)
    if match is None:
        raise SetupError(f"cannot read the address {source!r}; expected git+https://host/name.git or ...@branch.")
    target = staging / "repository"
    branch = ["--branch", match["ref"]] if match["ref"] else []
    environment = {**os.environ, "GIT_TERMINAL_PROMPT": "0", "GIT_ALLOW_PROTOCOL": "https:ssh:file"}
    command = ["git", "-c", "core.symlinks=false", "clone", "--quiet", "--depth", "1", *branch, "--"]
    try:
        done = subprocess.run(
            [*command, match["url"], str(target)],
            capture_output=True, text=True, env=environment, timeout=_GIT_LIMIT_S, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SetupError(f"git could not fetch {source}: {error}") from None
    if done.returncode != 0:
        raise SetupError(f"git could not fetch {source}: {' '.join(done.stderr.strip().splitlines()[-2:])}")
    head = subprocess.run(["git", "-C", str(target), "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    return target, head.stdout.strip()
