"""The queue's face to page, HTTP and command line: parameters come in, a durable job comes out and can be watched."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from webui.core.errors import FieldError, NotFound, ParameterError
from webui.core.guests import UNBOUNDED, Quota
from webui.core.jobs import Job, JobState, MemoryCommand
from webui.core.settings import Settings
from webui.core.specs import PipelineSpec, same_name
from webui.queue.dispatcher import Dispatcher
from webui.queue.executors import Executor, SubprocessExecutor
from webui.queue.hub import EventHub, Subscription
from webui.queue.limits import Limits, limits_of
from webui.queue.recorder import ArtifactObserver, FindDone, Recorder
from webui.queue.store import JobStore

log = logging.getLogger(__name__)

Freeze = Callable[[PipelineSpec, Mapping[str, Any], str], dict[str, Any]]
"""Raw parameters of a job of an owner as it will run with them: validated, nothing left to chance. Raises
ParameterError, Forbidden.
"""

KEEP_ENDED = 10_000
"""Ended jobs that are remembered; older ones are forgotten at the start. Their pictures and recipes stay in the
library.
"""

Jobs = list[Job]
Rows = list[dict[str, Any]]


class JobService:
    """Jobs of one data folder. All methods may be called from any thread; none waits for a worker but ``stop``."""

    def __init__(
        self,
        settings: Settings,
        pipelines: Mapping[str, PipelineSpec],
        *,
        freeze: Freeze,
        find_done: FindDone,
        observers: Sequence[ArtifactObserver] = (),
        executors: Sequence[Executor] | None = None,
        limits: Limits | None = None,
        allowance_s: Callable[[Job], float | None] = lambda job: None,
        quota_of: Callable[[Job], Quota] = lambda job: UNBOUNDED,
    ) -> None:
        """Open the queue of ``settings.queue_path``; nothing runs before ``start``. Raises SetupError.

        ``observers`` are called with each artifact when it is on disk and in its job, before viewers hear of it; with
        those of an interrupted job again. ``executors``: a job runs on each at a time; None: one worker process of
        this machine. ``allowance_s``: how long a job may run at most because of whose it is, asked when it begins.
        ``quota_of``: what runs within a job may ask for.
        """
        self._pipelines = pipelines
        self._freeze = freeze
        self.store = JobStore(settings.queue_path)
        self.hub = EventHub(self.store.get, self._active)
        self._recorder = Recorder(self.store, self.hub, find_done, observers)
        limits = limits or limits_of(settings)
        self._dispatchers = [
            Dispatcher(self._recorder, executor, pipelines.get, limits, allowance_s, quota_of)
            for executor in (executors if executors is not None else [SubprocessExecutor(settings)])
        ]
        self._limits = limits

    def start(self, warm_after_s: float | None = None) -> None:
        """Take up what an earlier server left, then run jobs. Raises SetupError when another server runs this
        folder's jobs.

        ``warm_after_s``: start the workers that long from now if nothing did before, so that the first job does not
        pay for their imports; None: only ``warm`` or a job starts them. A server calls ``warm`` when it has answered
        its first page, and gives a delay in case nobody asks for one.
        """
        self.store.own()
        for job in self.store.recover():
            log.info("job %s was running when the server ended; it is %s now", job.id, job.state)
            if job.state.ended:
                self._recorder.reconcile(job)
        self.store.prune(KEEP_ENDED)
        for dispatcher in self._dispatchers:
            dispatcher.start(warm_after_s)

    def warm(self) -> None:
        """Start the workers now where they are not alive. Cheap to call again."""
        for dispatcher in self._dispatchers:
            dispatcher.warm()

    def stop(self) -> None:
        """Put running jobs back into the queue, end the workers and all subscriptions, close the files. Nothing may
        be called afterwards.
        """
        for dispatcher in self._dispatchers:
            dispatcher.request_stop()
        for dispatcher in self._dispatchers:
            dispatcher.join(self._limits.stop_grace_s + 15.0)
        self.hub.close()
        self.store.close()

    # --- jobs

    def submit(self, pipeline: str, raw: Mapping[str, Any], owner: str = "local") -> Job:
        """A new job of ``pipeline`` (its id, or its last part where only one has it), already durable. Raises
        NotFound, ParameterError, Forbidden.
        """
        spec = self._spec(pipeline)
        job = self._recorder.add(Job(pipeline=spec.id, params=self._freeze(spec, raw, owner), owner=owner))
        self._wake()
        return job

    def get(self, job_id: str) -> Job:
        """Raises NotFound."""
        return self.store.get(job_id)

    def list(
        self, state: str | None = None, owner: str | None = None, limit: int = 50, before: str | None = None
    ) -> Jobs:
        """Newest first. ``before``: the id of the last job of the page before. Raises ParameterError, NotFound."""
        try:
            wanted = JobState(state) if state is not None else None
        except ValueError:
            expected = "expected one of " + ", ".join(JobState)
            raise ParameterError([FieldError("state", expected, repr(state))]) from None
        return self.store.page(wanted, owner, limit, before)

    def counts(self, owner: str | None = None) -> dict[JobState, int]:
        """Jobs in each state."""
        return self.store.counts(owner)

    def seconds_used(self, owner: str, since: float) -> float:
        """How long jobs of ``owner`` ran since a time, those that run now included."""
        return self.store.seconds_used(owner, since)

    def cancel(self, job_id: str) -> Job:
        """A waiting job is cancelled at once, a running one within a step; one that has ended stays as it is. Raises
        NotFound.
        """
        job = self._recorder.cancel(job_id)
        if job.state is JobState.RUNNING:
            for dispatcher in self._dispatchers:
                dispatcher.cancel(job_id)
        return job

    def retry(self, job_id: str) -> Job:
        """Queue a failed or cancelled job again under its id; it goes on from what is finished. Raises NotFound,
        Conflict.
        """
        job = self._recorder.retry(job_id)
        self._wake()
        return job

    def subscribe(self, job_id: str | None = None) -> Subscription:
        """Watch one job or, with None, all: snapshots come first, of all that run and the newest 200 that wait.

        See ``Subscription`` for what follows. Raises NotFound.
        """
        return self.hub.subscribe(job_id)

    def workers(self) -> Rows:
        """One row a worker: name, state (stopped, starting, ready or busy), pid, job_id, device (DeviceStatus or
        None), memory (MemorySnapshot or None).
        """
        return [dispatcher.status() for dispatcher in self._dispatchers]

    def tell_workers(self, command: MemoryCommand, name: str = "") -> int:
        """Pass a command on memory to the worker of that name, or to all; how many live and were told."""
        named = [one for one in self._dispatchers if not name or one.status()["name"] == name]
        return sum(dispatcher.tell(command) for dispatcher in named)

    def _spec(self, name: str) -> PipelineSpec:
        found = same_name(tuple(self._pipelines.values()), name)
        if len(found) == 1:
            return found[0]
        if found:
            ids = ", ".join(sorted(spec.id for spec in found))
            raise NotFound(f"{name!r} may mean several pipelines.", hint=f"Use the full id, one of {ids}.")
        words = {word: spec.id for spec in self._pipelines.values() for word in (spec.name, spec.id)}
        near = dict.fromkeys(words[word] for word in difflib.get_close_matches(name, words, n=3))
        known = f"Did you mean {' or '.join(near)}?" if near else f"There are: {', '.join(sorted(self._pipelines))}."
        raise NotFound(f"there is no pipeline {name!r}.", hint=known)

    def _active(self) -> Jobs:
        return self.store.page(JobState.RUNNING) + self.store.page(JobState.QUEUED, limit=200)

    def _wake(self) -> None:
        for dispatcher in self._dispatchers:
            dispatcher.wake()
