"""From a pipeline and the size of a set to the runs that make it: picture i has seed + i, and prompt i where there are
several.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .parameters import describe
from .specs import PipelineSpec

SEED = "seed"
COUNTS = ("samples", "batch_count")
"""Parameters that say how many pictures a run makes, picture i with seed + i."""
_CHUNK = 64
"""Pictures of one run: few enough to be told of often."""


@dataclass(frozen=True)
class SetRun:
    """A run that makes pictures ``start`` .. ``start + count - 1`` of a set, as its artifacts 0 .. count - 1. (1.5)"""

    start: int
    count: int
    params: Mapping[str, Any]


def set_runs(
    spec: PipelineSpec,
    params: Mapping[str, Any],
    *,
    seed: int,
    start: int,
    count: int,
    prompts: Sequence[str] = (),
) -> Iterator[SetRun]:
    """The runs of ``spec`` that make pictures ``start`` .. ``start + count - 1`` of a set. (1.5)

    Picture i has seed + i, and prompt i of ``prompts``, again from the first when they are used up. A run makes up to
    64 pictures where the pipeline makes several of one prompt. Raises ValueError for a pipeline without a seed, or
    without a prompt where there are ``prompts``.
    """
    known = {row.name for row in describe(spec.params)}
    if SEED not in known:
        raise ValueError(f"{spec.title} has no seed: pictures of a set must differ, and be made again")
    if prompts and "prompt" not in known:
        raise ValueError(f"{spec.title} takes no prompt")
    counted = next((name for name in COUNTS if name in known), "")
    batch = int(params.get("batch_size") or 1) if "batch_size" in known else 1
    step = max(1, _CHUNK // batch) * batch if counted and not prompts else 1
    for at in range(start, start + count, step):
        size = min(step, start + count - at)
        said = {**params, SEED: seed + at}
        if prompts:
            said["prompt"] = prompts[at % len(prompts)]
        yield SetRun(at, size, {**said, **_counted(counted, size, batch, "batch_size" in known)})


def _counted(name: str, count: int, batch: int, batched: bool) -> dict[str, Any]:
    """What makes a run give ``count`` pictures, or a few more."""
    if not name:
        return {}
    if name == "samples":
        return {name: count}
    size = min(batch, count)
    return {name: -(-count // size), **({"batch_size": size} if batched else {})}
