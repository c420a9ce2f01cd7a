"""Runs one job after the other in a worker: parameters, hooks, pipeline, artifacts to the library, events to whoever
listens.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import threading
import time
import traceback
from collections.abc import Collection
from functools import partial
from typing import TYPE_CHECKING

import torch

from webui.core import work_folders
from webui.core.errors import Cancelled, ModelError, NotFound
from webui.core.guests import UNBOUNDED, Quota
from webui.core.jobs import (
    ArtifactRecord,
    ErrorInfo,
    Job,
    JobCancelled,
    JobDone,
    JobEvent,
    JobFailedEvent,
    JobStarted,
    JobState,
)
from webui.core.memory import AttentionBackend, MemorySnapshot
from webui.core.settings import Settings
from webui.core.specs import PipelineSpec

from .attention import choices, choose, probe
from .cache import make_cache
from .context import Emit, JobWarnings
from .device import Device, choose_device, device_status, fresh_state
from .hooks import JobHooks
from .production import Production, checked_job
from .results import describe_fault, library_versions
from .surroundings import Surroundings

if TYPE_CHECKING:
    from webui.catalog.catalog import Catalog
    from webui.core.jobs import DeviceStatus
    from webui.library.files import LibraryFiles
    from webui.library.uploads import UploadStore
    from webui.plugins.host import ExtensionHost

log = logging.getLogger(__name__)


class Runner:
    """One worker's runner: keeps device and model cache between jobs, runs one job at a time."""

    def __init__(
        self, settings: Settings, host: ExtensionHost, files: LibraryFiles, uploads: UploadStore, catalog: Catalog
    ) -> None:
        """Raises SetupError where the device of the settings is not there."""
        device = choose_device(settings)
        self.settings = settings
        self.host = host
        self.device: Device = device
        versions = library_versions()
        self.cache = make_cache(settings, device, versions)
        self.around = Surroundings(settings, host, files, uploads, catalog, device, self.cache, versions)
        self.hooks = JobHooks(host)
        self._attention = choose(device)
        self._attempt: _Attempt | None = None
        self._backends: tuple[AttentionBackend, ...] = ()

    def memory(self) -> MemorySnapshot:
        """What models take now, and how attention can be computed here."""
        told = self.cache.snapshot()
        if told.entries and self._attempt is None and not self._backends:
            # Tried between jobs: it imports libraries, and computes.
            self._backends = tuple(one.told() for one in probe(self.device))
        chosen = choices(self.around.findings("attention"))
        return told.model_copy(update={"attention": self._backends, "attention_choices": chosen})

    def expect(self, refs: Collection[str]) -> None:
        """Models that waiting jobs will ask for: what is in memory of them is given up last."""
        paths = []
        for ref in refs:
            with contextlib.suppress(NotFound, ModelError):  # that job will say so itself
                path = self.around.catalog.resolve(ref).path
                paths += [path] if path is not None else []
        self.cache.want(paths)

    def run(
        self,
        job: Job,
        done_indices: Collection[int],
        emit: Emit,
        cancelled: threading.Event,
        quota: Quota = UNBOUNDED,
    ) -> None:
        """Run ``job`` and tell ``emit`` of it: started, then whatever happens, then one of done, failed, cancelled.

        ``done_indices`` are artifacts of an earlier attempt that are on disk. ``quota`` is that of the job's guest, for
        what runs within it. What a pipeline or a hook raises ends
        the job, never the caller, save KeyboardInterrupt, which is passed on without an ending event. What ``emit``
        raises is passed on too.
        """
        began = time.monotonic()
        emit(JobStarted(job_id=job.id, attempt=max(1, job.attempts)))
        attempt = _Attempt(self, job, frozenset(done_indices), emit, cancelled, quota)
        self._attempt = attempt
        try:
            state, error = self._execute(attempt, cancelled)
        finally:
            self._attempt = None
            attempt.close()
        emit(_ending(job.id, state, error, time.monotonic() - began))
        ended = attempt.job.model_copy(
            update={
                "state": state,
                "error": error,
                "artifacts": attempt.records,
                "warnings": tuple(attempt.warnings.messages),
                "finished_at": time.time(),
            }
        )
        self.hooks.observe("job_finished", job=ended)

    def flush(self) -> None:
        """Tell progress that was held back, if a job runs. May be called from another thread, now and then."""
        attempt = self._attempt
        if attempt is not None and attempt.production is not None:
            attempt.production.context.meter.flush()

    def status(self) -> DeviceStatus:
        """Of the device, with what the cached models hold."""
        return device_status(self.device, models_bytes=self.cache.stats().held_bytes, attention=self._attention)

    def warm(self, spec: PipelineSpec) -> None:
        """Import what a pipeline needs, so that its first job need not; its class may add more by a ``warm()``. Never
        raises.
        """
        try:
            made = self.host.load_object(spec.extension, spec.run)
            further = getattr(made, "warm", None)
            if callable(further):
                further()
        except (Exception, SystemExit):
            log.info("%s was not warmed up", spec.id, exc_info=True)

    def _execute(self, attempt: _Attempt, cancelled: threading.Event) -> tuple[JobState, ErrorInfo | None]:
        """How the attempt ended. The exception is gone when this returns: its traceback would keep tensors alive."""
        try:
            attempt.execute()
        except KeyboardInterrupt:
            attempt.keep_work = True
            raise
        except Cancelled:
            attempt.keep_work = attempt.resumes
            return JobState.CANCELLED, None
        except BaseException as fault:  # SystemExit too: a pipeline ends its job, not the worker
            if cancelled.is_set():
                log.info("job %s was cancelled, and answered with an error", attempt.job.id, exc_info=True)
                attempt.keep_work = attempt.resumes
                return JobState.CANCELLED, None
            error = describe_fault(fault, attempt.extension)
            log.warning("job %s failed: %s", attempt.job.id, error.message, exc_info=bool(error.traceback))
            attempt.keep_work = True
            short_of_memory = isinstance(fault, MemoryError | torch.OutOfMemoryError)
            traceback.clear_frames(fault.__traceback__)
        else:
            return JobState.DONE, None
        if short_of_memory:
            gc.collect()
            self.device.empty_cache()
        return JobState.FAILED, error


