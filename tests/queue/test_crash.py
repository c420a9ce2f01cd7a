"""kill -9 of the server: a real process is killed in mid-job, and the next one finishes everything."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.queue.support import alive, ended, made, service, until
from webui.core.jobs import JobState
from webui.core.settings import ROOT


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_a_killed_server_loses_nothing(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-m", "tests.queue.fake_server", str(tmp_path)], cwd=ROOT) as server:
        until(lambda: len(made(tmp_path)) >= 4, timeout_s=30)
        server.send_signal(signal.SIGKILL)
    worker = int((tmp_path / "worker.pid").read_text())
    until(lambda: not alive(worker))
    finished = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "images").glob("*.txt")}

    seen: list[str] = []
    jobs = service(tmp_path, observers=[lambda job, artifact: seen.append(artifact.id)])
    left = jobs.list()
    assert len(left) == 5
    states = [job.state for job in left]
    assert states.count(JobState.RUNNING) == 1
    assert states.count(JobState.QUEUED) >= 2
    (interrupted,) = jobs.list(state="running")
    jobs.start()
    done = [ended(jobs, job) for job in left]
    jobs.stop()
    assert all(job.state is JobState.DONE for job in done)
    assert all([one.index for one in job.artifacts] == [0, 1, 2] for job in done)
    assert {job.id: job.attempts for job in done} == {job.id: 2 if job.id == interrupted.id else 1 for job in left}
    assert {name: (tmp_path / "images" / name).stat().st_mtime_ns for name in finished} == finished, "kept as they were"
    assert len(set(made(tmp_path))) == 15
    assert len(made(tmp_path)) == 15, "no picture that was finished is made again"
    assert {f"{interrupted.id}-{index}" for index in range(3)} <= set(seen)
