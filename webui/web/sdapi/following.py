"""From a job that a request queued to its end: the request waits, and ``progress`` can tell of it meanwhile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from starlette.concurrency import run_in_threadpool

from webui.core.jobs import Job
from webui.queue.service import JobService
from webui.web.http_api.streams import OpenStreams

from .running import Running

_CHECK_S = 15.0


@dataclass(frozen=True)
class Following:
    """How this interface waits."""

    jobs: JobService
    running: Running
    streams: OpenStreams

    async def to_end(self, job: Job) -> Job:
        """The job when it has ended; one that has not where the server stops."""
        subscription = await run_in_threadpool(self.jobs.subscribe, job.id)
        with self.running.following(job, _images(job.params)) as run, self.streams.reading(subscription):
            while not (subscription.closed or run.job.state.ended):
                item = await subscription.receive_async(_CHECK_S)
                if item is not None:
                    run.take(item)
        return await run_in_threadpool(self.jobs.get, job.id)


def _images(params: Mapping[str, object]) -> int:
    size, count = params.get("batch_size"), params.get("batch_count")
    return (size if isinstance(size, int) else 1) * (count if isinstance(count, int) else 1)
