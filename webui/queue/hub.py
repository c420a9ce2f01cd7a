"""Tells viewers of jobs what happens, between the dispatchers (publish, from their threads) and pages and event
streams (subscribe).

Nothing here is durable: what a viewer misses it gets as a snapshot, read from the store. A viewer that does not keep
up costs a bounded amount of memory and never slows a job: only the newest progress and preview wait for it, and when
too much else waits, it is replaced by one snapshot.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Container, Iterator
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType

from webui.core.errors import NotFound
from webui.core.jobs import (
    Job,
    JobArtifact,
    JobCancelled,
    JobDone,
    JobEvent,
    JobFailedEvent,
    JobPreview,
    JobProgress,
    JobQueued,
)

Item = Job | JobEvent
"""What a subscription yields: a ``Job`` is a snapshot and stands for all that came before it."""

_End = JobDone | JobFailedEvent | JobCancelled
_MAX_EVENTS_PER_JOB = 64
_MAX_JOBS = 4096
_MAX_PREVIEWS_PER_JOB = 16


@dataclass(frozen=True)
class _Snapshot:
    """In a subscription's pending items: the job as it will be when the viewer reads on."""

    job_id: str


class Subscription:
    """One viewer's view of one job or, with ``job_id`` None, of all. Made by ``EventHub.subscribe``.

    Iterate with ``for`` or ``async for``, or call ``receive``; by one consumer, in one way. Items come at least once
    and in order: an event may repeat what a snapshot already told. Of one job, iteration ends after its end was told.
    ``close`` (or a ``with`` block) ends it sooner.

    ``_lock`` guards everything below it and is the innermost: nothing is called while it is held but the event loop's
    wake-up.
    """

    def __init__(self, hub: EventHub, job_id: str | None) -> None:
        self.job_id = job_id
        self._hub = hub
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._pending: dict[tuple[str, str, int], Item | _Snapshot] = {}
        self._loads: dict[str, int] = {}
        self._serial = 0
        self._closed = False
        self._wake_loop: Callable[[], None] | None = None

    def __enter__(self) -> Subscription:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the subscription: a consumer that waits is released. May be called more than once and from any thread."""
        self._hub.unsubscribe(self)
        with self._lock:
            self._closed = True
            self._pending.clear()
            self._loads.clear()
            self._wake()

    @property
    def closed(self) -> bool:
        """Whether it has ended: closed, its job's end told, or so far behind that the viewer must subscribe again."""
        return self._closed

    # --- reading

    def receive(self, timeout_s: float | None = None) -> Item | None:
        """The next item; None when none came in time or the subscription has ended (see ``closed``)."""
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            item = self._take()
            if item is not None:
                return item
            with self._lock:
                if self._closed:
                    return None
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and left <= 0:
                    return None
                if not self._pending:
                    self._changed.wait(left)

    def __iter__(self) -> Iterator[Item]:
        while (item := self.receive()) is not None:
            yield item

    async def receive_async(self, timeout_s: float | None = None) -> Item | None:
        """``receive`` for asyncio. Nothing is lost when it is cancelled."""
        arrived = asyncio.Event()
        loop = asyncio.get_running_loop()
        with self._lock:
            self._wake_loop = _once_each(loop, arrived)
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    arrived.clear()
                    item = self._take()
                    if item is not None or self._closed:
                        return item
                    await arrived.wait()
        except TimeoutError:
            return None
        finally:
            with self._lock:
                self._wake_loop = None

    async def __aiter__(self) -> AsyncIterator[Item]:
        while (item := await self.receive_async()) is not None:
            yield item

    def _take(self) -> Item | None:
        while True:
            with self._lock:
                if not self._pending:
                    return None
                key = next(iter(self._pending))
                item = self._pending.pop(key)
                if key[0] == "event" and (left := self._loads.pop(key[1]) - 1):
                    self._loads[key[1]] = left
            if isinstance(item, _Snapshot):
                try:
                    item = self._hub.snapshot(item.job_id)
                except NotFound:  # cleared away since
                    continue
            if self.job_id is not None and (isinstance(item, _End) or (isinstance(item, Job) and item.state.ended)):
                self.close()
            return item

    # --- writing, by the hub

    def offer(self, item: Item | _Snapshot) -> None:
        """Called by the hub: put ``item`` behind what waits. Never blocks."""
        job_id = item.id if isinstance(item, Job) else item.job_id
        with self._lock:
            if self._closed:
                return
            key = self._key(item, job_id)
            self._pending.pop(key, None)
            if key[0] == "event":
                self._loads[job_id] = self._loads.get(job_id, 0) + 1
                if self._loads[job_id] > _MAX_EVENTS_PER_JOB:
                    self._collapse(job_id)
                    key, item = ("snapshot", job_id, 0), _Snapshot(job_id)
            self._pending[key] = item
            if isinstance(item, JobArtifact):
                self._pending.pop(("preview", job_id, item.artifact.index % _MAX_PREVIEWS_PER_JOB), None)
            if len(self._pending) > _MAX_JOBS:
                self._closed = True
                self._pending.clear()
            self._wake()

    def _key(self, item: Item | _Snapshot, job_id: str) -> tuple[str, str, int]:
        if isinstance(item, _Snapshot):
            return ("snapshot", job_id, 0)
        if isinstance(item, JobProgress):
            return ("progress", job_id, 0)
        if isinstance(item, JobPreview):
            return ("preview", job_id, item.index % _MAX_PREVIEWS_PER_JOB)
        self._serial += 1
        return ("event", job_id, self._serial)

    def _collapse(self, job_id: str) -> None:
        self._pending = {key: item for key, item in self._pending.items() if key[1] != job_id or key[0] == "preview"}
        del self._loads[job_id]

    def _wake(self) -> None:
        self._changed.notify_all()
        if self._wake_loop is not None:
            self._wake_loop()


