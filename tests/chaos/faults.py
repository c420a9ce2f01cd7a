"""Single faults, one after the other on one server: each job says how it ended, and the next one is made."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from tests.chaos.clock import Clock
from tests.chaos.ink import write_ink
from tests.chaos.ledger import Ledger, leftovers
from tests.chaos.models import model_deleted, model_replaced
from tests.integration.server import ROOT, Server, free_port, write_extension

SILENCE_S = 6
MEMORY_BYTES = 1536 * 2**20
DAY_S = 24 * 3600


def run(folder: Path) -> dict[str, Any]:
    """Every fault; the counts, losses among them."""
    began = time.monotonic()
    write_ink(write_extension(folder / "extensions"))
    clock = Clock(folder / "clock")
    surroundings = {
        "PYTHONPATH": os.pathsep.join([str(clock.folder), str(ROOT)]),
        "LIFELIKE_MODELS_DIRS": str(folder / "models"),
        "LIFELIKE_SILENCE_S": str(SILENCE_S),
        "LIFELIKE_MEMORY_LIMIT_BYTES": str(MEMORY_BYTES),
    }
    ledger, port, ends = Ledger(), free_port(), {}
    server = Server(folder, port, surroundings)
    try:
        _made(server, ledger)
        for fault in FAULTS:
            ends[fault.__name__] = fault(server, ledger, folder)
            _made(server, ledger)
        ends["clock_jumps"] = clock_jumps(server, ledger, clock)
        _made(server, ledger)
        before = len(_listed(server))
        server.close()
        for name in ("library.sqlite3", "library.sqlite3-wal", "library.sqlite3-shm"):
            if (folder / "data" / name).exists():
                (folder / "data" / name).write_bytes(b"no database at all " * 400)
        server = Server(folder, port, surroundings)
        ends["index_corrupt"] = "rebuilt" if _soon(lambda: len(_listed(server)) == before) else "lost"
        told = ledger.settle(server)
    finally:
        server.close()
    return {
        "chaos": "faults", "ends": ends, **told, "temporary_files": leftovers(folder / "data"),
        "seconds": round(time.monotonic() - began, 1),
    }  # fmt: skip


def disk_full(server: Server, ledger: Ledger, folder: Path) -> str:
    """The worker cannot write: what a full disk or a quota answers."""
    worker = psutil.Process(server.worker_pid())
    old = worker.rlimit(psutil.RLIMIT_FSIZE)
    worker.rlimit(psutil.RLIMIT_FSIZE, (64, old[1]))
    job = _submit(server, ledger, 2)
    ended = server.wait_for(job)
    with contextlib.suppress(psutil.NoSuchProcess):
        worker.rlimit(psutil.RLIMIT_FSIZE, old)
    return f"{ended['state']}: {(ended['error'] or {}).get('kind', '')}"


def disk_really_full(server: Server, ledger: Ledger, folder: Path) -> str:
    """The pictures' folder is a file system without room; only where one may be mounted."""
    images = folder / "data" / "images"
    mount = shutil.which("mount")
    command = [mount or "mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", str(images)]
    if not mount or os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
        return "skipped: nothing may be mounted here"
    try:
        with contextlib.suppress(OSError):
            (images / "all-of-it").write_bytes(bytes(2**16))
        ended = server.wait_for(_submit(server, ledger, 2))
    finally:
        subprocess.run(["umount", "-l", str(images)], check=True)
    return f"{ended['state']}: {(ended['error'] or {}).get('message', '')}".partition(" [")[0]


def read_only(server: Server, ledger: Ledger, folder: Path) -> str:
    """Nothing may be made in the folder of pictures. Nobody may in /sys, so the superuser's lies there."""
    images, aside = folder / "data" / "images", folder / "data" / "images.aside"
    if os.geteuid() == 0:
        images.rename(aside)
        images.symlink_to("/sys/power")
    else:
        images.chmod(0o555)
    try:
        ended = server.wait_for(_submit(server, ledger, 1))
    finally:
        if os.geteuid() == 0:
            images.unlink()
            aside.rename(images)
        else:
            images.chmod(0o755)
    return f"{ended['state']}: {(ended['error'] or {}).get('kind', '')}"


def place_taken(server: Server, ledger: Ledger, folder: Path) -> str:
    """The folder of pictures is no folder."""
    images, aside = folder / "data" / "images", folder / "data" / "images.aside"
    images.rename(aside)
    images.write_text("in the way")
    try:
        ended = server.wait_for(_submit(server, ledger, 1))
    finally:
        images.unlink()
        aside.rename(images)
    return f"{ended['state']}: {(ended['error'] or {}).get('kind', '')}"


