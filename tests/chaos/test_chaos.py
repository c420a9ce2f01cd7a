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
    assert told["ends"] == {
        "disk_full": told["ends"]["disk_full"],
        "place_taken": told["ends"]["place_taken"],
        "worker_hangs": "cancelled",
        "queue_locked": "done",
        "rubbish_on_the_pipe": "failed",
        "index_corrupt": "rebuilt",
    }
    assert told["ends"]["place_taken"].startswith("failed: ")
    # A worker that cannot write a byte, its log among them, may end at that: another one makes the picture then.
    assert told["ends"]["disk_full"] in ("failed: OSError", "done: ")
