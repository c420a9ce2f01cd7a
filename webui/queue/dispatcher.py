"""Between the store and one worker: takes the next job, has its executor run it, and brings it to an end whatever the
worker does.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from webui.core.errors import WorkerDied
from webui.core.guests import UNBOUNDED, Quota
from webui.core.jobs import (
    CancelCommand,
    ErrorInfo,
    Job,
    JobCancelled,
    JobDone,
    JobEvent,
    JobFailedEvent,
    JobProgress,
    JobStarted,
    JobState,
    JobWarning,
    MemoryCommand,
    Progress,
    RunCommand,
)
from webui.core.parameters import describe
from webui.core.specs import PipelineSpec
from webui.queue.executors import Executor
from webui.queue.limits import USUAL, Limits, own_bytes
from webui.queue.recorder import Recorder
from webui.queue.store import MAX_ATTEMPTS, MAX_STARTS, Claim

log = logging.getLogger(__name__)

_LOOK_AHEAD = 32
"""Waiting jobs whose models a worker hears of."""
_ENDS = JobDone | JobFailedEvent | JobCancelled


@dataclass
class _Run:
    """One attempt at a job. ``verdict`` says why the worker was killed, where we did it."""

    job: Job
    timeout_s: float | None
    allowance_s: float | None = None
    """What is left of its owner's time."""
    sent: bool = False
    cancel_at: float | None = None
    began_at: float | None = None
    heard_at: float = field(default_factory=time.monotonic)
    verdict: Literal["", "cancelled", "overdue", "stopped"] = ""
    error: ErrorInfo | None = None


