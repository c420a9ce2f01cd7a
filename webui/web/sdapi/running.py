"""The jobs that came by this interface and have not ended, for ``progress``, ``interrupt`` and ``skip``: its clients
know one run at a time, and of others' jobs they must neither wait nor end one.

Used on the event loop alone, so there is no lock.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from webui.core.jobs import Job, JobPreview, JobProgress, JobStarted, Progress
from webui.queue.hub import Item


@dataclass
class Run:
    """One job as its viewers were told of it."""

    job: Job
    images: int
    progress: Progress = field(default_factory=Progress)
    preview: str = ""
    """Base64 of a JPEG."""
    started: bool = False
    interrupted: bool = False
    skipped_at: int | None = None
    """The picture at work when it was skipped."""
    since: float = field(default_factory=time.time)

    def take(self, item: Item) -> None:
        match item:
            case Job():
                self.job, self.progress = item, item.progress
                self.started = self.started or item.started_at is not None
            case JobStarted():
                self.started = True
            case JobProgress(progress=progress):
                self.progress = progress
            case JobPreview(data=data):
                self.preview = data
            case _:
                pass


class Running:
    """The runs under way, the oldest first, of whom ``whose`` names: the owner of the jobs of who asks."""

    def __init__(self, whose: Callable[[], str] | None = None) -> None:
        self._all: dict[str, Run] = {}
        self._whose = whose

    @property
    def _runs(self) -> dict[str, Run]:
        if self._whose is None:
            return self._all
        owner = self._whose()
        return {job_id: run for job_id, run in self._all.items() if run.job.owner == owner}

    @contextmanager
    def following(self, job: Job, images: int) -> Iterator[Run]:
        """``job`` is one of the running for the time of the block."""
        run = self._all[job.id] = Run(job, images)
        try:
            yield run
        finally:
            del self._all[job.id]

    def interrupt(self) -> str | None:
        """The id of the job to be ended: the one at work, else the first that waits."""
        run = self._current()
        if run is None:
            return None
        run.interrupted = True
        return run.job.id

    def skip(self) -> str | None:
        """The id of the job whose picture at work is to be given up; None where none is at work."""
        run = self._current()
        if run is None or not run.started or run.skipped_at is not None:
            return None
        run.skipped_at, run.interrupted = run.progress.image, True
        return run.job.id

    def view(self, *, with_image: bool) -> dict[str, Any]:
        """The answer of ``progress``."""
        run = self._current()
        if run is None:
            return _view(0.0, 0.0, _IDLE, None, "Waiting...")
        step = run.progress
        state = {
            **_IDLE,
            "skipped": run.skipped_at is not None,
            "interrupted": run.interrupted and run.skipped_at is None,
            "job": f"Image {step.image + 1} of {run.images}",
            "job_count": max(1, run.images) + sum(other.images for other in self._runs.values() if other is not run),
            "job_timestamp": time.strftime("%Y%m%d%H%M%S", time.localtime(run.job.created_at)),
            "job_no": step.image,
            "sampling_step": step.step,
            "sampling_steps": step.steps,
        }
        text = step.message or ("" if run.started else "Waiting for the jobs before it")
        # Clients take 0 for the end.
        fraction = min(1.0, max(0.01, step.fraction))
        return _view(fraction, step.eta_s or 0.0, state, run.preview if with_image and run.preview else None, text)

    def _current(self) -> Run | None:
        runs = list(self._runs.values())
        return next((run for run in runs if run.started and not run.interrupted), runs[0] if runs else None)


_IDLE: dict[str, Any] = {
    "skipped": False,
    "interrupted": False,
    "stopping_generation": False,
    "job": "",
    "job_count": 0,
    "job_timestamp": "0",
    "job_no": 0,
    "sampling_step": 0,
    "sampling_steps": 0,
}


def _view(progress: float, eta_s: float, state: dict[str, Any], image: str | None, text: str) -> dict[str, Any]:
    return {"progress": progress, "eta_relative": eta_s, "state": state, "current_image": image, "textinfo": text}
