"""Runs the contract kit in a process of its own, on a copy, with limits: an import that never ends or eats the machine
is found here, and harms nothing.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib import metadata
from pathlib import Path
from typing import IO, Any

import psutil
from packaging.requirements import Requirement

from webui.core.errors import NotFound
from webui.core.settings import ROOT, Settings
from webui.plugins.discover import (
    ENTRY_POINT_GROUP,
    FOLDER_PACKAGE,
    Found,
    extension_folders,
    find_folders,
    find_packages,
)
from webui.plugins.manifest import MANIFEST_NAME, ManifestError, read_manifest

from .report import Check, CheckReport

CHECK_LIMIT_S = 60.0
"""Of one check; those that run jobs may take ``JOBS_LIMIT_S``."""
JOBS_LIMIT_S = 300.0
MEMORY_LIMIT_BYTES = 4 * 2**30
_LOOK_S = 0.1
_LEFT_OUT = shutil.ignore_patterns(".git", "__pycache__", ".venv", ".pytest_cache", "*.pyc", "build", "dist")


@dataclass(frozen=True)
class Limits:
    """What one check may take before its process is ended."""

    check_s: float = CHECK_LIMIT_S
    jobs_s: float = JOBS_LIMIT_S
    memory_bytes: int = MEMORY_LIMIT_BYTES


@dataclass(frozen=True)
class Subject:
    """Where an extension to check lies. ``package``: the name it is imported by, empty for a folder of its own."""

    id: str
    folder: Path
    package: str = ""


def find_subject(wanted: str, settings: Settings) -> Subject:
    """An id that is installed, or the path of an extension's folder or of the project around a package. Raises
    NotFound.
    """
    for found in (*find_folders(extension_folders(settings), ROOT / "extensions"), *find_packages()):
        if found.id == wanted:
            return _subject_of(found)
    folder = Path(wanted)
    if folder.is_dir():
        return subject_at(folder)
    raise NotFound(f"no extension {wanted!r}: expected a folder, or an id that `ext list` shows.")


def subject_at(folder: Path) -> Subject:
    """The extension in ``folder``, or in the one package below it that has a manifest."""
    folder = folder.resolve()
    inner = [path.parent for pattern in ("*", "src/*") for path in sorted(folder.glob(f"{pattern}/{MANIFEST_NAME}"))]
    if (folder / MANIFEST_NAME).exists() or (folder / "__init__.py").exists() or len(inner) != 1:
        return Subject(folder.name, folder)
    try:
        return Subject(read_manifest(inner[0]).id, inner[0], inner[0].name)
    except ManifestError:
        return Subject(inner[0].name, inner[0])


def check_extension(
    subject: Subject, settings: Settings, *, limits: Limits = Limits(), run_jobs: bool = True
) -> CheckReport:
    """Every check of the kit. Never raises for what the extension does."""
    with _laid_out(subject, settings) as (given, environment):
        line = {
            "extension": subject.id,
            "run_jobs": run_jobs,
            "settings": json.loads(given.model_dump_json()),
        }
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "webui.testing.contract"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=given.data_dir,
            env=environment,
            start_new_session=os.name != "nt",
        )
        report = _watch(process, json.dumps(line), limits)
        return report if report.facts else replace(report, facts={"id": subject.id})


@contextmanager
def _laid_out(subject: Subject, settings: Settings) -> Iterator[tuple[Settings, dict[str, str]]]:
    """A copy of the extension where the host looks for it, and nothing else but those it requires."""
    with tempfile.TemporaryDirectory(prefix="lifelike-check-", ignore_cleanup_errors=True) as name:
        root = Path(name)
        (root / "data").mkdir()
        further = [str(ROOT)]
        if subject.package and not _is_installed(subject):
            further.insert(0, str(_as_package(subject, root / "site")))
        (root / "extensions").mkdir()
        wanted, others = _family(subject, settings)
        for one in wanted:
            shutil.copytree(one.folder, root / "extensions" / one.id, ignore=_LEFT_OUT)
        given = settings.model_copy(
            update={
                "data_dir": root / "data",
                "extensions_dirs": (root / "extensions",),
                "disabled_extensions": others,
                "safe_mode": False,
                "strict_extensions": False,
                "offline": True,
            }
        )
        path = os.pathsep.join([*further, *filter(None, [os.environ.get("PYTHONPATH")])])
        yield given, {**os.environ, "PYTHONPATH": path, "HF_HUB_OFFLINE": "1", "PYTHONDONTWRITEBYTECODE": "1"}


def _is_installed(subject: Subject) -> bool:
    points = metadata.entry_points(group=ENTRY_POINT_GROUP)
    return any(point.name == subject.id and point.module == subject.package for point in points)


def _as_package(subject: Subject, site: Path) -> Path:
    """``subject`` as pip would lay it: the package, and the entry point beside it."""
    shutil.copytree(subject.folder, site / subject.package, ignore=_LEFT_OUT)
    record = site / f"{subject.package}-0.dist-info"
    record.mkdir()
    (record / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {subject.package}\nVersion: 0\n", encoding="utf-8")
    entry = f"[{ENTRY_POINT_GROUP}]\n{subject.id} = {subject.package}\n"
    (record / "entry_points.txt").write_text(entry, encoding="utf-8")
    return site


def _family(subject: Subject, settings: Settings) -> tuple[list[Subject], tuple[str, ...]]:
    """The folders of ``subject`` and of all that it requires, by itself or by another; the ids of everything else."""
    there = {one.id: one for one in map(_subject_of, find_packages())}
    there.update(
        {one.id: one for one in map(_subject_of, find_folders(extension_folders(settings), ROOT / "extensions"))}
    )
    there[subject.id] = subject
    wanted, unread = {subject.id}, [subject.id]
    while unread:
        try:
            lines = read_manifest(there[unread.pop()].folder).requires_extensions
        except (ManifestError, KeyError):
            continue
        names = {Requirement(line).name for line in lines} & there.keys() - wanted
        wanted |= names
        unread += sorted(names)
    folders = [there[name] for name in sorted(wanted) if not there[name].package]
    return folders, tuple(sorted(there.keys() - wanted))


def _subject_of(found: Found) -> Subject:
    return Subject(found.id, found.folder, "" if found.package.startswith(f"{FOLDER_PACKAGE}.") else found.package)


def _watch(process: subprocess.Popen[bytes], line: str, limits: Limits) -> CheckReport:
    """Hear what the kit tells until it ends, or must be ended."""
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    lines: queue.Queue[bytes | None] = queue.Queue()
    errors: list[bytes] = []
    readers = [
        threading.Thread(target=_pump, args=(process.stdout, lines.put), daemon=True),
        threading.Thread(target=_pump, args=(process.stderr, lambda text: errors.append(text or b"")), daemon=True),
    ]
    for reader in readers:
        reader.start()
    with contextlib.suppress(OSError):  # it ended before it read: its end is told below
        process.stdin.write(line.encode() + b"\n")
        process.stdin.close()
    heard = _Heard()
    try:
        verdict = _hear(process, lines, heard, limits)
        status = process.wait() if not verdict else None
    finally:
        _end(process)
        for reader in readers:
            reader.join(2)
        for stream in (process.stdout, process.stderr):
            stream.close()
    if status or (status == 0 and heard.current):
        tail = "\n".join(b"".join(errors).decode(errors="replace").splitlines()[-5:])
        verdict = f"it ended the process that checked it (exit status {status}): {tail}"
    if verdict:
        heard.checks.append(Check(heard.current or "import", "failed", verdict, round(heard.taken_s, 3)))
    return CheckReport(tuple(heard.checks), heard.facts)


@dataclass
class _Heard:
    """What the kit told so far; ``current`` is the check under way, empty between two."""

    checks: list[Check] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    current: str = "import"
    began: float = field(default_factory=time.monotonic)

    @property
    def taken_s(self) -> float:
        return time.monotonic() - self.began

    def take(self, raw: bytes) -> None:
        told = _told(raw)
        if "begin" in told:
            self.current, self.began = ("import" if told["begin"] == "manifest" else told["begin"]), time.monotonic()
        elif "check" in told:
            self.checks.append(Check(**told["check"]))
            self.current = ""
        elif "facts" in told:
            self.facts = told["facts"]


def _hear(process: subprocess.Popen[bytes], lines: queue.Queue[bytes | None], heard: _Heard, limits: Limits) -> str:
    """Until the kit's last line; why it must be ended before, empty where it need not."""
    while True:
        try:
            raw = lines.get(timeout=_LOOK_S)
        except queue.Empty:
            raw = b""
        if raw is None:
            return ""
        heard.take(raw)
        if _rss(process) > limits.memory_bytes:
            return f"it took more than {limits.memory_bytes / 2**30:g} GiB of memory"
        allowed = limits.jobs_s if heard.current in ("repeatable", "cancel", "leases") else limits.check_s
        if heard.current and heard.taken_s > allowed:
            return f"it did not end within {allowed:g} s"


def _pump(stream: IO[bytes], take: Any) -> None:
    for line in stream:
        take(line)
    take(None)


def _told(raw: bytes) -> dict[str, Any]:
    try:
        told = json.loads(raw) if raw else {}
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def _rss(process: subprocess.Popen[bytes]) -> int:
    """Bytes that the process and its children hold."""
    try:
        family = psutil.Process(process.pid)
        return sum(one.memory_info().rss for one in (family, *family.children(recursive=True)))
    except psutil.Error:
        return 0


def _end(process: subprocess.Popen[bytes]) -> None:
    """End it and whatever it started."""
    try:
        family = psutil.Process(process.pid)
        for one in (*family.children(recursive=True), family):
            one.kill()
    except psutil.Error:
        pass
    process.wait()
