"""Kills of worker and server at random moments, seeded, under a mix of jobs that goes on arriving."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx

from tests.chaos.ledger import Ledger, leftovers
from tests.integration.server import Server, free_port, write_extension

WAITING = 4
"""Jobs that are under way or wait, at least, whenever something is killed."""


def run(folder: Path, kills: int, seed: int) -> dict[str, Any]:
    """``kills`` kills; the counts, losses among them."""
    began = time.monotonic()
    chance = random.Random(seed)
    write_extension(folder / "extensions")
    ledger, counts, port = Ledger(), Counter[str](), free_port()
    server = Server(folder, port)
    try:
        for _ in range(kills):
            _arrive(server, ledger, chance)
            # From before a worker is up to the middle of its third job, say.
            time.sleep(chance.choice([chance.uniform(0.05, 0.8), chance.uniform(2.0, 5.0)]))
            ledger.note(server)
            if chance.random() < 0.3:
                server.kill()
                counts["server_kills"] += 1
                server = Server(folder, port)
            else:
                counts["worker_kills"] += _kill_worker(server)
        told = ledger.settle(server)
    finally:
        server.close()
    seconds = round(time.monotonic() - began, 1)
    return {
        "chaos": "kills", "seed": seed, **counts, **told, "temporary_files": leftovers(folder / "data"),
        "seconds": seconds,
    }  # fmt: skip


def _arrive(server: Server, ledger: Ledger, chance: random.Random) -> None:
    """Keep the queue busy; now and then somebody changes their mind."""
    counts = server.client.get("/api/v1/health").json()["queue"]
    for _ in range(max(0, WAITING - counts["queued"] - counts["running"])):
        count = chance.randint(1, 4)
        job = server.submit(
            count=count,
            steps=chance.randint(1, 6),
            pause_s=chance.choice([0.0, 0.01, 0.05]),
            seed=chance.randint(0, 10_000),
            mood=chance.choice(["calm"] * 10 + ["raises", "rubbish"]),
        )
        ledger.asked[job] = count
        if chance.random() < 0.15:
            server.client.delete(f"/api/v1/jobs/{job}")


def _kill_worker(server: Server) -> int:
    """Wait for one that lives, and kill it; 0 where none came up in time."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx.HTTPError, ProcessLookupError, KeyError, IndexError, TypeError):
            os.kill(server.worker_pid(), signal.SIGKILL)
            return 1
        time.sleep(0.05)
    return 0