class _Attempt:
    """One attempt at one job: what it runs, and what must be given back whatever becomes of it."""

    def __init__(
        self,
        runner: Runner,
        job: Job,
        done_indices: frozenset[int],
        emit: Emit,
        cancelled: threading.Event,
        quota: Quota,
    ) -> None:
        self.job = job
        self.production: Production | None = None
        self.warnings = JobWarnings(job.id, emit)
        self.keep_work = False
        self._runner = runner
        self._done_indices = done_indices
        self._emit = emit
        self._cancelled = cancelled
        self._quota = quota

    def execute(self) -> None:
        """From parameters to the last artifact. Raises whatever goes wrong."""
        runner = self._runner
        check = partial(checked_job, runner.around)
        spec, params = check(self.job)
        work_folders.begin(runner.settings, self.job.id)
        self.job, changed_by = runner.hooks.prepare(self.job, check, self.warnings.say)
        if changed_by:
            spec, params = check(self.job)
        self.production = Production(
            runner.around,
            runner.hooks,
            self.job,
            spec,
            params,
            done_indices=self._done_indices,
            quota=self._quota,
            changed_by=changed_by,
            emit=self._emit,
            warnings=self.warnings,
            cancelled=self._cancelled,
        )
        with fresh_state(self.job.params):
            self.production.run()

    @property
    def extension(self) -> str:
        """Whose pipeline runs; empty before one does."""
        return self.production.spec.extension if self.production is not None else ""

    @property
    def resumes(self) -> bool:
        """Whether what the pipeline left when it was stopped is to be kept."""
        return self.production is not None and self.production.spec.keeps_work

    @property
    def records(self) -> tuple[ArtifactRecord, ...]:
        """Saved so far."""
        return tuple(self.production.records) if self.production is not None else ()

    def close(self) -> None:
        """Give back what the attempt holds."""
        if self.production is not None:
            self.production.context.close(keep_work=self.keep_work)


def _ending(job_id: str, state: JobState, error: ErrorInfo | None, seconds: float) -> JobEvent:
    if error is not None:
        return JobFailedEvent(job_id=job_id, error=error)
    if state is JobState.CANCELLED:
        return JobCancelled(job_id=job_id)
    return JobDone(job_id=job_id, seconds=round(seconds, 3))
