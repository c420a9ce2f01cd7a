"""Reads an extension's manifest, extension.toml, before anything of the extension is imported."""

from __future__ import annotations

import tomllib
from importlib import metadata
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.version import InvalidVersion, Version
from pydantic import BaseModel, ConfigDict, Field, ValidationError

MANIFEST_NAME = "extension.toml"


class ManifestError(Exception):
    """The manifest is missing or wrong; the text says what was expected."""


class Manifest(BaseModel):
    """What an extension says of itself."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")
    version: str
    api: str = Field(pattern=r"^\d+\.\d+$")
    title: str = ""
    description: str = ""
    requires: tuple[str, ...] = ()
    """PEP 508 requirements: checked, never installed."""
    requires_extensions: tuple[str, ...] = ()
    """Such as ``diffusion>=0.1``."""


def read_manifest(folder: Path) -> Manifest:
    """The manifest in ``folder``. Raises ManifestError."""
    path = folder / MANIFEST_NAME
    try:
        body = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ManifestError(f"there is no {MANIFEST_NAME} in {folder.name}/") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ManifestError(f"{MANIFEST_NAME} cannot be read: {error}") from error
    try:
        manifest = Manifest.model_validate(body)
        Version(manifest.version)
        for line in (*manifest.requires, *manifest.requires_extensions):
            Requirement(line)
    except ValidationError as error:
        item = error.errors()[0]
        where = ".".join(str(part) for part in item["loc"])
        raise ManifestError(f"{MANIFEST_NAME}: {where}: {item['msg']} (got {item.get('input')!r})") from None
    except (InvalidVersion, InvalidRequirement) as error:
        raise ManifestError(f"{MANIFEST_NAME}: {error}") from None
    return manifest


def api_mismatch(wanted: str, offered: str) -> str:
    """Why an extension made for API ``wanted`` cannot run on ``offered``; empty when it can."""
    wanted_major, wanted_minor = (int(part) for part in wanted.split("."))
    major, minor = (int(part) for part in offered.split("."))
    if wanted_major != major:
        return f"it is made for version {wanted} of the extension API, another major version than this host's {offered}"
    if wanted_minor > minor:
        return f"it needs version {wanted} of the extension API, and this host offers only {offered}"
    return ""


def missing_requirements(lines: tuple[str, ...]) -> list[str]:
    """Which PEP 508 requirements the installed packages do not meet, each with what was found."""
    missing = []
    for line in lines:
        requirement = Requirement(line)
        if requirement.marker is not None and not requirement.marker.evaluate():
            continue
        try:
            found = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            missing.append(f"{line} (not installed)")
            continue
        if not requirement.specifier.contains(found, prereleases=True):
            missing.append(f"{line} (found {found})")
    return missing


def requirements_met(lines: tuple[str, ...]) -> dict[str, bool]:
    """PEP 508 requirement -> whether the installed packages meet it."""
    return {line: not missing_requirements((line,)) for line in lines}


def missing_extensions(lines: tuple[str, ...], loaded: dict[str, str]) -> list[str]:
    """Which required extensions are not among ``loaded`` (id -> version)."""
    missing = []
    for line in lines:
        requirement = Requirement(line)
        found = loaded.get(requirement.name)
        if found is None:
            missing.append(f"{line} (not loaded)")
        elif not requirement.specifier.contains(found, prereleases=True):
            missing.append(f"{line} (found {found})")
    return missing
