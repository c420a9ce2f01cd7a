"""The hub alone: order, late viewers, slow viewers, threads and asyncio."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from tests.queue.support import record
from webui.core.errors import NotFound
from webui.core.jobs import (
    Job,
    JobArtifact,
    JobDone,
    JobPreview,
    JobProgress,
    JobQueued,
    JobStarted,
    JobState,
    JobWarning,
    Progress,
)
from webui.queue.hub import EventHub, Item, Subscription


class Board:
    """The jobs that the hub's snapshots are read from."""

    def __init__(self) -> None:
        self.jobs: dict[str, Job] = {}
        self.hub = EventHub(self.get, lambda: [job for job in self.jobs.values() if not job.state.ended])

    def get(self, job_id: str) -> Job:
        if job_id not in self.jobs:
            raise NotFound(f"there is no job {job_id!r}.")
        return self.jobs[job_id]

    def put(self, job_id: str, state: JobState = JobState.RUNNING, **values: object) -> None:
        self.jobs[job_id] = Job.model_validate({"id": job_id, "pipeline": "fake.draw", "state": state, **values})

    def progress(self, job_id: str, step: int) -> None:
        self.put(job_id, progress=Progress(step=step))
        self.hub.publish(JobProgress(job_id=job_id, progress=Progress(step=step)))

    def finish(self, job_id: str) -> None:
        self.put(job_id, JobState.DONE)
        self.hub.publish(JobDone(job_id=job_id))


@pytest.fixture
def board() -> Board:
    made = Board()
    made.put("one")
    return made


def waiting(subscription: Subscription) -> Iterator[Item]:
    while (item := subscription.receive(0)) is not None:
        yield item


def kinds(items: object) -> list[str]:
    assert isinstance(items, list | Iterator)
    return ["job" if isinstance(item, Job) else item.type for item in items]


def test_a_snapshot_then_events_in_order_then_the_end(board: Board) -> None:
    viewer = board.hub.subscribe("one")
    board.hub.publish(JobStarted(job_id="one"))
    board.progress("one", 1)
    board.hub.publish(JobPreview(job_id="one", data="AAAA"))
    board.hub.publish(JobArtifact(job_id="one", artifact=record("one")))
    assert kinds(waiting(viewer)) == ["job", "started", "progress", "artifact"]
    board.finish("one")
    assert not viewer.closed
    assert kinds(list(viewer)) == ["done"]
    assert viewer.closed
    assert viewer.receive() is None


def test_nobody_hears_of_others(board: Board) -> None:
    board.put("two")
    one, everyone = board.hub.subscribe("one"), board.hub.subscribe()
    board.progress("two", 3)
    assert kinds(waiting(one)) == ["job"]
    assert [item.id if isinstance(item, Job) else item.job_id for item in waiting(everyone)] == ["one", "two", "two"]


def test_a_late_viewer_gets_the_newest_preview_of_each_picture(board: Board) -> None:
    for step in range(5):
        for index in range(3):
            board.hub.publish(JobPreview(job_id="one", index=index, data=f"{index}{step}"))
    board.hub.publish(JobArtifact(job_id="one", artifact=record("one", 0)))
    first, *previews = waiting(board.hub.subscribe("one"))
    assert isinstance(first, Job)
    assert [item.data for item in previews if isinstance(item, JobPreview)] == ["14", "24"]
    board.hub.publish(JobQueued(job_id="one"))
    assert kinds(waiting(board.hub.subscribe("one"))) == ["job"]


def test_a_viewer_of_an_ended_job_gets_it_and_the_end(board: Board) -> None:
    board.put("one", JobState.FAILED)
    viewer = board.hub.subscribe("one")
    assert kinds(list(viewer)) == ["job"]
    with pytest.raises(NotFound):
        board.hub.subscribe("nobody")


