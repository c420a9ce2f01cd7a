"""How much of a guest's quota is used, between the accounts and the queue."""

from __future__ import annotations

import time

from webui.accounts.store import AccountStore
from webui.core.errors import Conflict, Forbidden, NotFound
from webui.core.guests import UNBOUNDED, Quota, is_guest
from webui.core.jobs import JobState
from webui.queue.service import JobService

DAY_S = 24 * 3600.0


def seconds_left(accounts: AccountStore, jobs: JobService, owner: str) -> float | None:
    """Of the machine's time that ``owner`` has within 24 hours; None where there is no limit. Nothing for a guest whose
    account is gone.
    """
    if not is_guest(owner):
        return None
    try:
        quota = accounts.get(owner).quota
    except NotFound:
        return 0.0
    return _left(jobs, owner, quota)


def quota_of(accounts: AccountStore, owner: str) -> Quota:
    """What runs within a job of ``owner`` may ask for."""
    if not is_guest(owner):
        return UNBOUNDED
    try:
        return accounts.get(owner).quota
    except NotFound:
        return Quota()


def _left(jobs: JobService, owner: str, quota: Quota) -> float | None:
    return max(0.0, quota.minutes * 60 - jobs.seconds_used(owner, time.time() - DAY_S)) if quota.minutes else None


def check_room(jobs: JobService, owner: str, quota: Quota) -> None:
    """Whether a guest may put a further job into the queue. Raises Conflict, Forbidden."""
    counts = jobs.counts(owner)
    active = counts[JobState.QUEUED] + counts[JobState.RUNNING]
    if quota.waiting and active >= quota.waiting:
        raise Conflict(
            f"{active} of your jobs wait or run, and guests may have {quota.waiting}.", hint="Wait for one to end."
        )
    if _left(jobs, owner, quota) == 0.0:
        raise Forbidden(
            f"Your {quota.minutes} minutes of the last 24 hours are used up.", hint="Try again later, or ask the owner."
        )
