"""From a subscription to job events to server-sent events: a snapshot, then what happens, with heartbeats between."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from starlette.responses import StreamingResponse

from webui.core.jobs import Job, JobArtifact

from .views import artifact_view, job_view

if TYPE_CHECKING:
    from webui.queue.hub import Subscription

HEARTBEAT_S = 15.0
"""Proxies drop a connection that is silent for longer than about a minute."""
STATUS_S = 2.0
"""How often the application's state is looked at for those who watch everything; it is sent only when it changed."""
_STATUS_PAUSE_S = 0.2
_WITHIN_A_RUN = frozenset({"progress", "preview", "warning", "artifact"})
"""Events after which as many jobs wait and run as before."""
ENDED = "ended"
"""The id of a job's last event. A browser that comes back with it as Last-Event-ID is told to stay away (204)."""
_LAST = frozenset({"done", "failed", "cancelled"})


class OpenStreams:
    """The endless answers under way, so that the server can end them when it stops; they would hold it up otherwise."""

    def __init__(self) -> None:
        self._subscriptions: set[Subscription] = set()
        self._stopped = False

    def __len__(self) -> int:
        return len(self._subscriptions)

    @contextmanager
    def reading(self, subscription: Subscription) -> Iterator[None]:
        """For the time of the block ``subscription`` is closed when the server stops; at its end in any case."""
        self._subscriptions.add(subscription)
        if self._stopped:
            subscription.close()
        try:
            yield
        finally:
            self._subscriptions.discard(subscription)
            subscription.close()

    def stop(self) -> None:
        """End every stream, and at once those that still come."""
        self._stopped = True
        for subscription in tuple(self._subscriptions):
            subscription.close()


def frame(name: str, data: Any, *, event_id: str = "") -> bytes:
    """One server-sent event; ``data`` becomes JSON on one line."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return (f"id: {event_id}\n" if event_id else "").encode() + f"event: {name}\ndata: {text}\n\n".encode()


def event_frame(event: Any) -> bytes:
    """A snapshot, or a job's event named by its type."""
    if isinstance(event, Job):
        return frame("snapshot", job_view(event), event_id=ENDED if event.state.ended else "")
    body = event.model_dump(mode="json")
    if isinstance(event, JobArtifact):
        body["artifact"] = artifact_view(event.artifact)
    return frame(event.type, body, event_id=ENDED if event.type in _LAST else "")


def response(frames: AsyncIterator[bytes]) -> StreamingResponse:
    # X-Accel-Buffering: nginx would keep the events back.
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(frames, media_type="text/event-stream", headers=headers)


async def job_frames(subscription: Subscription, streams: OpenStreams) -> AsyncIterator[bytes]:
    """Until the job has ended, the client has gone, or the server stops."""
    with streams.reading(subscription):
        while True:
            item = await subscription.receive_async(HEARTBEAT_S)
            if item is not None:
                yield event_frame(item)
            elif subscription.closed:
                return
            else:
                yield b": still here\n\n"


async def all_frames(
    subscription: Subscription,
    streams: OpenStreams,
    read_status: Callable[[], Mapping[str, Any]],
    previews_of: Collection[str] = (),
) -> AsyncIterator[bytes]:
    """Events of every job, pictures in the making only of the jobs ``previews_of``, and ``status`` first and when it
    changed. ``read_status`` may block.
    """
    with streams.reading(subscription):
        shown: Mapping[str, Any] | None = None
        due = spoke = time.monotonic()
        while True:
            item = await subscription.receive_async(max(0.0, due - time.monotonic()))
            now = time.monotonic()
            if item is None and subscription.closed:
                return
            if item is not None and (isinstance(item, Job) or item.type != "preview" or item.job_id in previews_of):
                yield event_frame(item)
                spoke = now
            if isinstance(item, Job) or (item is not None and item.type not in _WITHIN_A_RUN):
                due = min(due, now + _STATUS_PAUSE_S)  # ten jobs cancelled at once make one status, not ten
            if now >= due:
                due = now + STATUS_S
                status = await asyncio.to_thread(read_status)
                if status != shown or now - spoke >= HEARTBEAT_S:
                    yield frame("status", status)
                    shown, spoke = status, now
