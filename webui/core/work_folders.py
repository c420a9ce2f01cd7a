"""The folders in which jobs keep what must outlive their worker: where they are, what is left in them when a job ends,
and how much of that stays on disk.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

from .jobs import Job
from .settings import Settings

_ENDED = "ended.json"
"""Lies in the folder of a job that ended and may go on, and holds the job."""
_DAY_S = 24 * 3600.0


def _base(settings: Settings) -> Path:
    return settings.data_dir / "work"


def work_folder(settings: Settings, job_id: str) -> Path:
    """Where a job keeps what must outlive a crash of its worker."""
    return _base(settings) / job_id


def keep(settings: Settings, job: Job) -> None:
    """The job ended, and what it left is to be found by another run of it. Older ones make room."""
    folder = work_folder(settings, job.id)
    if not folder.is_dir():
        return  # it never asked for one
    _write(folder / _ENDED, job.model_dump(mode="json"))
    _make_room(settings)


def begin(settings: Settings, job_id: str) -> None:
    """The job runs: what it left belongs to it again, and is not removed for room."""
    (work_folder(settings, job_id) / _ENDED).unlink(missing_ok=True)


def forget(folder: Path) -> None:
    """Remove what a job, or a run within one, left in its folder."""
    shutil.rmtree(folder, ignore_errors=True)


def left_by(settings: Settings, job_id: str) -> Job | None:
    """The job as it was, where it ended and something is left for it to go on from."""
    if not job_id or Path(job_id).name != job_id:
        return None
    try:
        return Job.model_validate_json((work_folder(settings, job_id) / _ENDED).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def remove_stale(settings: Settings, older_than_s: float = 30 * _DAY_S) -> list[str]:
    """Remove folders that nothing was written into for long; their jobs' ids."""
    limit = time.time() - older_than_s
    gone = []
    for folder in _folders(settings):
        if max((_mtime(item) for item in (folder, *folder.rglob("*"))), default=0.0) < limit:
            shutil.rmtree(folder, ignore_errors=True)
            gone.append(folder.name)
    return gone


def _make_room(settings: Settings) -> None:
    """Of what ended jobs left, the newest stays whole, and older ones as far as they fit."""
    ended = [folder for folder in _folders(settings) if (folder / _ENDED).is_file()]
    room = settings.kept_work_bytes
    for place, folder in enumerate(sorted(ended, key=lambda one: _mtime(one / _ENDED), reverse=True)):
        room -= sum(_size(item) for item in folder.rglob("*"))
        if room < 0 and place > 0:
            shutil.rmtree(folder, ignore_errors=True)


def _folders(settings: Settings) -> list[Path]:
    base = _base(settings)
    return [folder for folder in base.iterdir() if folder.is_dir()] if base.is_dir() else []


def _mtime(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _size(path: Path) -> int:
    try:
        return path.stat().st_size if path.is_file() else 0
    except OSError:
        return 0


def _write(path: Path, body: Any) -> None:
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    temporary.write_text(json.dumps(body), encoding="utf-8")
    os.replace(temporary, path)
