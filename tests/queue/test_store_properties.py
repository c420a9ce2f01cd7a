"""Any order of calls on the store, against a model of it: no job is lost or runs twice at once, states move only
legally, turns are fair.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from webui.core.errors import Conflict
from webui.core.jobs import ErrorInfo, Job, JobCancelled, JobDone, JobFailedEvent, JobState
from webui.queue.store import MAX_ATTEMPTS, MAX_STARTS, JobStore

Q, R, D, F, C = JobState.QUEUED, JobState.RUNNING, JobState.DONE, JobState.FAILED, JobState.CANCELLED
LEGAL = {Q: {Q, R, C}, R: {R, Q, D, F, C}, D: {D}, F: {F, Q}, C: {C, Q}}
DIED = ErrorInfo(kind="WorkerDied", message="it died")


class Model(RuleBasedStateMachine):
    """``lines``: per owner, waiting jobs in order. ``served``: owners, the one served longest ago first."""

    @initialize()
    def open(self) -> None:
        # In memory where there is such a place: a step is a few commits, and none of this is about the disk.
        self.folder = Path(tempfile.mkdtemp(dir="/dev/shm" if os.path.isdir("/dev/shm") else None))
        self.store = JobStore(self.folder / "queue.sqlite3")
        self.states: dict[str, JobState] = {}
        self.owners: dict[str, str] = {}
        self.lines: dict[str, list[str]] = {}
        self.interrupted: list[str] = []
        self.served: list[str] = []
        self.running: set[str] = set()
        self.unwanted: set[str] = set()
        self.ran: set[str] = set()
        self.attempts: dict[str, int] = {}
        self.places: dict[str, int] = {}

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.store.close()
            shutil.rmtree(self.folder)

    @rule(owner=st.sampled_from("abc"))
    def add(self, owner: str) -> None:
        job = self.store.add(Job(pipeline="fake.draw", owner=owner))
        self.owners[job.id] = owner
        self.enqueue(job.id)

    def enqueue(self, job_id: str) -> None:
        self.states[job_id], self.attempts[job_id] = Q, 0
        self.lines.setdefault(self.owners[job_id], []).append(job_id)
        self.places[job_id] = len(self.places) + max(self.places.values(), default=0)

    def expected_next(self) -> str | None:
        waiting = [owner for owner, line in self.lines.items() if line]
        never = [self.lines[owner][0] for owner in waiting if owner not in self.served]
        if never:
            return min(never, key=self.places.__getitem__)
        return next((self.lines[owner][0] for owner in self.served if owner in waiting), None)

    @rule()
    def claim(self) -> None:
        expected, positions = self.expected_next(), self.store.positions()
        claim = self.store.claim_next()
        if claim is None:
            assert not self.interrupted
            assert not any(self.lines.values())
            return
        job = claim.job
        assert job.id not in self.running, "a running job was given out again"
        assert positions[job.id] == 0
        if self.interrupted:
            assert job.id in self.interrupted
            self.interrupted.remove(job.id)
        else:
            assert job.id == expected
            owner = self.owners[job.id]
            assert self.lines[owner].pop(0) == job.id, "an owner's jobs are out of order"
            self.served = [other for other in self.served if other != owner] + [owner]
        assert claim.fresh == (job.id not in self.ran)
        self.ran.add(job.id)
        self.attempts[job.id] += 1
        assert job.attempts == self.attempts[job.id]
        self.running.add(job.id)
        self.states[job.id] = R

    def some(self, data: st.DataObject, among: set[str]) -> str:
        return data.draw(st.sampled_from(sorted(among)))

    @precondition(lambda self: self.running)
    @rule(data=st.data(), end=st.sampled_from([D, F, C]))
    def end(self, data: st.DataObject, end: JobState) -> None:
        job_id = self.some(data, self.running)
        events = {
            D: JobDone(job_id=job_id),
            F: JobFailedEvent(job_id=job_id, error=DIED),
            C: JobCancelled(job_id=job_id),
        }
        assert self.store.apply(events[end])
        self.running.remove(job_id)
        self.states[job_id] = end

    @precondition(lambda self: self.states)
    @rule(data=st.data())
    def late_end(self, data: st.DataObject) -> None:
        job_id = self.some(data, set(self.states))
        if self.states[job_id] is not R:
            assert not self.store.apply(JobDone(job_id=job_id))

    def expect_interrupted(self, job_id: str, counts: bool, limit: int = MAX_ATTEMPTS) -> None:
        self.running.remove(job_id)
        if job_id in self.unwanted:
            self.states[job_id] = C
        elif counts and self.attempts[job_id] >= limit:
            self.states[job_id] = F
        else:
            self.attempts[job_id] -= 0 if counts else 1
            self.states[job_id] = Q
            self.interrupted.append(job_id)

    @precondition(lambda self: self.running)
    @rule(data=st.data(), counts=st.booleans())
    def interrupt(self, data: st.DataObject, counts: bool) -> None:
        job_id = self.some(data, self.running)
        self.expect_interrupted(job_id, counts)
        assert self.store.interrupt(job_id, DIED, counts=counts).state is self.states[job_id]

    @rule()
    def server_dies_and_starts(self) -> None:
        self.store.close()
        self.store = JobStore(self.folder / "queue.sqlite3")
        for job_id in sorted(self.running):
            self.expect_interrupted(job_id, counts=True, limit=MAX_STARTS)
        self.store.recover()

    @precondition(lambda self: self.states)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        job_id = self.some(data, set(self.states))
        if self.states[job_id] is Q:
            self.states[job_id] = C
            for line in (*self.lines.values(), self.interrupted):
                if job_id in line:
                    line.remove(job_id)
        elif self.states[job_id] is R:
            self.unwanted.add(job_id)
        assert self.store.request_cancel(job_id).state is self.states[job_id]

    @precondition(lambda self: self.states)
    @rule(data=st.data())
    def retry(self, data: st.DataObject) -> None:
        job_id = self.some(data, set(self.states))
        try:
            self.store.retry(job_id)
        except Conflict:
            assert self.states[job_id] in (Q, R, D)
        else:
            assert self.states[job_id] in (F, C)
            self.unwanted.discard(job_id)
            self.enqueue(job_id)

    @invariant()
    def nothing_is_lost(self) -> None:
        if not hasattr(self, "store"):
            return
        found = {job.id: job for job in self.store.page(limit=1000)}
        assert {job_id: job.state for job_id, job in found.items()} == self.states
        assert sorted(self.store.positions().values()) == list(range(sum(state is Q for state in self.states.values())))
        assert self.store.counts() == {state: list(self.states.values()).count(state) for state in JobState}
        before = getattr(self, "before", {})
        for job_id, state in self.states.items():
            assert state in LEGAL[before.get(job_id, Q)], f"{before.get(job_id)} -> {state}"
        self.before = dict(self.states)


TestStore = Model.TestCase
TestStore.settings = settings(
    max_examples=25, stateful_step_count=30, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)
