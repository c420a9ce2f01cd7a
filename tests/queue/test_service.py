"""Jobs through service, dispatcher and a real worker process: the ordinary course, cancel, faults, limits of time."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.queue.support import LIMITS, alive, ended, made, service, until
from webui.core.errors import Conflict, NotFound, ParameterError, SetupError
from webui.core.guests import UNBOUNDED, Quota
from webui.core.jobs import ArtifactRecord, Job, JobArtifact, JobPreview, JobProgress, JobState
from webui.queue.service import JobService

Serve = Callable[..., JobService]
PATIENT = replace(LIMITS, cancel_grace_s=15.0)
"""For tests in which the worker honours a cancel, however busy the machine is."""


def progress_of(jobs: JobService, job: Job, at_least: float = 0.0) -> bool:
    return jobs.get(job.id).progress.fraction > at_least


def test_a_job_from_click_to_files(serve: Serve, tmp_path: Path) -> None:
    seen: list[tuple[str, bool]] = []
    jobs: JobService

    def index(job: Job, artifact: ArtifactRecord) -> None:
        seen.append((artifact.id, artifact in jobs.get(job.id).artifacts))

    jobs = serve(observers=[index])
    with jobs.subscribe() as everything:
        job = jobs.submit("draw", {"images": 2, "warn": "dim", "prompt": "snow"}, owner="anna")
        assert (job.pipeline, job.owner, job.state) == ("fake.draw", "anna", JobState.QUEUED)
        done = ended(jobs, job)
        items: list[Any] = [item for item in iter(lambda: everything.receive(0.2), None) if not isinstance(item, Job)]
    types = [item.type for item in items if item.type not in ("progress", "preview")]
    assert types == ["queued", "started", "artifact", "artifact", "warning", "done"]
    assert not any(isinstance(item, JobPreview) for item in items), "a finished picture needs none"
    assert done.state is JobState.DONE
    assert done.attempts == 1
    assert done.warnings == ("dim",)
    assert done.params == {"images": 2, "warn": "dim", "prompt": "snow"}
    assert done.progress.fraction == 1.0
    assert [one.id for one in done.artifacts] == [f"{job.id}-0", f"{job.id}-1"]
    assert seen == [(f"{job.id}-0", True), (f"{job.id}-1", True)], "observers come after the row"
    assert made(tmp_path) == [f"{job.id}-0.txt", f"{job.id}-1.txt"]
    assert jobs.counts()[JobState.DONE] == 1
    (worker,) = jobs.workers()
    assert (worker["name"], worker["state"], worker["job_id"]) == ("worker0", "ready", None)
    assert worker["device"].kind == "cpu"
    assert alive(worker["pid"])


def test_who_watches_all_sees_what_runs_behind_a_long_queue(serve: Serve) -> None:
    jobs = serve()
    running = jobs.submit("fake.draw", {"hang": True})
    until(lambda: jobs.get(running.id).state is JobState.RUNNING)
    queued = [jobs.submit("fake.draw", {}) for _ in range(3)]
    with jobs.subscribe() as everything:
        first = [everything.receive(1) for _ in range(4)]
    assert [item.id for item in first if isinstance(item, Job)] == [running.id, *[job.id for job in reversed(queued)]]


def test_viewers_hear_after_the_observers_and_an_observer_that_raises_stops_nothing(serve: Serve) -> None:
    order: list[str] = []

    def broken(job: Job, artifact: ArtifactRecord) -> None:
        order.append("observed")
        raise RuntimeError("the index is locked")

    jobs = serve(observers=[broken])
    job = jobs.submit("fake.draw", {"step_s": 0.05})
    with jobs.subscribe(job.id) as viewer:
        order += ["told" for item in viewer if isinstance(item, JobArtifact)]
    assert order == ["observed", "told"]
    assert jobs.get(job.id).state is JobState.DONE


def test_a_failing_pipeline_fails_its_job_only(serve: Serve) -> None:
    jobs = serve()
    bad, good = jobs.submit("fake.draw", {"fail": "no such sampler"}), jobs.submit("fake.draw", {})
    failed = ended(jobs, bad)
    assert failed.state is JobState.FAILED
    assert failed.error is not None
    assert (failed.error.message, failed.attempts) == ("no such sampler", 1)
    assert ended(jobs, good).state is JobState.DONE


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("fake.drwa", "Did you mean fake.draw"),
        ("drow", "Did you mean fake.draw"),
        ("zzz", "There are: fake.draw, fake.quick"),
        ("quick", "one of fake.quick, other.quick"),
    ],
)
def test_a_pipeline_that_is_not_there(serve: Serve, name: str, words: str) -> None:
    with pytest.raises(NotFound) as caught:
        serve().submit(name, {})
    assert words in caught.value.hint


def test_bad_requests_leave_nothing(serve: Serve) -> None:
    jobs = serve()
    with pytest.raises(ParameterError, match="prompt"):
        jobs.submit("fake.draw", {"prompt": 7})
    with pytest.raises(ParameterError, match="expected one of queued, running"):
        jobs.list(state="lost")
    for call in (jobs.get, jobs.cancel, jobs.retry, jobs.subscribe):
        with pytest.raises(NotFound):
            call("nobody")
    assert jobs.list() == []


def test_cancel_of_a_waiting_job_is_at_once_and_moves_the_others_up(serve: Serve) -> None:
    jobs = serve()
    first, second, third = (jobs.submit("fake.draw", {"step_s": 0.2, "steps": 50}) for _ in range(3))
    until(lambda: jobs.get(first.id).state is JobState.RUNNING)
    with jobs.subscribe(third.id) as viewer, jobs.subscribe(second.id) as other:
        assert [item.position for item in [viewer.receive(1)] if isinstance(item, Job)] == [1]
        assert jobs.cancel(second.id).state is JobState.CANCELLED
        moved = viewer.receive(1)
        assert isinstance(moved, Job)
        assert moved.position == 0
        list(other)
        assert other.closed
    assert jobs.cancel(second.id).state is JobState.CANCELLED
    with pytest.raises(Conflict, match="running"):
        jobs.retry(first.id)
    assert [job.id for job in jobs.list(state="queued")] == [third.id]


def test_cancel_of_a_running_job_takes_a_step_and_keeps_the_worker(serve: Serve) -> None:
    jobs = serve(limits=PATIENT)
    job = jobs.submit("fake.draw", {"steps": 1000, "step_s": 0.02})
    until(lambda: progress_of(jobs, job))
    pid = jobs.workers()[0]["pid"]
    started = time.monotonic()
    assert jobs.cancel(job.id).state is JobState.RUNNING
    assert ended(jobs, job).state is JobState.CANCELLED
    assert time.monotonic() - started < 3, "the job alone would take 20 s"
    assert ended(jobs, jobs.submit("fake.draw", {})).state is JobState.DONE
    assert jobs.workers()[0]["pid"] == pid


def test_a_cancelled_job_can_be_taken_up_again(serve: Serve, tmp_path: Path) -> None:
    jobs = serve(limits=PATIENT)
    job = jobs.submit("fake.draw", {"images": 4, "steps": 3, "step_s": 0.05})
    until(lambda: jobs.get(job.id).artifacts)
    jobs.cancel(job.id)
    cancelled = ended(jobs, job)
    assert 0 < len(cancelled.artifacts) < 4
    assert jobs.retry(job.id).state in (JobState.QUEUED, JobState.RUNNING)
    done = ended(jobs, job)
    assert (done.state, len(done.artifacts), done.attempts) == (JobState.DONE, 4, 1)
    assert sorted(made(tmp_path)) == sorted({f"{job.id}-{index}.txt" for index in range(4)})


@pytest.mark.parametrize("how", [{"stubborn": True, "steps": 10_000, "step_s": 0.01}, {"hang": True}])
def test_a_cancel_that_is_not_honoured_costs_the_worker(serve: Serve, how: dict[str, Any]) -> None:
    jobs = serve()
    job = jobs.submit("fake.draw", {"images": 2, "at": 1, **how})
    until(lambda: progress_of(jobs, job))
    pid = jobs.workers()[0]["pid"]
    next_job = jobs.submit("fake.draw", {})
    started = time.monotonic()
    jobs.cancel(job.id)
    cancelled = ended(jobs, job)
    took_s = time.monotonic() - started
    assert (cancelled.state, cancelled.attempts) == (JobState.CANCELLED, 1)
    assert LIMITS.cancel_grace_s <= took_s < LIMITS.cancel_grace_s + 5
    assert not alive(pid)
    assert ended(jobs, next_job).state is JobState.DONE


def test_one_that_eats_too_much_costs_the_worker_and_fails(serve: Serve) -> None:
    jobs = serve(limits=replace(LIMITS, memory_bytes=100 * 2**20))
    failed = ended(jobs, jobs.submit("fake.draw", {"images": 2, "at": 1, "eat_bytes": 150 * 2**20}))
    assert failed.state is JobState.FAILED
    assert failed.error is not None
    assert (failed.error.kind, failed.attempts, len(failed.artifacts)) == ("MemoryError", 1, 1)
    assert ended(jobs, jobs.submit("fake.draw", {})).state is JobState.DONE


def test_a_job_cancelled_while_its_worker_starts(serve: Serve) -> None:
    jobs = serve()
    job = jobs.submit("fake.draw", {"steps": 1000, "step_s": 0.02})
    until(lambda: jobs.get(job.id).state is JobState.RUNNING)
    jobs.cancel(job.id)
    assert ended(jobs, job).state is JobState.CANCELLED


def test_a_killed_worker_costs_one_attempt_and_no_picture(serve: Serve, tmp_path: Path) -> None:
    jobs = serve()
    job = jobs.submit("fake.draw", {"images": 4, "steps": 3, "step_s": 0.02})
    other = jobs.submit("fake.draw", {})
    until(lambda: len(jobs.get(job.id).artifacts) >= 2)
    with jobs.subscribe(job.id) as viewer:
        os.kill(jobs.workers()[0]["pid"], signal.SIGKILL)
        types = [item.type for item in viewer if not isinstance(item, Job)]
    assert types.count("queued") == 1
    assert types.index("queued") < types.index("started")
    done = jobs.get(job.id)
    assert (done.state, done.attempts, len(done.artifacts)) == (JobState.DONE, 2, 4)
    assert "SIGKILL" in done.warnings[0]
    assert sorted(set(made(tmp_path))) == sorted(path.name for path in (tmp_path / "images").glob(f"{job.id}*.txt"))
    assert len([name for name in made(tmp_path) if name.startswith(job.id)]) == 4, "none was made twice"
    finished = ended(jobs, other)
    assert finished.started_at is not None
    assert done.finished_at is not None
    assert finished.started_at >= done.finished_at, "the interrupted job goes first"


def test_a_job_that_kills_its_worker_twice_after_its_last_picture_fails_with_the_reason(serve: Serve) -> None:
    jobs = serve()
    job, other = jobs.submit("fake.draw", {"images": 2, "at": 1, "die": "always"}), jobs.submit("fake.draw", {})
    failed = ended(jobs, job)
    assert (failed.state, failed.attempts, len(failed.artifacts)) == (JobState.FAILED, 3, 1)
    assert failed.error is not None
    assert failed.error.kind == "WorkerDied"
    assert "SIGKILL" in failed.error.message
    assert "attempt 3" in failed.error.message
    assert "memory" in failed.error.hint
    assert failed.error.traceback == "about to fall over"
    assert ended(jobs, other).state is JobState.DONE


def test_a_file_without_an_event_is_found_and_indexed(serve: Serve, tmp_path: Path) -> None:
    seen: list[int] = []
    jobs = serve(observers=[lambda job, artifact: seen.append(artifact.index)])
    job = jobs.submit("fake.draw", {"images": 3, "at": 1, "die": "silently"})
    done = ended(jobs, job)
    assert (done.state, done.attempts, [one.index for one in done.artifacts]) == (JobState.DONE, 2, [0, 1, 2])
    assert set(seen) == {0, 1, 2}
    assert made(tmp_path) == [f"{job.id}-{index}.txt" for index in range(3)]


def test_a_pipeline_that_cannot_go_on_begins_anew(serve: Serve, tmp_path: Path) -> None:
    jobs = serve()
    job = jobs.submit("fake.whole", {"images": 2, "at": 1, "die": "once"})
    assert ended(jobs, job).state is JobState.DONE
    assert made(tmp_path) == [f"{job.id}-{index}.txt" for index in (0, 0, 1)]


def test_a_worker_killed_between_jobs_costs_no_attempt(serve: Serve) -> None:
    jobs = serve()
    ended(jobs, jobs.submit("fake.draw", {}))
    pid = jobs.workers()[0]["pid"]
    os.kill(pid, signal.SIGKILL)
    until(lambda: jobs.workers()[0]["state"] == "stopped")
    done = ended(jobs, jobs.submit("fake.draw", {}))
    assert (done.state, done.attempts) == (JobState.DONE, 1)


def test_a_pipeline_s_time_limit(serve: Serve) -> None:
    jobs = serve()
    job, other = jobs.submit("fake.quick", {"hang": True}), jobs.submit("fake.quick", {})
    failed = ended(jobs, job)
    assert (failed.state, failed.attempts) == (JobState.FAILED, 1)
    assert failed.error is not None
    assert failed.error.kind == "TimeoutError"
    assert "1 s" in failed.error.message
    assert ended(jobs, other).state is JobState.DONE


def test_a_job_ends_with_its_owners_time(serve: Serve) -> None:
    jobs = serve(allowance_s=lambda job: 0.3 if job.owner == "kim" else None)
    long = {"steps": 6, "step_s": 0.2}
    failed = ended(jobs, jobs.submit("fake.draw", long, "kim"))
    assert failed.error is not None
    assert (failed.state, failed.error.kind) == (JobState.FAILED, "TimeoutError")
    assert "minutes of this guest's day" in failed.error.message
    assert ended(jobs, jobs.submit("fake.draw", long)).state is JobState.DONE
    assert jobs.seconds_used("kim", 0.0) > 0.2


def test_a_worker_hears_what_runs_within_a_guests_job_may_ask_for(serve: Serve) -> None:
    jobs = serve(quota_of=lambda job: Quota(pixels=7) if job.owner == "kim" else UNBOUNDED)
    told = [ended(jobs, jobs.submit("fake.draw", {"warn": "{pixels} pixels"}, owner)) for owner in ("kim", "local")]
    assert [job.warnings for job in told] == [("7 pixels",), ("0 pixels",)]


def test_a_job_that_says_nothing_for_too_long(serve: Serve) -> None:
    jobs = serve(limits=replace(LIMITS, silence_s=0.8))
    patient = jobs.submit("fake.draw", {"steps": 6, "step_s": 0.2})
    assert ended(jobs, patient).state is JobState.DONE
    failed = ended(jobs, jobs.submit("fake.draw", {"hang": True}))
    assert failed.error is not None
    assert "reported nothing" in failed.error.message


def test_a_worker_that_never_begins(serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    silent = ["/bin/sh", "-c", "sleep 60"]
    monkeypatch.setattr("tests.queue.support.WORKER", silent)
    jobs = serve(limits=replace(LIMITS, start_s=0.3))
    failed = ended(jobs, jobs.submit("fake.draw", {}))
    assert failed.error is not None
    assert "did not begin within" in failed.error.message


def test_a_worker_that_cannot_start_fails_jobs_and_says_why(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.queue.support.WORKER", ["/bin/sh", "-c", "echo no module named torch >&2; exit 1"])
    jobs = serve()
    failed = ended(jobs, jobs.submit("fake.draw", {}))
    assert failed.state is JobState.FAILED
    assert failed.error is not None
    assert "exit status 1" in failed.error.message
    assert failed.error.traceback == "no module named torch"


def test_a_pipeline_that_is_gone_after_a_restart(tmp_path: Path) -> None:
    before = service(tmp_path)
    job = before.submit("fake.draw", {})
    before.stop()
    after = service(tmp_path, pipelines={})
    after.start()
    failed = ended(after, job)
    after.stop()
    assert failed.error is not None
    assert "no pipeline 'fake.draw' any more" in failed.error.message


def test_a_search_of_the_disk_that_fails_makes_the_pictures_again(serve: Serve) -> None:
    def broken(job: Job) -> list[ArtifactRecord]:
        raise OSError("the disk is gone")

    jobs = serve(find_done=broken)
    done = ended(jobs, jobs.submit("fake.draw", {"images": 2, "at": 1, "die": "once"}))
    assert (done.state, len(done.artifacts)) == (JobState.DONE, 2)


def test_a_job_that_the_queue_itself_cannot_carry_fails(serve: Serve) -> None:
    jobs = serve()
    failed = ended(jobs, jobs.submit("fake.draw", {"note": "\ud800 is no character"}))
    assert failed.error is not None
    assert "could not carry out" in failed.error.message
    assert ended(jobs, jobs.submit("fake.draw", {})).state is JobState.DONE


def test_two_workers_share_the_queue(serve: Serve, tmp_path: Path) -> None:
    jobs = serve(workers=2)
    todo = [jobs.submit("fake.draw", {"steps": 4, "step_s": 0.02}, owner=f"owner{n % 3}") for n in range(8)]
    until(lambda: jobs.counts()[JobState.RUNNING] == 2)
    assert all(ended(jobs, job).state is JobState.DONE for job in todo)
    assert sorted(made(tmp_path)) == sorted(f"{job.id}-0.txt" for job in todo)
    assert len({worker["pid"] for worker in jobs.workers()}) == 2


def test_stop_puts_a_running_job_back_and_the_next_start_ends_it(tmp_path: Path) -> None:
    first = service(tmp_path)
    first.start()
    job = first.submit("fake.draw", {"images": 3, "steps": 3, "step_s": 0.05})
    until(lambda: first.get(job.id).artifacts)
    pid = first.workers()[0]["pid"]
    viewer = first.subscribe(job.id)
    first.stop()
    assert viewer.closed
    assert not alive(pid)
    second = service(tmp_path)
    waiting = second.get(job.id)
    assert (waiting.state, waiting.attempts) == (JobState.QUEUED, 0)
    second.start()
    done = ended(second, job)
    second.stop()
    assert (done.state, done.attempts, len(done.artifacts)) == (JobState.DONE, 1, 3)
    assert len(made(tmp_path)) == 3


def test_the_worker_is_warm_before_the_first_job(tmp_path: Path) -> None:
    jobs = service(tmp_path)
    jobs.start()
    time.sleep(0.15)
    assert jobs.workers()[0]["state"] == "stopped", "nothing asked for a worker yet"
    jobs.warm()
    until(lambda: jobs.workers()[0]["state"] == "ready")
    pid = jobs.workers()[0]["pid"]
    jobs.warm()
    ended(jobs, jobs.submit("fake.draw", {}))
    assert jobs.workers()[0]["pid"] == pid
    jobs.stop()


def test_the_worker_is_warm_after_a_delay(tmp_path: Path) -> None:
    jobs = service(tmp_path)
    jobs.start(warm_after_s=0.1)
    until(lambda: jobs.workers()[0]["state"] == "ready")
    jobs.stop()


def test_only_one_server_a_folder(serve: Serve, tmp_path: Path) -> None:
    jobs = serve()
    other = service(tmp_path)
    with pytest.raises(SetupError, match="another server"):
        other.start()
    other.stop()
    assert ended(jobs, jobs.submit("fake.draw", {})).state is JobState.DONE


def test_a_late_viewer_of_a_running_job_sees_it_at_once(serve: Serve) -> None:
    jobs = serve()
    job = jobs.submit("fake.draw", {"images": 2, "steps": 200, "step_s": 0.02, "at": 9})
    until(lambda: progress_of(jobs, job))
    until(lambda: jobs.hub._previews.get(job.id))
    with jobs.subscribe(job.id) as viewer:
        snapshot, preview = viewer.receive(1), viewer.receive(1)
    assert isinstance(snapshot, Job)
    assert snapshot.progress.step > 0
    assert isinstance(preview, JobPreview)


def test_a_viewer_that_does_not_read_slows_nothing(serve: Serve) -> None:
    jobs = serve()
    job = jobs.submit("fake.draw", {"steps": 3000})
    asleep = jobs.subscribe(job.id)
    started = time.monotonic()
    ended(jobs, job)
    assert time.monotonic() - started < 5
    items = list(asleep)
    assert len(items) < 10
    assert sum(isinstance(item, JobProgress) for item in items) <= 1


def test_many_threads_at_once(serve: Serve) -> None:
    jobs = serve()
    submitted: list[Job] = []

    def client(number: int) -> None:
        for _ in range(4):
            submitted.append(jobs.submit("fake.draw", {"steps": 1}, owner=f"owner{number}"))

    threads = [threading.Thread(target=client, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({job.id for job in submitted}) == 16
    assert all(ended(jobs, job).state is JobState.DONE for job in submitted)
