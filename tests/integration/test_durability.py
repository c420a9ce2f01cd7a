"""Nothing is lost: the worker is killed, the server is killed, pipelines misbehave; real processes, real files."""

from __future__ import annotations

import hashlib
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.integration.server import Server, running


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with running(tmp_path_factory.mktemp("server")) as server:
        yield server


def digests(server: Server, job: dict[str, Any]) -> list[str]:
    found = []
    for record in sorted(job["artifacts"], key=lambda record: record["index"]):
        data = server.client.get(f"/api/v1/artifacts/{record['id']}").content
        assert hashlib.sha256(data).hexdigest() == record["sha256"]
        found.append(record["sha256"])
    return found


def test_the_worker_is_killed_in_mid_job(server: Server) -> None:
    job_id = server.submit(count=6, steps=5, pause_s=0.05, seed=10)
    server.wait_for_artifacts(job_id, 2)
    kept = {record["id"]: record["sha256"] for record in server.job(job_id)["artifacts"]}
    os.kill(server.worker_pid(), signal.SIGKILL)
    job = server.wait_for(job_id)
    assert job["state"] == "done"
    assert job["attempts"] == 2
    assert sorted(record["index"] for record in job["artifacts"]) == list(range(6))
    again = {record["id"]: record["sha256"] for record in job["artifacts"]}
    assert kept.items() <= again.items()
    undisturbed = server.wait_for(server.submit(count=6, steps=1, seed=10))
    assert [record["seed"] for record in sorted(undisturbed["artifacts"], key=lambda r: r["index"])] == list(
        range(10, 16)
    )
    assert len(digests(server, job)) == len(digests(server, undisturbed)) == 6


def test_a_job_that_always_kills_its_worker_fails_with_the_reason(server: Server) -> None:
    job = server.wait_for(server.submit(mood="kills"))
    assert job["state"] == "failed"
    assert job["attempts"] == 2
    assert job["error"]["kind"] == "WorkerDied"
    assert server.wait_for(server.submit(seed=1))["state"] == "done"


def test_a_pipeline_that_raises_midway_keeps_what_it_made(server: Server) -> None:
    job = server.wait_for(server.submit(count=3, mood="raises", seed=4))
    assert job["state"] == "failed"
    assert "the paint ran out" in job["error"]["message"]
    assert [record["index"] for record in job["artifacts"]] == [0]


def test_rubbish_is_an_error_that_names_the_extension(server: Server) -> None:
    job = server.wait_for(server.submit(mood="rubbish"))
    assert job["state"] == "failed"
    assert "paint" in job["error"]["message"] or job["error"]["extension"] == "paint"


def test_cancel_within_a_step_and_of_one_that_never_ends(server: Server) -> None:
    slow = server.submit(count=5, steps=100, pause_s=0.05)
    waiting = server.submit(seed=3)
    server.wait_for(slow, "running")
    assert server.client.delete(f"/api/v1/jobs/{slow}").status_code in (200, 202, 204)
    began = time.monotonic()
    assert server.wait_for(slow)["state"] == "cancelled"
    assert time.monotonic() - began < 10
    assert server.wait_for(waiting)["state"] == "done"
    endless = server.submit(mood="never_ends")
    queued = server.submit(seed=9)
    server.wait_for(endless, "running")
    assert server.client.delete(f"/api/v1/jobs/{queued}").status_code in (200, 202, 204)
    assert server.wait_for(queued)["state"] == "cancelled"
    server.client.delete(f"/api/v1/jobs/{endless}")
    assert server.wait_for(endless)["state"] == "cancelled"
    assert server.wait_for(server.submit(seed=2))["state"] == "done"


def test_the_server_is_killed_with_five_jobs_waiting(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        interrupted = server.submit(count=5, steps=4, pause_s=0.1, seed=50)
        waiting = [server.submit(seed=number) for number in range(5)]
        server.wait_for_artifacts(interrupted, 2)
        worker = server.worker_pid()
        kept = {record["id"]: record["sha256"] for record in server.job(interrupted)["artifacts"]}
        server.kill()
    deadline = time.monotonic() + 20
    while _alive(worker) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _alive(worker), "the worker outlived its server"
    with running(tmp_path) as server:
        states = [server.wait_for(job_id)["state"] for job_id in (interrupted, *waiting)]
        assert states == ["done"] * 6
        job = server.job(interrupted)
        assert sorted(record["index"] for record in job["artifacts"]) == list(range(5))
        assert kept.items() <= {record["id"]: record["sha256"] for record in job["artifacts"]}.items()
        listed = server.client.get("/api/v1/artifacts", params={"limit": 50}).json()
        assert len(listed["artifacts"]) == 10
    leftovers = [path for path in (tmp_path / "data" / "images").rglob("*") if path.suffix == ".tmp"]
    assert leftovers == []


def _alive(pid: int) -> bool:
    try:
        return (
            Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
            if Path("/proc").is_dir()
            else os.kill(pid, 0) is None
        )
    except (OSError, ProcessLookupError):
        return False


def test_what_ended_a_start_does_not_end_workers(tmp_path: Path) -> None:
    """The server leaves it out, and so do its workers, which import extensions as well."""
    deadly = tmp_path / "extensions" / "deadly"
    deadly.mkdir(parents=True)
    (deadly / "extension.toml").write_text('id = "deadly"\nversion = "1.0"\napi = "1.0"\n')
    (deadly / "__init__.py").write_text("import os\n\nos._exit(7)\n")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "starting.json").write_text('["deadly"]')
    with running(tmp_path) as server:
        assert server.wait_for(server.submit())["state"] == "done"
        (record,) = (
            row for row in server.client.get("/api/v1/extensions").json()["extensions"] if row["id"] == "deadly"
        )
        assert (record["state"], record["stage"]) == ("blocked", "import")