class Dispatcher:
    """One thread that serves one executor. Several may share a store.

    ``_lock`` guards ``_current`` and the sending of commands, so that a cancel can neither overtake its job nor miss
    it. The executor's lock is taken while it is held, no other.
    """

    def __init__(
        self,
        recorder: Recorder,
        executor: Executor,
        spec_of: Callable[[str], PipelineSpec | None],
        limits: Limits = USUAL,
        allowance_s: Callable[[Job], float | None] = lambda job: None,
        quota_of: Callable[[Job], Quota] = lambda job: UNBOUNDED,
    ) -> None:
        self._recorder = recorder
        self._executor = executor
        self._spec_of = spec_of
        self._limits = limits
        self._allowance_s = allowance_s
        self._quota_of = quota_of
        self._lock = threading.Lock()
        self._current: _Run | None = None
        self._stopping = threading.Event()
        self._wake = threading.Event()
        self._warm_at: float | None = None
        self._thread = threading.Thread(target=self._loop, name="dispatcher", daemon=True)

    # --- called by the service, from any thread

    def start(self, warm_after_s: float | None = None) -> None:
        """Begin to take jobs. The worker is started for the first job, or ``warm_after_s`` seconds from now, or by
        ``warm``.
        """
        if warm_after_s is not None:
            self._warm_at = time.monotonic() + warm_after_s
        self._thread.start()

    def wake(self) -> None:
        """There may be a job."""
        self._wake.set()

    def warm(self) -> None:
        """Start the worker now if none lives, so that the first job does not wait for it."""
        self._warm_at = time.monotonic()
        self._wake.set()

    def cancel(self, job_id: str) -> bool:
        """Pass a cancel, which is in the store already, to the worker. False when this dispatcher does not run the
        job.
        """
        with self._lock:
            run = self._current
            if run is None or run.job.id != job_id:
                return False
            if run.cancel_at is None:
                run.cancel_at = time.monotonic()
                if run.sent:
                    self._executor.send(CancelCommand(job_id=job_id))
            return True

    def request_stop(self) -> None:
        """Take no more jobs; a running one goes back to the queue."""
        self._stopping.set()
        self._wake.set()

    def join(self, timeout_s: float) -> None:
        """Wait for the end that ``request_stop`` asked for."""
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
            if self._thread.is_alive():
                log.warning("a dispatcher did not end within %.0f s", timeout_s)

    def status(self) -> dict[str, Any]:
        """name, state (stopped, starting, ready or busy), pid, job_id, device (DeviceStatus or None), memory
        (MemorySnapshot or None), hooks (of extensions, what they took).
        """
        status = self._executor.status()
        with self._lock:
            job_id = self._current.job.id if self._current is not None else None
        state = "busy" if job_id is not None and status.state == "ready" else status.state
        row = {"name": status.name, "state": state, "pid": status.pid, "job_id": job_id}
        return {**row, "device": status.device, "memory": status.memory, "hooks": status.hooks}

    def tell(self, command: MemoryCommand) -> bool:
        """Pass a command on memory to the worker. False when none lives: there is nothing in memory."""
        if self._executor.status().state == "stopped":
            return False
        with self._lock:
            self._executor.send(command)
        return True

    # --- the thread

    def _loop(self) -> None:
        while not self._stopping.is_set():
            try:
                claim = self._recorder.claim()
                if claim is None:
                    self._idle()
                else:
                    self._run(claim)
            except Exception:
                log.exception("the dispatcher met an error and goes on")
                self._stopping.wait(self._limits.idle_s)
        self._executor.stop(self._limits.stop_grace_s)

    def _idle(self) -> None:
        self._drain()
        wait_s = self._limits.idle_s
        if self._warm_at is not None:
            wait_s = min(wait_s, self._warm_at - time.monotonic())
            if wait_s <= 0:
                self._warm_at = None
                self._executor.start()
                return
        self._wake.wait(wait_s)
        self._wake.clear()

    def _drain(self) -> None:
        """Hear what a worker says between jobs: its status, or that it died, which is no job's fault."""
        try:
            while (event := self._executor.receive(0)) is not None:
                log.warning("skipped %s of job %s, which is not running", event.type, event.job_id)
        except WorkerDied as error:
            log.warning("between two jobs: %s", error)

    def _run(self, claim: Claim) -> None:
        spec = self._spec_of(claim.job.pipeline)
        run = _Run(claim.job, timeout_s=spec.timeout_s if spec is not None else None)
        with self._lock:
            self._current = run
        try:
            run.allowance_s = self._allowance_s(claim.job)
            self._carry(run, spec, claim.fresh)
        except Exception as error:
            log.exception("job %s could not be carried out", claim.job.id)
            self._executor.kill()
            self._give_up(run.job, error)
        finally:
            with self._lock:
                self._current = None

    def _waiting_models(self) -> tuple[str, ...]:
        """References of the models that waiting jobs ask for."""
        found: dict[str, None] = {}
        for job in self._recorder.store.page(JobState.QUEUED, limit=_LOOK_AHEAD):
            spec = self._spec_of(job.pipeline)
            for row in describe(spec.params) if spec is not None else ():
                if row.kind == "model" and job.params.get(row.name):
                    found[str(job.params[row.name])] = None
        return tuple(found)

    def _carry(self, run: _Run, spec: PipelineSpec | None, fresh: bool) -> None:
        job = run.job
        if spec is None:
            hint = "Its extension was removed, disabled or failed to load: see the Extensions tab."
            error = ErrorInfo(kind="NotFound", message=f"there is no pipeline {job.pipeline!r} any more.", hint=hint)
            return self._recorder.record(job, JobFailedEvent(job_id=job.id, error=error))
        found = [] if fresh else self._recorder.reconcile(job)
        if self._recorder.store.cancel_requested(job.id):
            return self._recorder.record(job, JobCancelled(job_id=job.id))
        self._drain()
        done = tuple(sorted(record.index for record in found)) if spec.resumable else ()
        bare = job.model_copy(update={"artifacts": ()})
        command = RunCommand(
            job=bare, done_indices=done, waiting_models=self._waiting_models(), quota=self._quota_of(job)
        )
        self._send(run, command)
        while True:
            try:
                event = self._executor.receive(self._limits.poll_s)
            except WorkerDied as died:
                return self._died(run, died)
            if event is not None and self._heard(run, event):
                return None
            self._enforce(run)

    def _send(self, run: _Run, command: RunCommand) -> None:
        if self._executor.status().state != "ready":
            waiting = Progress(image=len(command.done_indices), message="Starting the worker")
            self._recorder.record(run.job, JobProgress(job_id=run.job.id, progress=waiting))
        with self._lock:
            self._executor.send(command)
            run.sent = True
            run.heard_at = time.monotonic()
            if run.cancel_at is not None:
                self._executor.send(CancelCommand(job_id=run.job.id))

    def _heard(self, run: _Run, event: JobEvent) -> bool:
        """Record ``event``; whether it ends the run."""
        if event.job_id != run.job.id:
            log.warning("skipped %s of job %s while %s runs", event.type, event.job_id, run.job.id)
            return False
        run.heard_at = time.monotonic()
        if isinstance(event, JobStarted) and run.began_at is None:
            run.began_at = run.heard_at
        broken_off = run.verdict == "stopped" and isinstance(event, JobFailedEvent | JobCancelled)
        if broken_off and not self._recorder.store.cancel_requested(run.job.id):
            return False  # an effect of our stop, not of the job; it goes back to the queue when the worker is gone
        self._recorder.record(run.job, event)
        return isinstance(event, _ENDS)

    def _enforce(self, run: _Run) -> None:
        """End the worker where its time is up. Its last words, then its death, are received afterwards."""
        if run.verdict:
            return
        now = time.monotonic()
        if self._stopping.is_set():
            run.verdict = "stopped"
            self._executor.stop(self._limits.stop_grace_s)
        elif run.cancel_at is not None:
            if now - run.cancel_at > self._limits.cancel_grace_s:
                run.verdict = "cancelled"
                self._executor.kill()
        elif (error := self._overdue(run, now) or self._too_large()) is not None:
            run.verdict, run.error = "overdue", error
            self._executor.kill()

    def _overdue(self, run: _Run, now: float) -> ErrorInfo | None:
        silent_s = now - run.heard_at
        if run.began_at is None:
            if silent_s <= self._limits.start_s:
                return None
            message = f"the worker did not begin within {self._limits.start_s:.0f} s and was ended."
            return ErrorInfo(kind="WorkerDied", message=message, hint="Its log may say why; run the job again.")
        if run.allowance_s is not None and now - run.began_at > run.allowance_s:
            message = "the minutes of this guest's day are used up, and the job was ended."
            return ErrorInfo(kind="TimeoutError", message=message, hint="Go on with it tomorrow, or ask the owner.")
        if run.timeout_s is not None:
            if now - run.began_at <= run.timeout_s:
                return None
            message = f"the job took longer than the {run.timeout_s:g} s that its pipeline allows, and was ended."
            return ErrorInfo(kind="TimeoutError", message=message, hint="Ask for less: fewer steps, a smaller size.")
        if silent_s <= self._limits.silence_s:
            return None
        message = f"the job reported nothing for {self._limits.silence_s / 60:.0f} minutes and was ended."
        return ErrorInfo(kind="TimeoutError", message=message, hint="Run it again: it goes on from what is finished.")

    def _too_large(self) -> ErrorInfo | None:
        """Before the system runs out of memory, and chooses itself what it ends."""
        limit, pid = self._limits.memory_bytes, self._executor.status().pid
        if not limit or pid is None or own_bytes(pid) <= limit:
            return None
        message = f"the worker took more than {limit / 2**30:.1f} GiB of main memory, its limit, and was ended."
        return ErrorInfo(kind="MemoryError", message=message, hint="Ask for less at once, or raise memory_limit_bytes.")

    def _died(self, run: _Run, died: WorkerDied) -> None:
        """The worker is gone: settle what becomes of the job."""
        job, words = run.job, "\n".join(getattr(died, "__notes__", ()))
        made = len(self._recorder.reconcile(job))
        if run.verdict == "stopped":
            self._recorder.interrupt(job.id, ErrorInfo(kind="WorkerDied", message=died.message), counts=False)
        elif run.verdict == "cancelled":
            self._recorder.record(job, JobCancelled(job_id=job.id))
        elif run.error is not None:
            error = run.error.model_copy(update={"traceback": words})
            self._recorder.record(job, JobFailedEvent(job_id=job.id, error=error))
        else:
            log.error("job %s, attempt %d: %s\n%s", job.id, job.attempts, died, words)
            message = f"{died.message} It was attempt {job.attempts} at this job."
            error = ErrorInfo(kind="WorkerDied", message=message, hint=died.hint, traceback=words)
            # What gets on is not what kills workers, and what had not begun neither.
            limit = made + (MAX_ATTEMPTS if run.began_at is not None else MAX_STARTS)
            if self._recorder.interrupt(job.id, error, attempts=limit).state is JobState.QUEUED:
                warning = f"{died.message} The job is run again, from what is finished."
                self._recorder.record(job, JobWarning(job_id=job.id, message=warning))
        if run.verdict in ("cancelled", "overdue"):
            self._executor.start()

    def _give_up(self, job: Job, error: Exception) -> None:
        """Fail a job that we ourselves could not carry out; on a full disk that takes until there is room, or the
        next start.
        """
        hint = "See the server's log; run the job again."
        info = ErrorInfo(
            kind=type(error).__name__, message=f"the queue could not carry out this job: {error}.", hint=hint
        )
        while True:
            try:
                return self._recorder.record(job, JobFailedEvent(job_id=job.id, error=info))
            except sqlite3.Error as still:
                log.error("cannot record that job %s failed: %s", job.id, still)
                if self._stopping.wait(self._limits.idle_s):
                    return None