def _once_each(loop: asyncio.AbstractEventLoop, arrived: asyncio.Event) -> Callable[[], None]:
    """Sets ``arrived`` from any thread; a loop that is busy gets one callback however often it is called."""
    asked = False

    def arrive() -> None:
        nonlocal asked
        asked = False
        arrived.set()

    def wake() -> None:
        nonlocal asked
        if not asked:
            asked = True
            with suppress(RuntimeError):  # the loop has ended, and its consumer with it
                loop.call_soon_threadsafe(arrive)

    return wake


class EventHub:
    """Publish and subscribe for viewers. ``snapshot(id)`` reads a job (raises NotFound), ``active()`` all that wait
    or run.

    ``_lock`` guards the viewers and the newest previews; a subscription's lock may be taken while it is held, the
    store's never.
    """

    def __init__(self, snapshot: Callable[[str], Job], active: Callable[[], list[Job]]) -> None:
        self.snapshot = snapshot
        self._active = active
        self._lock = threading.Lock()
        self._viewers: dict[str | None, set[Subscription]] = {}
        self._previews: dict[str, dict[int, JobPreview]] = {}

    def subscribe(self, job_id: str | None = None) -> Subscription:
        """Watch one job: first a snapshot, then its newest previews, then what happens. Raises NotFound.

        With None watch all jobs: first a snapshot of each that waits or runs.
        """
        present = self._active() if job_id is None else [self.snapshot(job_id)]
        subscription = Subscription(self, job_id)
        with self._lock:
            # Read again when the viewer takes it, so that nothing between now and then is missed.
            for job in present:
                subscription.offer(_Snapshot(job.id))
            for job in present:
                for preview in self._previews.get(job.id, {}).values():
                    subscription.offer(preview)
            self._viewers.setdefault(job_id, set()).add(subscription)
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """Forget a viewer; called by ``Subscription.close``."""
        with self._lock:
            viewers = self._viewers.get(subscription.job_id, set())
            viewers.discard(subscription)
            if not viewers:
                self._viewers.pop(subscription.job_id, None)

    def close(self) -> None:
        """End every subscription, so that no stream outlives the server."""
        with self._lock:
            viewers = [viewer for group in self._viewers.values() for viewer in group]
        for viewer in viewers:
            viewer.close()

    def publish(self, event: JobEvent) -> None:
        """Tell every viewer, in the order of calls. What the event says must be in the store already. Never blocks."""
        with self._lock:
            self._remember(event)
            for key in (event.job_id, None):
                for viewer in tuple(self._viewers.get(key, ())):
                    viewer.offer(event)
                    if viewer.closed:
                        self._viewers[key].discard(viewer)

    def refresh(self, job_ids: Callable[[], Container[str]]) -> None:
        """Send a new snapshot to viewers of single jobs among ``job_ids()``, because their places in the queue moved.

        ``job_ids`` is called only when someone watches a single job.
        """
        with self._lock:
            watched = [job_id for job_id in self._viewers if job_id is not None]
        if not watched:
            return
        moved = job_ids()
        with self._lock:
            for job_id in watched:
                if job_id in moved:
                    for viewer in tuple(self._viewers.get(job_id, ())):
                        viewer.offer(_Snapshot(job_id))

    def _remember(self, event: JobEvent) -> None:
        if isinstance(event, JobPreview):
            previews = self._previews.setdefault(event.job_id, {})
            previews.pop(event.index, None)
            previews[event.index] = event
            while len(previews) > _MAX_PREVIEWS_PER_JOB:
                del previews[next(iter(previews))]
        elif isinstance(event, JobArtifact):
            self._previews.get(event.job_id, {}).pop(event.artifact.index, None)
        elif isinstance(event, JobQueued | _End):
            self._previews.pop(event.job_id, None)
