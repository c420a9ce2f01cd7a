"""A run within a run: what the pipeline inside sees, and what becomes of its faults; used by ``Production``."""

from __future__ import annotations

import gc
import logging
import threading
import traceback
from collections.abc import Sequence
from typing import Any

import torch

from webui.core.errors import Cancelled, JobFailed, LifelikeError
from webui.core.jobs import ArtifactRecord, Job, JobProgress
from webui.core.specs import Artifact, PipelineSpec

from .context import JobContext, JobWarnings, Place, Producing
from .progress import ProgressMeter, ShiftedPreviews
from .results import describe_fault
from .surroundings import Surroundings

MAX_DEPTH = 3
"""Runs within each other: a sweep of sweeps is one too many to wait for, and a pipeline that runs itself never ends."""

log = logging.getLogger(__name__)


class InnerContext(JobContext):
    """``webui.api.Context`` of a run within the run of ``outer``: leases of its own, all else in its place there."""

    def __init__(
        self,
        outer: JobContext,
        place: Place,
        around: Surroundings,
        job: Job,
        spec: PipelineSpec,
        *,
        warnings: JobWarnings,
        cancelled: threading.Event,
        production: Producing,
    ) -> None:
        super().__init__(
            around,
            job,
            spec,
            done_indices=(),
            emit=_nowhere,
            warnings=warnings,
            cancelled=cancelled,
            production=production,
            quota=outer.reach.quota,
        )
        self._outer = outer
        self._place = place
        self._folder = outer.inner_folder(place.index)
        self.meter = ProgressMeter(job.id, self._fold, interval_s=0.0)
        self.previews = ShiftedPreviews(outer.previews, place.index)

    @property
    def enough(self) -> bool:
        return self._done.issuperset(range(self._place.count))

    def pending(self, total: int, weights: Sequence[float] = ()) -> list[int]:
        """Of what the pipeline would make, only what is asked of it here."""
        return super().pending(min(total, self._place.count), weights[: self._place.count])

    def save(self, artifact: Artifact) -> ArtifactRecord:
        """What was not asked for is not kept, and its record names no file."""
        if artifact.index < self._place.count:
            return super().save(artifact)
        return nowhere(self.job.id, artifact)

    def check_cancelled(self) -> None:
        self._outer.check_cancelled()
        super().check_cancelled()

    def _keep_work(self) -> None:
        """It lies in the outer job's folder, which is that one's to keep."""

    def _fold(self, event: JobProgress) -> None:
        place = self._place
        if place.take is not None:
            return  # what is made is none of the job's artifacts: whoever takes it tells how far that is
        self._outer.meter.fold(event.progress, range(place.index, place.index + place.count))


def nowhere(job_id: str, artifact: Artifact) -> ArtifactRecord:
    """The record of an artifact that the library does not keep."""
    return ArtifactRecord(
        id="",
        job_id=job_id,
        index=artifact.index,
        kind=artifact.kind,
        path="",
        media_type="",
        size_bytes=0,
        sha256="",
        seed=artifact.seed,
    )


def _nowhere(event: Any) -> None:
    """All that is told of a run within a run goes through the outer one."""


def settled(
    fault: BaseException, spec: PipelineSpec, cancelled: threading.Event, around: Surroundings
) -> BaseException:
    """What the outer pipeline gets of a fault of the inner one, whose tensors and traceback are let go here.

    Errors with words for the user stay themselves; all others become JobFailed with such words.
    """
    short_of_memory = isinstance(fault, MemoryError | torch.OutOfMemoryError)
    settled_fault: BaseException = fault
    if cancelled.is_set() and not isinstance(fault, Cancelled):
        log.info("%s was cancelled, and answered with an error", spec.id, exc_info=fault)
        settled_fault = Cancelled()
    elif not isinstance(fault, LifelikeError):
        log.warning("%s failed within another run", spec.id, exc_info=fault)
        told = describe_fault(fault, spec.extension)
        settled_fault = JobFailed(told.message, hint=told.hint)
    traceback.clear_frames(fault.__traceback__)
    if short_of_memory:
        gc.collect()
        around.device.empty_cache()
    return settled_fault
