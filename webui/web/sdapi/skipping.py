"""``skip``: the pictures at work are given up, and those after them are made. A job ends as a whole, so that they
become a job of their own, whose seeds go on where the first one's would have.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from webui.core.jobs import Job, JobState


def rest_of(params: Mapping[str, Any], at: int) -> tuple[dict[str, Any], int] | None:
    """Parameters for what comes after the batch of picture ``at``, and the place of its first picture; None where
    nothing does, or where the pictures of a job do not follow from their seeds alone.
    """
    size, count, seed = (params.get(name) for name in ("batch_size", "batch_count", "seed"))
    if not (isinstance(size, int) and isinstance(count, int) and isinstance(seed, int)) or params.get("images"):
        return None
    done = at // size + 1
    if done >= count:
        return None
    moved = "variation_seed" if params.get("variation_strength") else "seed"
    return {**params, "batch_count": count - done, moved: int(params[moved]) + done * size}, done * size


def joined(jobs: Sequence[Job], starts: Sequence[int]) -> Job:
    """One job of several that follow each other, with all their pictures in order."""
    made = [
        record.model_copy(update={"index": start + record.index})
        for job, start in zip(jobs, starts, strict=True)
        for record in job.artifacts
    ]
    first, last = jobs[0], jobs[-1]
    told = {"artifacts": tuple(made), "warnings": tuple(dict.fromkeys(line for job in jobs for line in job.warnings))}
    ended = last.state if last.state is not JobState.CANCELLED or not made else JobState.DONE
    return first.model_copy(update={**told, "state": ended, "error": last.error})