def worker_hangs(server: Server, ledger: Ledger, folder: Path) -> str:
    """A worker that stands still in mid-job loses its job at a cancel, and its life."""
    job = _submit(server, ledger, 4, pause_s=0.2)
    server.wait_for_artifacts(job, 1)
    os.kill(server.worker_pid(), signal.SIGSTOP)
    server.client.delete(f"/api/v1/jobs/{job}")
    return str(server.wait_for(job)["state"])


def queue_locked(server: Server, ledger: Ledger, folder: Path) -> str:
    """Another program holds the queue's database for a while."""
    other = sqlite3.connect(folder / "data" / "queue.sqlite3", isolation_level=None)
    job = _submit(server, ledger, 2, pause_s=0.02)
    other.execute("BEGIN IMMEDIATE")
    time.sleep(1.0)
    other.execute("ROLLBACK")
    other.close()
    return str(server.wait_for(job)["state"])


def index_locked(server: Server, ledger: Ledger, folder: Path) -> str:
    """And the gallery's."""
    other = sqlite3.connect(folder / "data" / "library.sqlite3", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    job = _submit(server, ledger, 2)
    time.sleep(1.0)
    other.execute("ROLLBACK")
    other.close()
    ended = server.wait_for(job)
    made = {row["id"] for row in ended["artifacts"]}
    there = _soon(lambda: made <= {row["id"] for row in _listed(server)})
    return f"{ended['state']}, {'listed' if there else 'not listed'}"


def worker_is_silent(server: Server, ledger: Ledger, folder: Path) -> str:
    """Nobody cancels one that stands still: the watchdog ends it."""
    job = _submit(server, ledger, 4, pause_s=0.2)
    server.wait_for_artifacts(job, 1)
    os.kill(server.worker_pid(), signal.SIGSTOP)
    ended = server.wait_for(job)
    return f"{ended['state']}: {(ended['error'] or {}).get('kind', '')}"


def worker_eats_memory(server: Server, ledger: Ledger, folder: Path) -> str:
    """It is ended at its limit, and the next job has another one."""
    before = server.worker_pid()
    ended = server.wait_for(_submit(server, ledger, 2, mood="eats"))
    assert server.worker_pid() != before
    return f"{ended['state']}: {(ended['error'] or {}).get('kind', '')}"


def rubbish_artifact(server: Server, ledger: Ledger, folder: Path) -> str:
    """What a pipeline yields is no artifact."""
    return str(server.wait_for(_submit(server, ledger, 1, mood="rubbish"))["state"])


def rubbish_on_the_pipe(server: Server, ledger: Ledger, folder: Path) -> str:
    """A worker says to the server what is no word of theirs, an end without a job among it."""
    return str(server.wait_for(_submit(server, ledger, 2, mood="babbles"))["state"])


def clock_jumps(server: Server, ledger: Ledger, clock: Clock) -> str:
    """Two days forward in mid-job, then back to three days before: the jobs stand in the order of their coming."""
    jobs, ends = [], []
    for shift_s in (2 * DAY_S, -3 * DAY_S, 0):
        jobs.append(_submit(server, ledger, 4, pause_s=0.02))
        server.wait_for_artifacts(jobs[-1], 1)
        clock.jump(shift_s)
        ends.append(server.wait_for(jobs[-1])["state"])
    listed = [row["id"] for row in server.client.get("/api/v1/jobs").json()["jobs"]]
    assert listed[:3] == jobs[::-1], (listed, jobs)
    return ", ".join(ends)


Fault = Callable[[Server, Ledger, Path], str]
FAULTS: tuple[Fault, ...] = (
    disk_full,
    disk_really_full,
    place_taken,
    read_only,
    worker_hangs,
    worker_is_silent,
    worker_eats_memory,
    queue_locked,
    index_locked,
    rubbish_artifact,
    rubbish_on_the_pipe,
    model_deleted,
    model_replaced,
)


def _submit(server: Server, ledger: Ledger, count: int, **params: Any) -> str:
    job = server.submit(count=count, **params)
    ledger.asked[job] = count
    return job


def _made(server: Server, ledger: Ledger) -> None:
    """A plain job is done, whatever was before."""
    ended = server.wait_for(_submit(server, ledger, 1))
    assert ended["state"] == "done", ended["error"]
    ledger.note(server)


def _listed(server: Server) -> list[Any]:
    answer = server.client.get("/api/v1/artifacts", params={"limit": 500})
    return list(answer.json()["artifacts"]) if answer.status_code == 200 else []


def _soon(met: Callable[[], bool], limit_s: float = 20) -> bool:
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        if met():
            return True
        time.sleep(0.1)
    return False
