"""Between ``ext`` and pip: what an installation would do, told before it is done, and done exactly as it was told."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import file_digest
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from webui.core.errors import Conflict, SetupError
from webui.core.settings import ROOT

CONSTRAINTS = ROOT / "constraints.txt"
_PIP = (sys.executable, "-I", "-m", "pip")
_SILENT = ("--disable-pip-version-check", "--no-input", "--no-color")
_QUIET = (*_SILENT, "--quiet")
_CAUSE = "The conflict is caused by:"
_LIMIT_S = 1800


@dataclass(frozen=True)
class Move:
    """One distribution that would be put in place. ``installed``: the version it takes the place of, empty for none."""

    name: str
    version: str
    installed: str
    url: str
    sha256: str

    @property
    def path(self) -> Path | None:
        """Of a file of this machine; None for what comes from the index."""
        parts = urlsplit(self.url)
        return Path(url2pathname(unquote(parts.path))) if parts.scheme == "file" else None

    def locked(self) -> str:
        """The line of a requirements file that means this file and no other."""
        what = f"{self.name} @ {self.path.as_uri()}" if self.path else f"{self.name}=={self.version}"
        return f"{what} --hash=sha256:{self.sha256}"


def pins(constraints: Path = CONSTRAINTS) -> dict[str, str]:
    """Distribution -> the version that Lifelike is made for."""
    found: dict[str, str] = {}
    for line in constraints.read_text(encoding="utf-8").splitlines():
        text = line.split("#")[0].strip()
        if text and not text.startswith("-"):
            requirement = Requirement(text)
            for one in requirement.specifier:
                if one.operator == "==":
                    found[canonicalize_name(requirement.name)] = one.version
    return found


def installed_version(name: str) -> str:
    """Empty where it is not installed."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def resolve(wanted: Sequence[str], constraints: Path = CONSTRAINTS) -> list[Move]:
    """What installing ``wanted`` (requirements, paths of wheels) would put in place, under ``constraints``. Nothing is
    installed. Raises Conflict that names each package which stands in the way.
    """
    if not wanted:
        return []
    with tempfile.TemporaryDirectory(prefix="lifelike-ext-") as folder:
        told = Path(folder) / "report.json"
        # Not --quiet: pip says what the cause of a conflict is among what it would leave out then.
        asked = ["install", "--dry-run", "--report", str(told), "--only-binary", ":all:", "-c", str(constraints)]
        done = run([*asked, *_SILENT, *wanted])
        if done.returncode != 0:
            raise _unresolved(done.stdout + done.stderr, constraints)
        report: dict[str, Any] = json.loads(told.read_text(encoding="utf-8"))
    moves = [_move(item) for item in report["install"]]
    held = pins(constraints)
    moved = [
        f"{move.name} {move.installed} would become {move.version}"
        for move in moves
        if canonicalize_name(move.name) in held and move.installed and move.installed != move.version
    ]
    if moved:
        raise Conflict(f"it would change what Lifelike is pinned to: {'; '.join(moved)}.", hint=_ASK_AUTHOR)
    return moves


_ASK_AUTHOR = "Nothing was installed. Ask its author for a release that goes with Lifelike's constraints.txt."


def _unresolved(said: str, constraints: Path) -> Conflict | SetupError:
    """pip's refusal in our words."""
    if _CAUSE in said:
        lines = [line.strip() for line in said.partition(_CAUSE)[2].splitlines()]
        lines = [line for line in lines if not line.startswith("ERROR:")]
        causes = [line.replace("The user requested (constraint)", f"{constraints.name} pins") for line in lines if line]
        end = next((at for at, line in enumerate(causes) if line.startswith("To fix this")), len(causes))
        return Conflict("it does not fit beside what is pinned: " + "; ".join(causes[:end]) + ".", hint=_ASK_AUTHOR)
    errors = [line for line in said.splitlines() if line.startswith("ERROR:")] or said.splitlines()[-3:]
    text = " ".join(line.removeprefix("ERROR:").strip() for line in errors)
    return SetupError(f"pip could not tell what it needs: {text}", hint="Nothing was installed.")


def _move(item: dict[str, Any]) -> Move:
    name = str(item["metadata"]["name"])
    info = item["download_info"]
    archive = info.get("archive_info") or {}
    digest = (archive.get("hashes") or {}).get("sha256") or str(archive.get("hash", "")).removeprefix("sha256=")
    move = Move(name, str(item["metadata"]["version"]), installed_version(name), str(info["url"]), digest)
    if move.sha256 or move.path is None:
        return move
    return Move(move.name, move.version, move.installed, move.url, sha256_of(move.path))


def sha256_of(path: Path) -> str:
    """Of a file."""
    with path.open("rb") as stream:
        return file_digest(stream, "sha256").hexdigest()


def install(moves: Iterable[Move]) -> None:
    """Put ``moves`` in place, each only if its file has the hash that was shown. Raises SetupError."""
    lines = [move.locked() for move in moves]
    if not lines:
        return
    with tempfile.TemporaryDirectory(prefix="lifelike-ext-") as folder:
        locked = Path(folder) / "locked.txt"
        locked.write_text("\n".join(lines) + "\n", encoding="utf-8")
        checked("install", "--no-deps", "--require-hashes", "--only-binary", ":all:", "-r", str(locked))


def uninstall(names: Iterable[str]) -> None:
    """Take distributions away. Raises SetupError."""
    if there := [name for name in names if installed_version(name)]:
        checked("uninstall", "--yes", *there)


def download(requirement: str, folder: Path) -> Path:
    """The wheel of ``requirement`` alone from the index, under the pins. Raises SetupError, Conflict."""
    before = set(folder.iterdir())
    asked = ["download", "--no-deps", "--only-binary", ":all:", "-c", str(CONSTRAINTS), "-d", str(folder)]
    done = run([*asked, *_QUIET, requirement])
    if done.returncode != 0:
        raise _unresolved(done.stderr, CONSTRAINTS)
    return next(path for path in folder.iterdir() if path not in before)


def build(project: Path, folder: Path, *, isolated: bool) -> Path:
    """The wheel of a project's folder. Runs code of that project. Raises SetupError."""
    before = set(folder.iterdir())
    checked("wheel", "--no-deps", *(() if isolated else ("--no-build-isolation",)), "-w", str(folder), str(project))
    return next(path for path in folder.iterdir() if path not in before)


def checked(command: str, *arguments: str) -> None:
    """Run pip. Raises SetupError with its last words."""
    done = run([command, *(("--no-user",) if command == "install" else ()), *_QUIET, *arguments])
    if done.returncode != 0:
        said = " ".join((done.stderr or done.stdout).strip().splitlines()[-6:])
        raise SetupError(f"pip {command} failed: {said}")


def run(arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """pip of the environment that Lifelike runs in. -I: a person's PYTHONPATH must not lead files elsewhere."""
    return subprocess.run(
        [*_PIP, *arguments], capture_output=True, text=True, check=False, timeout=_LIMIT_S, stdin=subprocess.DEVNULL
    )
