"""Fixtures of the queue's tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.queue.support import service
from webui.queue.service import JobService


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., JobService]]:
    """Makes started services on the test's folder; all are stopped at its end."""
    started: list[JobService] = []

    def make(**more: Any) -> JobService:
        jobs = service(tmp_path, **more)
        started.append(jobs)
        jobs.start()
        return jobs

    yield make
    for jobs in started:
        jobs.stop()
