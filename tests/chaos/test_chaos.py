"""The short form of `python -m tests.chaos`: nothing is lost, and every job says how it ended."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.chaos import faults, kills
from tests.chaos.__main__ import LOSSES

pytestmark = pytest.mark.skipif(os.name == "nt" or sys.platform == "darwin", reason="signals and limits of Linux")


def test_kills_lose_nothing(tmp_path: Path) -> None:
    told = kills.run(tmp_path, kills=4, seed=3)
    assert {name: told[name] for name in LOSSES} == dict.fromkeys(LOSSES, 0), told
    assert told["jobs"] == told["done"] + told["failed"] + told["cancelled"] >= 4


def test_faults_lose_nothing(tmp_path: Path) -> None:
    told = faults.run(tmp_path)
    assert {name: told[name] for name in LOSSES} == dict.fromkeys(LOSSES, 0), told
    ends = told["ends"]
    assert ends == {
        "disk_full": ends["disk_full"],
        "disk_really_full": ends["disk_really_full"],
        "place_taken": ends["place_taken"],
        "read_only": "failed: PermissionError",
        "worker_hangs": "cancelled",
        "worker_is_silent": "failed: TimeoutError",
        "worker_eats_memory": "failed: MemoryError",
        "queue_locked": "done",
        "index_locked": "done, listed",
        "rubbish_artifact": "failed",
        "rubbish_on_the_pipe": "done",
        "model_deleted": "done, then 422",
        "model_replaced": "failed ModelError, then done",
        "clock_jumps": "done, done, done",
        "index_corrupt": "rebuilt",
    }
    assert ends["place_taken"].startswith("failed: ")
    assert ends["disk_really_full"].startswith(("failed: the disk is full", "skipped: "))
    # A worker that cannot write a byte, its log among them, may end at that: another one makes the picture then.
    assert ends["disk_full"] in ("failed: OSError", "done: ")
