"""The application's parts as those who ask may see them: wrapped once around what the composition root gave, where the
server asks for a login.

A guest's jobs, pictures and uploads are looked up as if there were no others. Each call asks ``principal`` anew, so
that no route, event or tool can forget to.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from webui.accounts.people import Scope
from webui.core.errors import NotFound
from webui.core.guests import is_guest
from webui.core.jobs import Job, JobState, MemoryCommand

from .principal import Principal, asking
from .quotas import check_room
from .services import Services

if TYPE_CHECKING:
    from webui.library.library import Library
    from webui.library.uploads import UploadStore
    from webui.queue.hub import Item, Subscription
    from webui.queue.service import JobService


Jobs = list[Job]
Rows = list[dict[str, Any]]


def scoped(services: Services) -> Services:
    """``services`` for the routes of a server that asks for a login."""
    return replace(
        services,
        jobs=cast("JobService", ScopedJobs(services.jobs)),
        library=cast("Library", _ScopedLibrary(services.library)),
        uploads=cast("UploadStore", _ScopedUploads(services.uploads, services.library)),
        asks_login=True,
    )


class ScopedJobs:
    """``JobService`` of who asks."""

    def __init__(self, jobs: JobService) -> None:
        self._jobs = jobs

    def submit(self, pipeline: str, raw: Mapping[str, Any], owner: str = "") -> Job:
        """Whatever ``owner`` a caller says, it is who asks. Raises Forbidden, Conflict, NotFound, ParameterError."""
        who = self._with_room()
        return self._jobs.submit(pipeline, raw, who.job_owner)

    def get(self, job_id: str) -> Job:
        """Raises NotFound, for another's as for one that there is not."""
        job = self._jobs.get(job_id)
        who = asking()
        if who.is_guest and job.owner != who.job_owner:
            raise NotFound(f"there is no job {job_id!r}.", hint="It may have been cleared away.")
        return job

    def list(
        self, state: str | None = None, owner: str | None = None, limit: int = 50, before: str | None = None
    ) -> Jobs:
        return self._jobs.list(state, self._owner(owner), limit, before)

    def counts(self, owner: str | None = None) -> dict[JobState, int]:
        return self._jobs.counts(self._owner(owner))

    def seconds_used(self, owner: str, since: float) -> float:
        return self._jobs.seconds_used(self._owner(owner) or owner, since)

    def cancel(self, job_id: str) -> Job:
        asking().need(Scope.GENERATE)
        return self._jobs.cancel(self.get(job_id).id)

    def retry(self, job_id: str) -> Job:
        job = self.get(job_id)
        self._with_room()
        return self._jobs.retry(job.id)

    def subscribe(self, job_id: str | None = None) -> Subscription:
        who = asking()
        if job_id is not None:
            return self._jobs.subscribe(self.get(job_id).id)
        everything = self._jobs.subscribe(None)
        return cast("Subscription", _OwnEvents(everything, self._jobs, who)) if who.is_guest else everything

    def workers(self) -> Rows:
        """A guest hears what the machine is, and neither what else runs on it nor which process that is."""
        rows = self._jobs.workers()
        if not asking().is_guest:
            return rows
        return [{**row, "pid": None, "job_id": None, "memory": None} for row in rows]

    def tell_workers(self, command: MemoryCommand, name: str = "") -> int:
        asking().need(Scope.ADMIN)
        return self._jobs.tell_workers(command, name)

    def _with_room(self) -> Principal:
        who = asking()
        who.need(Scope.GENERATE)
        if who.is_guest:
            check_room(self._jobs, who.job_owner, who.quota)
        return who

    @staticmethod
    def _owner(owner: str | None) -> str | None:
        who = asking()
        return who.job_owner if who.is_guest else owner


class _OwnEvents:
    """A ``Subscription`` to everything that passes on what concerns one guest's jobs alone."""

    def __init__(self, inner: Subscription, jobs: JobService, who: Principal) -> None:
        self._inner = inner
        self._jobs = jobs
        self._owner = who.job_owner
        self._known: dict[str, bool] = {}

    def close(self) -> None:
        self._inner.close()

    @property
    def closed(self) -> bool:
        return self._inner.closed

    async def receive_async(self, timeout_s: float | None = None) -> Item | None:
        deadline = time.monotonic() + (timeout_s if timeout_s is not None else 3600.0)
        while True:
            item = await self._inner.receive_async(max(0.0, deadline - time.monotonic()))
            if item is None or await self._is_own(item):
                return item
            if time.monotonic() >= deadline:
                return None

    async def _is_own(self, item: Item) -> bool:
        if isinstance(item, Job):
            return item.owner == self._owner
        if item.job_id not in self._known:
            if len(self._known) > 10_000:
                self._known.clear()
            self._known[item.job_id] = await asyncio.to_thread(self._owns, item.job_id)
        return self._known[item.job_id]

    def _owns(self, job_id: str) -> bool:
        try:
            return self._jobs.get(job_id).owner == self._owner
        except NotFound:
            return False


class _ScopedLibrary:
    """``Library`` of who asks: a guest's is the part of it that lies in the guest's folder."""

    def __init__(self, library: Library) -> None:
        self._library = library

    def __getattr__(self, name: str) -> Any:
        return getattr(self._library.within(asking().folder), name)


class _ScopedUploads:
    """``UploadStore`` of who asks: guests open what they sent themselves. Artifacts are looked up in the library of who
    asks.
    """

    def __init__(self, uploads: UploadStore, library: Library) -> None:
        self._uploads = uploads
        self._library = library

    def __getattr__(self, name: str) -> Any:
        return getattr(self._uploads, name)

    def path(self, ref: str, **options: Any) -> Path:
        self._check(ref)
        return self._uploads.path(ref, **options)

    def open_image(self, ref: str, **options: Any) -> Any:
        self._check(ref)
        return self._uploads.open_image(ref, **options)

    def put(self, data: bytes, name: str = "", **options: Any) -> str:
        return self._claimed(self._uploads.put(data, name, **options))

    def intern(self, value: str, **options: Any) -> str:
        self._check(value)
        ref = self._uploads.intern(value, **options)
        return ref if ref == value else self._claimed(ref)

    def _claimed(self, ref: str) -> str:
        owner = asking().job_owner
        if is_guest(owner):
            self._uploads.claim(ref, owner)
        return ref

    def _check(self, ref: str) -> None:
        """Raises NotFound."""
        if ref.startswith("artifact:"):
            self._library.within(asking().folder).get(ref[len("artifact:") :])
            return
        owner = asking().job_owner
        if ref.startswith("upload:") and is_guest(owner) and not self._uploads.is_from(ref, owner):
            raise NotFound(f"there is no upload {ref[:90]}.", hint="Send the file again.")


__all__ = ["ScopedJobs", "scoped"]
