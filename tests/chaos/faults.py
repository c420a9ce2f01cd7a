"""Single faults, one after the other on one server: each job says how it ended, and the next one is made."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from tests.chaos.ledger import Ledger, leftovers
from tests.integration.server import Server, free_port, write_extension


def run(folder: Path) -> dict[str, Any]:
    """Every fault; the counts, losses among them."""
    began = time.monotonic()
    write_extension(folder / "extensions")
    ledger, port, ends = Ledger(), free_port(), {}
    server = Server(folder, port)
    try:
        _made(server, ledger)
        for fault in (disk_full, place_taken, worker_hangs, queue_locked, rubbish_on_the_pipe):
            ends[fault.__name__] = fault(server, ledger, folder)
            _made(server, ledger)
        before = len(_listed(server))
        server.close()
        for name in ("library.sqlite3", "library.sqlite3-wal", "library.sqlite3-shm"):
            if (folder / "data" / name).exists():
                (folder / "data" / name).write_bytes(b"no database at all " * 400)
        server = Server(folder, port)
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


def place_taken(server: Server, ledger: Ledger, folder: Path) -> str:
    """The folder of pictures is no folder: as one that may not be written to."""
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


def rubbish_on_the_pipe(server: Server, ledger: Ledger, folder: Path) -> str:
    """What a pipeline yields is no artifact."""
    return str(server.wait_for(_submit(server, ledger, 1, mood="rubbish"))["state"])


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
