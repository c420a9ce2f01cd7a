"""Candidates of an edit, one after another: until the judge has nothing left to wish for, each a little bolder than
those before; the best is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from extensions.faces.judging.judge import (
    Read,
    Verdict,
    Wanted,
    compared,
    judged,
    likeness,
    lost_heads,
    read_all,
    wanted_value,
)
from extensions.faces.params_editing import Judged
from extensions.faces.pixels.cutting import cut
from extensions.faces.pixels.regions import Mask
from webui.api import Context

from .placing import Place, blended_in, cut_mask

Settings = Mapping[str, Any]
"""Parameters of what is within, in place of those that the job gives it."""
Make = Callable[[Image.Image, Mask, int, Settings], Image.Image]
"""(the square, the mask in it, seed, settings) -> the square changed."""

_EACH = 2
"""Tries of the same settings, each with its own seed."""


@dataclass(frozen=True)
class Way:
    """How a square is changed, and how bolder each time."""

    make: Make
    edge: int
    """Of the square, in pixels."""
    rungs: Sequence[Settings] = ({},)
    """What each try takes in place of the job's own settings, the mildest first."""
    seeded: bool = True
    """Whether another seed gives another picture; else each rung is tried once."""


@dataclass(frozen=True)
class Try:
    """One candidate that is to be made."""

    seed: int
    settings: Settings


@dataclass(frozen=True)
class Best:
    """The candidate that was kept, and what is to be said of it."""

    picture: Image.Image
    seed: int
    numbers: dict[str, Any]


@dataclass(frozen=True)
class _Made:
    picture: Image.Image
    read: Read
    verdict: Verdict


def planned_tries(seed: int, count: int, rungs: Sequence[Settings], seeded: bool = True) -> list[Try]:
    """At most ``count`` tries: two at each rung, and from the first again after the last, no seed twice; where seeds
    tell nothing, one at each rung.
    """
    if not seeded:
        return [Try(seed, rung) for rung in rungs[:count]]
    return [Try(seed + i, rungs[i // _EACH % len(rungs)]) for i in range(count)]


def best_candidate(context: Context, params: Any, picture: Image.Image, place: Place, way: Way, wish: str) -> Best:
    """At most so many candidates as the job allows, blended: the first that is all that was wished for, else the one
    that the judge likes best.
    """
    asked: Judged = params
    square, small = cut(picture, place.where, way.edge), cut_mask(place, way.edge)
    (before,), heads = read_all(context, asked.judge, [square])
    wanted = wanted_value(wish, heads)
    planned = planned_tries(int(params.seed), asked.tries, way.rungs, way.seeded)
    made: list[_Made] = []
    for one in planned:
        result = blended_in(picture, way.make(square, small, one.seed, one.settings), place, params)
        (after,), _ = read_all(context, asked.judge, [cut(result, place.where, way.edge)])
        made.append(_Made(result, after, judged(before, after, wanted)))
        if made[-1].verdict.good:
            break
    chosen = max(range(len(made)), key=lambda i: made[i].verdict)
    best = made[chosen]
    numbers = {
        "judge": asked.judge,
        **compared(before, best.read, heads, wanted),
        **_told(before, best, wanted),
        "candidates": [_row(one, before, candidate) for one, candidate in zip(planned, made, strict=False)],
        "kept_seed": planned[chosen].seed,
        **_where(picture, best.picture, place),
    }
    return Best(best.picture, planned[chosen].seed, numbers)


def _told(before: Read, best: _Made, wanted: Wanted | None) -> dict[str, Any]:
    if wanted is None:
        return {}
    return {"reached": best.verdict.reached, "lost": lost_heads(before, best.read, wanted)}


def _row(one: Try, before: Read, made: _Made) -> dict[str, Any]:
    row = {"seed": one.seed, "score": round(made.verdict.score, 4), "likeness": round(likeness(before, made.read), 4)}
    return {**row, "reached": made.verdict.reached, "lost": -made.verdict.kept, **one.settings}


def _where(before: Image.Image, after: Image.Image, place: Place) -> dict[str, Any]:
    """How much changed, and where."""
    changed = (np.asarray(after) != np.asarray(before)).any(2)
    return {
        "changed_share": round(float(changed.mean()), 5),
        "changed_outside_of_the_mask": int((changed & (place.mask <= 0)).sum()),
        "face": place.face.told(),
    }
