"""The store alone: what it remembers, in which order it hands out jobs, and what a restart finds."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.queue.support import record
from webui.core.errors import Conflict, NotFound, SetupError
from webui.core.jobs import (
    ErrorInfo,
    Job,
    JobArtifact,
    JobCancelled,
    JobDone,
    JobFailedEvent,
    JobPreview,
    JobProgress,
    JobState,
    JobWarning,
    Progress,
)
from webui.queue.store import MAX_ATTEMPTS, MAX_STARTS, JobStore

DIED = ErrorInfo(kind="WorkerDied", message="it died")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[JobStore]:
    opened = JobStore(tmp_path / "queue.sqlite3")
    yield opened
    opened.close()


def add(store: JobStore, owner: str = "local", **params: object) -> str:
    return store.add(Job(pipeline="fake.draw", params=dict(params), owner=owner)).id


def claimed(store: JobStore) -> str:
    claim = store.claim_next()
    assert claim is not None
    return claim.job.id


def test_a_job_is_the_same_after_reopening(tmp_path: Path) -> None:
    store = JobStore(tmp_path / "queue.sqlite3")
    params = {"prompt": "snow ☃ \ud800", "seed": 2**62, "image": None, "strength": 0.1, "nested": {"list": [1, "a"]}}
    job = Job(pipeline="fake.draw", params=params, owner="anna")
    added = store.add(job)
    assert added == job.model_copy(update={"position": 0})
    store.close()
    again = JobStore(tmp_path / "queue.sqlite3")
    assert again.get(job.id) == added
    again.close()


def test_events_are_folded_and_survive(tmp_path: Path) -> None:
    store = JobStore(tmp_path / "queue.sqlite3")
    job_id = add(store)
    claim = store.claim_next()
    assert claim is not None
    assert claim.fresh
    assert (claim.job.state, claim.job.attempts) == (JobState.RUNNING, 1)
    assert store.apply(JobProgress(job_id=job_id, progress=Progress(step=3, steps=20, fraction=0.15, eta_s=4.0)))
    assert store.apply(JobArtifact(job_id=job_id, artifact=record(job_id, 1)))
    assert store.apply(JobArtifact(job_id=job_id, artifact=record(job_id, 0)))
    assert store.apply(JobArtifact(job_id=job_id, artifact=record(job_id, 1, seed=8)))
    assert store.apply(JobWarning(job_id=job_id, message="dim"))
    assert not store.apply(JobWarning(job_id=job_id, message="dim"))
    assert not store.apply(JobPreview(job_id=job_id, data="AAAA"))
    assert store.apply(JobDone(job_id=job_id))
    told = store.get(job_id)
    store.close()
    again = JobStore(tmp_path / "queue.sqlite3")
    job = again.get(job_id)
    again.close()
    assert job == told
    assert job.state is JobState.DONE
    assert [(one.index, one.seed) for one in job.artifacts] == [(0, None), (1, 8)]
    assert job.warnings == ("dim",)
    assert (job.progress.step, job.progress.fraction, job.progress.eta_s) == (3, 1.0, None)
    assert job.started_at is not None
    assert job.finished_at is not None
    assert job.created_at <= job.started_at <= job.finished_at


def test_progress_is_not_written_at_each_step_but_always_told(tmp_path: Path) -> None:
    store = JobStore(tmp_path / "queue.sqlite3", progress_interval_s=60.0)
    other = JobStore(tmp_path / "queue.sqlite3")
    job_id = add(store)
    claimed(store)
    for step in range(1, 6):
        store.apply(JobProgress(job_id=job_id, progress=Progress(step=step)))
        assert store.get(job_id).progress.step == step
    assert other.get(job_id).progress.step == 1
    store.apply(JobFailedEvent(job_id=job_id, error=DIED))
    assert other.get(job_id).progress.step == 5
    store.close()
    other.close()


@pytest.mark.parametrize("event", [JobDone, JobCancelled])
def test_an_end_that_does_not_fit_changes_nothing(store: JobStore, event: type[JobDone | JobCancelled]) -> None:
    job_id = add(store)
    assert not store.apply(event(job_id=job_id))
    assert store.get(job_id).state is JobState.QUEUED
    claimed(store)
    store.apply(JobFailedEvent(job_id=job_id, error=DIED))
    assert not store.apply(event(job_id=job_id))
    assert not store.apply(JobProgress(job_id=job_id, progress=Progress(step=9)))
    job = store.get(job_id)
    assert (job.state, job.error, job.progress.step) == (JobState.FAILED, DIED, 0)


def test_owners_take_turns_and_each_is_served_in_order(store: JobStore) -> None:
    names = {add(store, owner): f"{owner}{number}" for owner in "aaaa" for number in [len(store.page(owner="a"))]}
    names |= {add(store, "b"): "b0", add(store, "b"): "b1", add(store, "c"): "c0"}
    promised = {names[job_id]: place for job_id, place in store.positions().items()}
    order = [names[claimed(store)] for _ in range(7)]
    assert order == ["a0", "b0", "c0", "a1", "b1", "a2", "a3"]
    assert promised == {name: place for place, name in enumerate(order)}
    assert store.claim_next() is None


def test_who_was_served_longest_ago_is_next(store: JobStore) -> None:
    add(store, "a")
    claimed(store)
    add(store, "b")
    claimed(store)
    first, second = add(store, "b"), add(store, "a")
    assert [claimed(store), claimed(store)] == [second, first]


def test_an_interrupted_job_goes_first_and_fails_the_second_time(store: JobStore) -> None:
    job_id, other = add(store, "a"), add(store, "b")
    assert claimed(store) == job_id
    job = store.interrupt(job_id, DIED)
    assert (job.state, job.attempts, job.position) == (JobState.QUEUED, 1, 0)
    assert store.get(other).position == 1
    claim = store.claim_next()
    assert claim is not None
    assert (claim.job.id, claim.fresh, claim.job.attempts) == (job_id, False, MAX_ATTEMPTS)
    job = store.interrupt(job_id, DIED)
    assert (job.state, job.error) == (JobState.FAILED, DIED)
    assert store.interrupt(job_id, DIED) == job
    assert claimed(store) == other


def test_an_orderly_stop_does_not_count_as_an_attempt(store: JobStore) -> None:
    job_id = add(store)
    for _ in range(MAX_ATTEMPTS + 2):
        assert claimed(store) == job_id
        assert store.interrupt(job_id, DIED, counts=False).attempts == 0
    assert store.get(job_id).state is JobState.QUEUED


def test_recover(tmp_path: Path) -> None:
    store = JobStore(tmp_path / "queue.sqlite3")
    once, twice, unwanted, waiting = (add(store, owner) for owner in "abcd")
    assert [claimed(store) for _ in range(3)] == [once, twice, unwanted]
    for _ in range(MAX_STARTS - 1):
        store.interrupt(twice, DIED, attempts=MAX_STARTS)
        assert claimed(store) == twice
    assert store.request_cancel(unwanted).state is JobState.RUNNING
    store.close()
    again = JobStore(tmp_path / "queue.sqlite3")
    states = {job.id: job.state for job in again.recover()}
    assert states == {once: JobState.QUEUED, twice: JobState.FAILED, unwanted: JobState.CANCELLED}
    failed = again.get(twice)
    assert failed.error is not None
    assert failed.error.kind == "WorkerDied"
    assert f"{MAX_STARTS} times" in failed.error.message
    assert failed.error.hint
    assert again.positions() == {once: 0, waiting: 1}
    assert again.recover() == []
    again.close()


def test_cancel(store: JobStore) -> None:
    waiting = add(store)
    assert store.request_cancel(waiting).state is JobState.CANCELLED
    assert store.claim_next() is None
    running = add(store)
    claimed(store)
    assert not store.cancel_requested(running)
    assert store.request_cancel(running).state is JobState.RUNNING
    assert store.cancel_requested(running)
    store.apply(JobDone(job_id=running))
    assert store.request_cancel(running).state is JobState.DONE
    with pytest.raises(NotFound, match="no job 'nobody'"):
        store.request_cancel("nobody")


def test_retry_goes_to_the_end_and_keeps_what_is_finished(store: JobStore) -> None:
    job_id = add(store)
    with pytest.raises(Conflict, match="is queued"):
        store.retry(job_id)
    claimed(store)
    store.apply(JobArtifact(job_id=job_id, artifact=record(job_id)))
    store.apply(JobFailedEvent(job_id=job_id, error=DIED))
    other = add(store)
    job = store.retry(job_id)
    assert (job.state, job.error, job.finished_at, job.attempts) == (JobState.QUEUED, None, None, 0)
    assert len(job.artifacts) == 1
    assert store.positions() == {other: 0, job_id: 1}
    claimed(store)
    claim = store.claim_next()
    assert claim is not None
    assert (claim.job.id, claim.fresh) == (job_id, False)


def test_pages_and_counts(store: JobStore) -> None:
    ids = [add(store, "ab"[number % 2]) for number in range(7)]
    claimed(store)
    assert [job.id for job in store.page(limit=3)] == ids[:-4:-1]
    assert [job.id for job in store.page(limit=3, before=ids[4])] == ids[3:0:-1]
    assert [job.id for job in store.page(owner="b")] == ids[5::-2]
    assert [job.id for job in store.page(JobState.RUNNING)] == ids[:1]
    assert [job.id for job in store.page((JobState.QUEUED, JobState.RUNNING))] == ids[::-1]
    assert store.page(()) == []
    counts = store.counts()
    assert counts == {**dict.fromkeys(JobState, 0), JobState.QUEUED: 6, JobState.RUNNING: 1}
    assert store.counts("a")[JobState.QUEUED] == 3
    with pytest.raises(NotFound):
        store.page(before="nobody")


def test_prune_forgets_the_oldest_ended_only(store: JobStore) -> None:
    ids = [add(store) for _ in range(5)]
    for job_id in ids[:4]:
        claimed(store)
        store.apply(JobArtifact(job_id=job_id, artifact=record(job_id)))
    for job_id in ids[:3]:
        store.apply(JobDone(job_id=job_id))
    assert store.prune(keep=1) == 2
    assert {job.id for job in store.page()} == set(ids[2:])
    with pytest.raises(NotFound, match="cleared away"):
        store.get(ids[0])


def test_an_id_is_used_once(store: JobStore) -> None:
    job = store.add(Job(pipeline="fake.draw"))
    with pytest.raises(Conflict, match="already"):
        store.add(job)
    assert claimed(store) == job.id


def test_one_job_is_never_given_twice(tmp_path: Path) -> None:
    stores = [JobStore(tmp_path / "queue.sqlite3") for _ in range(2)]
    ids = {add(stores[0], f"owner{number % 3}") for number in range(60)}
    taken: list[str] = []

    def take(store: JobStore) -> None:
        while (claim := store.claim_next()) is not None:
            taken.append(claim.job.id)

    threads = [threading.Thread(target=take, args=(store,)) for store in stores * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == 60
    assert set(taken) == ids
    for store in stores:
        store.close()


def test_only_one_process_runs_the_jobs(tmp_path: Path) -> None:
    first, second = (JobStore(tmp_path / "queue.sqlite3") for _ in range(2))
    first.own()
    first.own()
    with pytest.raises(SetupError, match="another server already runs"):
        second.own()
    add(second)
    first.close()
    second.own()
    second.close()


def test_a_file_that_is_no_queue_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "queue.sqlite3"
    path.write_bytes(b"this is not a database, but long enough to be looked at" * 40)
    with pytest.raises(SetupError, match="cannot use the job queue"):
        JobStore(path)
    assert path.read_bytes().startswith(b"this is not")


def test_the_file_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "queue.sqlite3"
    JobStore(path).close()
    database = sqlite3.connect(path)
    database.execute("PRAGMA user_version=99")
    database.close()
    with pytest.raises(SetupError, match="format 99, expected at most 1"):
        JobStore(path)


def test_a_failed_write_leaves_the_store_usable(store: JobStore) -> None:
    job_id = add(store)
    with pytest.raises(NotFound):
        store.apply(JobWarning(job_id="nobody", message="x"))
    assert claimed(store) == job_id
