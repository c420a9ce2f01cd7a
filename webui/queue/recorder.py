"""Between the queue's actors and its store and hub: every change of a job is made durable first and told to the
viewers second.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence

from webui.core.jobs import (
    ArtifactRecord,
    ErrorInfo,
    Job,
    JobArtifact,
    JobCancelled,
    JobEvent,
    JobFailedEvent,
    JobPreview,
    JobQueued,
    JobStarted,
    JobState,
)
from webui.queue.hub import EventHub
from webui.queue.store import MAX_ATTEMPTS, Claim, JobStore

log = logging.getLogger(__name__)

FindDone = Callable[[Job], Sequence[ArtifactRecord]]
"""What is on disk of a job, found from the files alone."""

ArtifactObserver = Callable[[Job, ArtifactRecord], None]
"""Called when an artifact is in the job's row and before viewers hear of it; after a crash once more for what was
known already.
"""


class Recorder:
    """The store's changes, each followed by its event.

    ``_moving`` is held while a job changes its state and the change is told, so that viewers hear of changes in the
    order in which they happened. The locks of store and hub are taken while it is held, never the other way round.
    """

    def __init__(
        self, store: JobStore, hub: EventHub, find_done: FindDone, observers: Sequence[ArtifactObserver] = ()
    ) -> None:
        self.store = store
        self.hub = hub
        self._find_done = find_done
        self._observers = tuple(observers)
        self._moving = threading.Lock()

    def add(self, job: Job) -> Job:
        """``JobStore.add``, told."""
        with self._moving:
            added = self.store.add(job)
            self.hub.publish(JobQueued(job_id=job.id))
            return added

    def claim(self) -> Claim | None:
        """``JobStore.claim_next``, told."""
        with self._moving:
            claim = self.store.claim_next()
            if claim is None:
                return None
            self.hub.publish(JobStarted(job_id=claim.job.id, attempt=claim.job.attempts))
        self._places_moved()
        return claim

    def cancel(self, job_id: str) -> Job:
        """``JobStore.request_cancel``, told where the job waited. Raises NotFound."""
        with self._moving:
            waited = self.store.get(job_id).state is JobState.QUEUED
            job = self.store.request_cancel(job_id)
            if waited:
                self._tell_state(job)
        self._places_moved()
        return job

    def retry(self, job_id: str) -> Job:
        """``JobStore.retry``, told. Raises NotFound, Conflict."""
        with self._moving:
            job = self.store.retry(job_id)
            self._tell_state(job)
            return job

    def interrupt(self, job_id: str, error: ErrorInfo, *, counts: bool = True, attempts: int = MAX_ATTEMPTS) -> Job:
        """``JobStore.interrupt``, told. Raises NotFound."""
        with self._moving:
            job = self.store.interrupt(job_id, error, counts=counts, attempts=attempts)
            self._tell_state(job)
        self._places_moved()
        return job

    def record(self, job: Job, event: JobEvent) -> None:
        """Fold what a worker said of ``job`` into its row, let the observers see an artifact, tell the viewers."""
        match event:
            case JobPreview():
                self.hub.publish(event)
            case JobStarted():
                # Viewers heard of it when the job was claimed; this one is the worker's, after it woke up.
                self.store.apply(event)
            case JobArtifact():
                self.store.apply(event)
                self._observe(job, event.artifact)
                self.hub.publish(event)
            case _:
                with self._moving:
                    if self.store.apply(event):
                        self.hub.publish(event)
                    else:
                        log.debug("%s of job %s changes nothing", event.type, event.job_id)

    def reconcile(self, job: Job) -> list[ArtifactRecord]:
        """What is on disk of ``job``; what its row did not know yet is recorded and told. Observers see all of it."""
        try:
            found = list(self._find_done(job))
        except Exception:
            log.exception("cannot look for finished artifacts of job %s; they will be made again", job.id)
            return []
        known = {record.index for record in self.store.get(job.id).artifacts}
        for artifact in found:
            if artifact.index in known:
                self._observe(job, artifact)
            else:
                self.record(job, JobArtifact(job_id=job.id, artifact=artifact))
        return found

    def _observe(self, job: Job, artifact: ArtifactRecord) -> None:
        for observer in self._observers:
            try:
                observer(job, artifact)
            except Exception:
                log.exception("an observer of artifacts failed on %s; the file is safe", artifact.id)

    def _tell_state(self, job: Job) -> None:
        match job.state:
            case JobState.QUEUED:
                self.hub.publish(JobQueued(job_id=job.id))
            case JobState.CANCELLED:
                self.hub.publish(JobCancelled(job_id=job.id))
            case JobState.FAILED if job.error is not None:
                self.hub.publish(JobFailedEvent(job_id=job.id, error=job.error))

    def _places_moved(self) -> None:
        self.hub.refresh(self.store.positions)
