"""From a job that a request queued to its end: the request waits, and ``progress`` can tell of it meanwhile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from starlette.concurrency import run_in_threadpool

from webui.core.jobs import Job, JobState
from webui.queue.service import JobService
from webui.web.http_api.streams import OpenStreams

from .running import Running
from .skipping import joined, rest_of

_CHECK_S = 15.0


@dataclass(frozen=True)
class Following:
    """How this interface waits."""

    jobs: JobService
    running: Running
    streams: OpenStreams

    async def to_end(self, job: Job) -> Job:
        """The job when it has ended; one that has not where the server stops. With the pictures after those that were
        skipped, as if it had made them.
        """
        jobs, starts = await self._followed(job, 0)
        return joined(jobs, starts) if len(jobs) > 1 else jobs[0]

    async def _followed(self, job: Job, start: int) -> tuple[list[Job], list[int]]:
        subscription = await run_in_threadpool(self.jobs.subscribe, job.id)
        with self.running.following(job, _images(job.params)) as run, self.streams.reading(subscription):
            while not (subscription.closed or run.job.state.ended):
                item = await subscription.receive_async(_CHECK_S)
                if item is not None:
                    run.take(item)
            ended = await run_in_threadpool(self.jobs.get, job.id)
            if run.skipped_at is None or ended.state is not JobState.CANCELLED:
                return [ended], [start]
            rest = rest_of(ended.params, run.skipped_at)
            if rest is None:
                return [ended], [start]
            # Within the block: its clients take the time between two jobs for the end.
            following = await run_in_threadpool(self.jobs.submit, job.pipeline, rest[0], job.owner)
            jobs, starts = await self._followed(following, start + rest[1])
            return [ended, *jobs], [start, *starts]


def _images(params: Mapping[str, object]) -> int:
    size, count = params.get("batch_size"), params.get("batch_count")
    return (size if isinstance(size, int) else 1) * (count if isinstance(count, int) else 1)
