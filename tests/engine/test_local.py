"""Jobs in this process: the command line's helper, and the executor that is a thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from webui.core.errors import SetupError, WorkerDied
from webui.core.jobs import CancelCommand, Job, RunCommand, ShutdownCommand
from webui.engine.local import InProcessExecutor, run_local
from webui.queue.executors import Executor

ENDS = ("done", "failed", "cancelled")


@pytest.fixture
def executor(lab: Any) -> Executor:
    return InProcessExecutor(lab.settings, make_runner=lambda settings: lab.runner)


def job(script: str) -> Job:
    return Job(pipeline="toy.make", params={"script": script, "seed": 5})


def until(executor: Executor, found: Callable[[Any], bool]) -> list[Any]:
    events: list[Any] = []
    deadline = time.monotonic() + 20
    while not events or not found(events[-1]):
        assert time.monotonic() < deadline, events
        event = executor.receive(0.1)
        if event is not None:
            events.append(event)
    return events


def test_run_local_runs_to_the_end(lab: Any) -> None:
    events: list[Any] = []
    run_local(lab.runner, job("all"), events.append, done_indices=(0,))
    assert [event.artifact.index for event in events if event.type == "artifact"] == [1]
    assert events[-1].type == "done"
    cancelled = threading.Event()
    cancelled.set()
    run_local(lab.runner, job("all"), events.append, cancelled)
    assert events[-1].type == "cancelled"


def test_jobs_run_in_their_order(executor: Executor) -> None:
    assert executor.status().state == "stopped"
    assert executor.receive(0.0) is None
    jobs = [job("image"), job("raise")]
    for one in jobs:
        executor.send(RunCommand(job=one))
    first, second = (until(executor, lambda event: event.type in ENDS)[-1] for _ in jobs)
    assert [(event.job_id, event.type) for event in (first, second)] == [(jobs[0].id, "done"), (jobs[1].id, "failed")]
    status = executor.status()
    assert (status.state, status.pid) == ("ready", None)
    assert status.device is not None
    executor.stop(10)
    with pytest.raises(WorkerDied):
        until(executor, lambda event: False)
    assert executor.status().state == "stopped"


def test_cancel(executor: Executor) -> None:
    one = job("wait")
    executor.send(RunCommand(job=one))
    until(executor, lambda event: event.type == "progress")
    executor.send(CancelCommand(job_id=one.id))
    assert until(executor, lambda event: event.type in ENDS)[-1].type == "cancelled"
    executor.stop(10)


def test_after_kill_a_new_worker_takes_over(executor: Executor) -> None:
    executor.send(RunCommand(job=job("wait")))
    until(executor, lambda event: event.type == "progress")
    executor.kill()
    with pytest.raises(WorkerDied, match="was ended"):
        until(executor, lambda event: False)
    again = job("image")
    executor.send(RunCommand(job=again))
    events = until(executor, lambda event: event.type in ENDS)
    assert {event.job_id for event in events} == {again.id}
    executor.send(ShutdownCommand())
    with pytest.raises(WorkerDied, match="ended"):
        until(executor, lambda event: False)


def test_an_interrupt_in_a_job_ends_the_worker(executor: Executor) -> None:
    executor.send(RunCommand(job=job("interrupt")))
    with pytest.raises(WorkerDied, match="KeyboardInterrupt"):
        until(executor, lambda event: False)


def test_a_worker_that_cannot_start_says_why(lab: Any) -> None:
    def fail(settings: Any) -> Any:
        raise SetupError("device 'cuda' is not on this machine.")

    executor = InProcessExecutor(lab.settings, make_runner=fail)
    executor.start()
    with pytest.raises(WorkerDied, match="device 'cuda' is not on this machine"):
        until(executor, lambda event: False)
