"""SubprocessExecutor with a real process: events in, death told, nothing left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.queue.support import WORKER, alive, settings_of, until
from webui.core.errors import WorkerDied
from webui.core.jobs import Job, JobDone, JobEvent, RunCommand
from webui.core.settings import ROOT
from webui.queue.executors import SubprocessExecutor


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., SubprocessExecutor]]:
    made: list[SubprocessExecutor] = []

    def one(**more: Any) -> SubprocessExecutor:
        more.setdefault("command", WORKER)
        made.append(SubprocessExecutor(settings_of(tmp_path), **more))
        return made[-1]

    yield one
    for executor in made:
        executor.kill()


def run_of(**params: Any) -> RunCommand:
    return RunCommand(job=Job(pipeline="fake.draw", params=params, attempts=1))


def events(executor: SubprocessExecutor, timeout_s: float = 5.0) -> list[JobEvent]:
    """Until the job is done. Raises WorkerDied."""
    found: list[JobEvent] = []
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        event = executor.receive(0.2)
        if event is not None:
            found.append(event)
        if isinstance(event, JobDone):
            return found
    raise AssertionError(f"no end, only {found}")


def death(executor: SubprocessExecutor) -> WorkerDied:
    with pytest.raises(WorkerDied) as caught:
        events(executor)
    return caught.value


def pid_of(executor: SubprocessExecutor) -> int:
    executor.receive(0)
    pid = executor.status().pid
    assert pid is not None
    return pid


def test_a_job_runs_and_the_device_is_known(make: Callable[..., SubprocessExecutor]) -> None:
    executor = make()
    assert (executor.status().state, executor.status().pid) == ("stopped", None)
    assert executor.receive(0) is None
    executor.start()
    assert executor.status().state == "starting"
    executor.send(run_of(images=2))
    told = events(executor)
    assert [event.type for event in told if event.type in ("started", "artifact", "done")] == [
        "started",
        "artifact",
        "artifact",
        "done",
    ]
    until(lambda: executor.receive(0.05) is None and (device := executor.status().device) and device.models_bytes == 1)
    assert executor.status().state == "ready"
    assert alive(pid_of(executor))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_the_worker_is_the_first_to_go_when_memory_runs_out(make: Callable[..., SubprocessExecutor]) -> None:
    executor = make()
    executor.start()
    until(lambda: executor.receive(0.05) is None and executor.status().state == "ready")
    assert int(Path(f"/proc/{pid_of(executor)}/oom_score_adj").read_text()) == 500


def test_stop_ends_it_in_order(make: Callable[..., SubprocessExecutor]) -> None:
    executor = make()
    executor.send(run_of())
    events(executor)
    pid = pid_of(executor)
    executor.stop(5.0)
    assert not alive(pid)
    assert "exit status 0" in death(executor).message
    executor.stop(5.0)
    executor.send(run_of())
    assert events(executor)
    assert pid_of(executor) != pid


def test_garbage_is_skipped(make: Callable[..., SubprocessExecutor], caplog: pytest.LogCaptureFixture) -> None:
    executor = make()
    executor.send(run_of(garbage=True, steps=1))
    assert events(executor)[-1].type == "done"
    assert sum("no event, skipped" in message for message in caplog.messages) == 4
    assert all(len(message) < 400 for message in caplog.messages)


def test_death_tells_how_and_the_last_words(make: Callable[..., SubprocessExecutor]) -> None:
    executor = make()
    executor.send(run_of(die="always"))
    error = death(executor)
    assert "SIGKILL" in error.message
    assert "memory" in error.hint
    assert error.__notes__ == ["about to fall over"]
    executor.send(run_of(exit=3))
    error = death(executor)
    assert "exit status 3" in error.message
    assert error.__notes__ == ["no more memory"]


def test_what_was_said_before_death_is_received(make: Callable[..., SubprocessExecutor]) -> None:
    executor = make()
    executor.send(run_of(images=3, at=2, die="always"))
    found = [executor.receive(5) for _ in range(11)]
    assert [event.type for event in found if event is not None].count("artifact") == 2
    with pytest.raises(WorkerDied):
        executor.receive(5)


def test_a_hung_worker_is_killed(make: Callable[..., SubprocessExecutor], tmp_path: Path) -> None:
    executor = make()
    executor.send(run_of(hang=True))
    until(lambda: executor.receive(0.1))
    pid = pid_of(executor)
    os.kill(pid, signal.SIGSTOP)
    started = time.monotonic()
    executor.kill()
    assert time.monotonic() - started < 3
    assert not alive(pid)
    death(executor)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_children_do_not_outlive_a_dead_worker(make: Callable[..., SubprocessExecutor], tmp_path: Path) -> None:
    executor = make()
    executor.send(run_of(child=True))
    started = time.monotonic()
    death(executor)
    assert time.monotonic() - started < 3, "a child that holds the pipe must not hide the death"
    child = int((tmp_path / "images" / "child.pid").read_text())
    until(lambda: not alive(child))


def test_a_command_that_does_not_exist(make: Callable[..., SubprocessExecutor]) -> None:
    executor = make(command=["/nowhere/python", "-c", "pass"])
    executor.start()
    error = death(executor)
    assert "worker" in error.message
    assert executor.status().state == "stopped"


def test_sending_never_blocks(make: Callable[..., SubprocessExecutor]) -> None:
    executor = make(command=[sys.executable, "-c", "import time; time.sleep(60)"])
    started = time.monotonic()
    for _ in range(20):
        executor.send(run_of(prompt="x" * 100_000))
    assert time.monotonic() - started < 1
    executor.kill()
    death(executor)


def test_the_log_is_turned_over(make: Callable[..., SubprocessExecutor], tmp_path: Path) -> None:
    log = tmp_path / "logs" / "worker.log"
    log.parent.mkdir(parents=True)
    log.write_bytes(b"old\n" * 2_000_000)
    executor = make()
    executor.send(run_of(exit=3))
    assert death(executor).__notes__ == ["no more memory"]
    assert log.stat().st_size < 1000
    assert (tmp_path / "logs" / "worker.1.log").stat().st_size == 8_000_000


def test_the_worker_outlives_the_thread_that_asked_for_it(make: Callable[..., SubprocessExecutor]) -> None:
    executor = make()
    asking = threading.Thread(target=executor.start)
    asking.start()
    asking.join()
    until(lambda: executor.receive(0.05) is None and executor.status().state == "ready")
    pid = pid_of(executor)
    time.sleep(0.1)
    executor.send(run_of())
    assert events(executor)
    assert pid_of(executor) == pid


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the kernel's death signal is Linux's")
def test_a_worker_that_reads_nothing_dies_with_the_server(tmp_path: Path) -> None:
    code = """
import sys, time
from tests.queue.support import settings_of
from webui.queue.executors import SubprocessExecutor
idle = [sys.executable, "-S", "-c", "import time; time.sleep(60)"]
executor = SubprocessExecutor(settings_of(sys.argv[1]), command=idle)
executor.start()
while executor.status().pid is None:
    time.sleep(0.01)
sys.stdout.write(f"{executor.status().pid}\\n")
sys.stdout.flush()
time.sleep(60)
"""
    command = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        pid = int(server.stdout.readline())
        time.sleep(0.3)  # past the moment between the process's birth and its request to the kernel
        assert alive(pid)
        server.kill()
    until(lambda: not alive(pid))