def test_a_slow_viewer_keeps_the_newest_progress_and_every_change(board: Board) -> None:
    viewer = board.hub.subscribe("one")
    for step in range(10_000):
        board.progress("one", step)
        board.hub.publish(JobPreview(job_id="one", data=str(step)))
        if step % 2_500 == 0:
            board.hub.publish(JobArtifact(job_id="one", artifact=record("one", 10 + step // 2_500)))
            board.hub.publish(JobWarning(job_id="one", message=str(step)))
    board.finish("one")
    board.put("one", JobState.RUNNING)  # so that the snapshot does not already tell the end
    items = list(viewer)
    assert kinds(items) == ["job", *["artifact", "warning"] * 4, "progress", "preview", "done"]
    assert [item.progress.step for item in items if isinstance(item, JobProgress)] == [9_999]
    assert [item.data for item in items if isinstance(item, JobPreview)] == ["9999"]


def test_a_very_slow_viewer_gets_a_snapshot_in_place_of_what_it_missed(board: Board) -> None:
    viewer = board.hub.subscribe("one")
    for number in range(5_000):
        board.hub.publish(JobArtifact(job_id="one", artifact=record("one", number)))
    board.put("one", artifacts=tuple(record("one", number) for number in range(5_000)))
    items = list(waiting(viewer))
    assert len(items) < 70
    snapshots = [item for item in items if isinstance(item, Job)]
    assert len(snapshots[-1].artifacts) == 5_000
    board.finish("one")
    assert kinds(list(viewer)) == ["done"]


def test_a_viewer_that_never_reads_is_let_go(board: Board) -> None:
    viewer = board.hub.subscribe()
    for number in range(6_000):
        board.hub.publish(JobQueued(job_id=f"job{number}"))
    assert viewer.closed
    assert viewer.receive() is None
    fresh = board.hub.subscribe()
    board.hub.publish(JobQueued(job_id="late"))
    assert kinds(waiting(fresh)) == ["job", "queued"]


def test_places_are_sent_again_to_who_waits(board: Board) -> None:
    board.hub.refresh(lambda: pytest.fail("nobody watches: nothing to ask"))
    board.put("two", JobState.QUEUED, position=4)
    running, queued = board.hub.subscribe("one"), board.hub.subscribe("two")
    assert [item.position for item in waiting(queued) if isinstance(item, Job)] == [4]
    assert kinds(waiting(running)) == ["job"]
    for position in (3, 2):
        board.put("two", JobState.QUEUED, position=position)
        board.hub.refresh(lambda: {"two": 2})
    assert [item.position for item in waiting(queued) if isinstance(item, Job)] == [2]
    assert kinds(waiting(running)) == []


def test_a_job_that_was_cleared_away_is_left_out(board: Board) -> None:
    viewer = board.hub.subscribe()
    del board.jobs["one"]
    board.hub.publish(JobQueued(job_id="two"))
    assert kinds(waiting(viewer)) == ["queued"]


def test_closing_frees_who_waits_in_a_thread(board: Board) -> None:
    viewer = board.hub.subscribe("one")
    seen: list[Item] = []
    reader = threading.Thread(target=lambda: seen.extend(viewer))
    reader.start()
    board.hub.close()
    reader.join(5)
    assert not reader.is_alive()
    assert viewer.closed


def test_asyncio_hears_what_threads_publish(board: Board) -> None:
    def work() -> None:
        for step in range(200):
            board.progress("one", step)
            board.hub.publish(JobArtifact(job_id="one", artifact=record("one", step)))
        board.finish("one")

    async def watch() -> list[Item]:
        with board.hub.subscribe("one") as viewer:
            first = await viewer.receive_async()
            worker = threading.Thread(target=work)
            worker.start()
            items = [item async for item in viewer]
            worker.join()
            return [item for item in [first, *items] if item is not None]

    items = asyncio.run(asyncio.wait_for(watch(), 10))
    assert isinstance(items[0], Job)
    assert isinstance(items[-1], JobDone) or (isinstance(items[-1], Job) and items[-1].state is JobState.DONE)


def test_waiting_in_asyncio_ends_with_time_with_cancel_and_with_close(board: Board) -> None:
    async def watch() -> None:
        viewer = board.hub.subscribe("one")
        assert isinstance(await viewer.receive_async(), Job)
        assert await viewer.receive_async(0.01) is None
        assert not viewer.closed
        task = asyncio.create_task(viewer.receive_async())
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        board.progress("one", 7)
        item = await viewer.receive_async(1)
        assert isinstance(item, JobProgress)
        assert item.progress.step == 7
        task = asyncio.create_task(viewer.receive_async())
        await asyncio.sleep(0.01)
        await asyncio.to_thread(viewer.close)
        assert await asyncio.wait_for(task, 5) is None

    asyncio.run(watch())


def test_a_loop_that_ended_does_not_stop_the_hub(board: Board) -> None:
    viewer = board.hub.subscribe("one")

    async def leave() -> asyncio.AbstractEventLoop:
        task = asyncio.create_task(viewer.receive_async())
        await asyncio.sleep(0)
        await task
        return asyncio.get_running_loop()

    assert asyncio.run(leave()).is_closed()
    board.finish("one")
    assert kinds(list(viewer)) == ["done"]
