"""Laws of turns: whoever puts how much into the queue, nobody waits longer than one job of each other."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from webui.core.jobs import Job, JobDone
from webui.queue.store import JobStore

ARRIVALS = st.lists(st.one_of(st.sampled_from(["local", "kim", "lee", "mia"]), st.none()), max_size=40)
"""Owners whose job arrives, and None where a worker takes one."""


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(ARRIVALS)
def test_between_two_turns_of_one_each_other_has_one_at_most(arrivals: list[str | None]) -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as folder:
        store = JobStore(Path(folder) / "queue.sqlite3")
        waiting: dict[str, list[str]] = {}
        passed: dict[str, list[str]] = {}
        for arrival in [*arrivals, *[None] * len(arrivals)]:
            if arrival is not None:
                job = store.add(Job(pipeline="fake.draw", owner=arrival))
                waiting.setdefault(arrival, []).append(job.id)
                passed.setdefault(arrival, [])
                continue
            claim = store.claim_next()
            assert (claim is None) == (not any(waiting.values())), "a worker idles only where nothing waits"
            if claim is None:
                continue
            owner = claim.job.owner
            assert claim.job.id == waiting[owner].pop(0), "each owner's jobs go in their order"
            for other, line in waiting.items():
                if other == owner or not line:
                    passed[other] = []
                else:
                    passed[other].append(owner)
                    assert passed[other].count(owner) == 1, f"{owner} had two turns while {other} waited"
        store.close()


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 7200), st.integers(0, 7200)), max_size=6), st.integers(0, 7200))
def test_the_time_of_a_day_is_the_sum_of_what_lies_in_it(runs: list[tuple[int, int]], window_s: int) -> None:
    """``runs``: seconds ago that a job began, and how long it ran."""
    now = time.time()
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as folder:
        store = JobStore(Path(folder) / "queue.sqlite3")
        expected = 0.0
        for ago, length in runs:
            job = store.add(Job(pipeline="fake.draw", owner="kim"))
            assert store.claim_next() is not None
            store.apply(JobDone(job_id=job.id))
            began, ended = now - ago, min(now, now - ago + length)
            store._db.execute("UPDATE jobs SET started_at = ?, finished_at = ? WHERE id = ?", (began, ended, job.id))
            expected += max(0.0, ended - max(began, now - window_s))
        store.add(Job(pipeline="fake.draw", owner="kim"))
        assert abs(store.seconds_used("kim", now - window_s) - expected) < 1e-3
        assert store.seconds_used("lee", now - window_s) == 0.0
        store.close()
