"""The worker as a process: what it hears and says, whatever happens inside it."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pytest

from webui.core.jobs import (
    EVENT,
    BudgetCommand,
    CancelCommand,
    Job,
    PinCommand,
    RunCommand,
    ShutdownCommand,
    UnloadCommand,
)
from webui.core.settings import ROOT, Settings

ENDS = ("done", "failed", "cancelled")
PATIENCE_S = 120.0
"""Torch is imported at the start, on a machine that may be busy."""


class Process:
    """A worker and the lines it says."""

    def __init__(self, settings: Settings, log: IO[bytes]) -> None:
        self.lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self.popen = subprocess.Popen(
            [sys.executable, "-m", "webui.engine.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        threading.Thread(target=self._read, daemon=True).start()
        self.say(settings.model_dump_json())

    def _read(self) -> None:
        assert self.popen.stdout is not None
        for line in self.popen.stdout:
            self.lines.put(line)

    def say(self, line: str) -> None:
        assert self.popen.stdin is not None
        self.popen.stdin.write(line.encode() + b"\n")
        self.popen.stdin.flush()

    def hear(self) -> Any:
        return EVENT.validate_json(self.lines.get(timeout=PATIENCE_S))

    def run(self, script: str, **params: Any) -> Job:
        job = Job(pipeline="toy.make", params={"script": script, "seed": 5, **params})
        self.say(RunCommand(job=job).model_dump_json())
        return job

    def until(self, found: Callable[[Any], bool]) -> list[Any]:
        """Events of jobs up to the first that ``found`` likes."""
        events = []
        while True:
            event = self.hear()
            if event.type not in ("status", "memory"):
                events.append(event)
                if found(event):
                    return events

    def until_end(self, job: Job) -> list[Any]:
        events = self.until(lambda event: event.type in ENDS)
        assert {event.job_id for event in events} == {job.id}
        return events


@contextmanager
def started(lab: Any, settings: Settings | None = None) -> Iterator[Process]:
    with (lab.base / "worker.log").open("ab") as log:
        process = Process(settings or lab.settings, log)
    try:
        yield process
    finally:
        process.popen.kill()
        process.popen.wait(10)
        for pipe in (process.popen.stdin, process.popen.stdout):
            assert pipe is not None
            pipe.close()


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, lab_class: type) -> Any:
    return lab_class(tmp_path_factory.mktemp("worker"))


@pytest.fixture(scope="module")
def worker(lab: Any) -> Iterator[Process]:
    """One process for most tests: to survive them all is the point."""
    with started(lab) as process:
        ready = process.hear()
        assert (ready.type, ready.pid) == ("ready", process.popen.pid)
        assert (ready.device.kind, ready.device.dtype, ready.device.attention) == ("cpu", "float32", "native")
        yield process


def test_prints_do_not_corrupt_the_protocol(worker: Process, lab: Any) -> None:
    events = worker.until_end(worker.run("print image print image"))
    assert [event.type for event in events if event.type != "progress"] == ["started", "artifact", "artifact", "done"]
    log = (lab.base / "worker.log").read_text(encoding="utf-8")
    assert "a print a print" in log
    assert "native noise" in log


def test_cancel_takes_effect_within_a_step(worker: Process) -> None:
    job = worker.run("wait")
    worker.until(lambda event: event.type == "progress" and event.progress.step > 0)
    began = time.monotonic()
    worker.say(CancelCommand(job_id=job.id).model_dump_json())
    assert worker.until_end(job)[-1].type == "cancelled"
    assert time.monotonic() - began < 5


def test_a_cancel_that_comes_before_the_job_runs_counts(worker: Process) -> None:
    first, second = worker.run("wait"), worker.run("all")
    for job in (second, first):
        worker.say(CancelCommand(job_id=job.id).model_dump_json())
    assert worker.until_end(first)[-1].type == "cancelled"
    assert worker.until_end(second)[-1].type == "cancelled"


def test_faults_end_jobs_and_never_the_worker(worker: Process) -> None:
    for script, kind in (
        ("image exit", "SystemExit"),
        ("image raise", "ValueError"),
        ("return number", "ExtensionError"),
    ):
        events = worker.until_end(worker.run(script))
        assert (events[-1].type, events[-1].error.kind, events[-1].error.extension) == ("failed", kind, "toy")
        assert sum(event.type == "artifact" for event in events) == script.count("image")
    worker.say("this is no command")
    worker.say(CancelCommand(job_id="of-nobody").model_dump_json())
    assert worker.until_end(worker.run("all"))[-1].type == "done"


def test_done_indices_are_not_made_again(worker: Process) -> None:
    job = Job(pipeline="toy.make", params={"script": "all", "images": 3, "seed": 5})
    worker.say(RunCommand(job=job, done_indices=(0, 1)).model_dump_json())
    events = worker.until_end(job)
    assert [event.artifact.index for event in events if event.type == "artifact"] == [2]


def test_progress_that_was_held_back_is_told_soon(worker: Process) -> None:
    job = worker.run("step step:2 sleep:1.5 image")
    events = worker.until(lambda event: event.type == "artifact")
    assert any(event.type == "progress" and event.progress.step == 1 for event in events)
    worker.until_end(job)


def test_state_of_the_device_follows_when_it_changed(worker: Process) -> None:
    worker.run("lease")
    while (event := worker.hear()).type != "status" or not event.device.models_bytes:
        assert event.type != "failed"
    assert event.device.models_bytes == 6 * 4


def test_it_tells_of_its_memory_and_obeys(worker: Process) -> None:
    def told(found: Callable[[Any], bool]) -> Any:
        while (event := worker.hear()).type != "memory" or not found(event.memory):
            assert event.type != "failed"
        return event.memory

    worker.run("lease")
    entry = told(lambda memory: any(not one.holders and one.device_bytes for one in memory.entries)).entries[0]
    assert (entry.state, entry.device_bytes, entry.pinned) == ("device", 6 * 4, False)
    worker.say(PinCommand(entry_id=entry.id).model_dump_json())
    told(lambda memory: memory.entries[0].pinned)
    worker.say(BudgetCommand(budget_bytes=1).model_dump_json())
    assert told(lambda memory: memory.budget_bytes == 1).entries, "what is pinned stays"
    worker.say(UnloadCommand(entry_id=entry.id).model_dump_json())
    assert told(lambda memory: not memory.entries).device_models_bytes == 0
    worker.say(BudgetCommand(budget_bytes=0).model_dump_json())
    told(lambda memory: memory.budget_bytes is not None and memory.budget_bytes > 2**20)


def test_the_end_of_its_input_ends_it_at_once_and_leaves_whole_files(worker: Process, lab: Any) -> None:
    """The last test of the shared process."""
    job = worker.run("image wait")
    worker.until(lambda event: event.type == "artifact")
    assert worker.popen.stdin is not None
    began = time.monotonic()
    worker.popen.stdin.close()
    assert worker.popen.wait(10) == 0
    assert time.monotonic() - began < 5
    assert [record.index for record in lab.files.find_job(job)] == [0]


def test_a_shutdown_ends_it_even_while_it_starts(lab: Any) -> None:
    with started(lab) as process:
        process.say(ShutdownCommand().model_dump_json())
        assert process.popen.wait(PATIENCE_S) == 0


def test_settings_it_cannot_use_end_it_with_a_reason(lab: Any) -> None:
    wrong = lab.settings.model_copy(update={"port": -5})
    with started(lab, wrong) as process:
        assert process.popen.wait(PATIENCE_S) == 2
    assert "port" in (lab.base / "worker.log").read_text(encoding="utf-8")


PARENT = """
import os, signal, subprocess, sys, threading, time

def listens(pid):
    line = next(line for line in open(f"/proc/{pid}/status") if line.startswith("SigCgt"))
    return int(line.split()[1], 16) >> (signal.SIGUSR2 - 1) & 1

def start():
    child = subprocess.Popen([sys.executable, "-m", "webui.engine.worker"], stdout=sys.stderr)
    while not listens(child.pid):
        time.sleep(0.01)
    time.sleep(0.2)
    print(child.pid, flush=True)

thread = threading.Thread(target=start)
thread.start()
thread.join()
threading.Event().wait()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's death signal is Linux's")
def test_it_ends_with_its_parent_though_its_input_stays_open() -> None:
    """The parent starts a worker from a thread that ends, hands its own input on, and is killed."""
    read, write = os.pipe()
    parent = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", PARENT],
        stdin=read,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert parent.stdout is not None
    with parent.stdout as answers:
        pid = int(answers.readline())
    time.sleep(0.3)
    assert _lives(pid), "it ended with the thread that started it"
    parent.send_signal(signal.SIGKILL)
    parent.wait(10)
    deadline = time.monotonic() + 10
    while _lives(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.close(write)
    os.close(read)
    assert not _lives(pid)


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
