"""Drawing for training, here or in further processes: subjects -> arrays of pixels. Light, so that those start fast."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial

import numpy as np
from numpy.typing import NDArray

from .world import Subject, draw, feature_mask, line_drawing

Pixels = NDArray[np.uint8]

_WORTH_SHARING = 8
_helpers: ContextVar[tuple[ProcessPoolExecutor, int] | None] = ContextVar("drawing helpers", default=None)


@contextmanager
def drawing_processes(count: int) -> Iterator[None]:
    """Within this block `draw_all` shares its work among `count` processes; 0 or 1 leave it to this one.

    The pictures are the same either way.
    """
    if count < 2:
        yield
        return
    # Not forked: the parent may hold a GPU's context, which does not survive it.
    with ProcessPoolExecutor(count, mp_context=multiprocessing.get_context("spawn")) as pool:
        token = _helpers.set((pool, count))
        try:
            yield
        finally:
            _helpers.reset(token)


def draw_all(subjects: Sequence[Subject], size: int, what: Callable[[Subject, int], Pixels]) -> list[Pixels]:
    """`what` (one of this module's functions) of every subject, in their order."""
    helpers = _helpers.get()
    if helpers is None or len(subjects) < _WORTH_SHARING:
        return [what(s, size) for s in subjects]
    pool, count = helpers
    return list(pool.map(partial(what, size=size), subjects, chunksize=-(-len(subjects) // count)))


def picture(subject: Subject, size: int) -> Pixels:
    """uint8 [size,size,3]."""
    return np.asarray(draw(subject, size))


def mask(subject: Subject, size: int) -> Pixels:
    """uint8 [size,size]: 255 where small things matter: a face's features, a building, an animal, sun and moon."""
    return np.asarray(feature_mask(subject, size))


def lines(subject: Subject, size: int) -> Pixels:
    """uint8 [size,size,3]: dark lines on white."""
    return np.asarray(line_drawing(subject, size))
