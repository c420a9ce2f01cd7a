"""Closes what Gradio leaves open, for tests that build pages."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

import pytest


@contextlib.contextmanager
def closed_loops() -> Iterator[None]:
    """Gradio makes an event loop for each Blocks that is built outside of one, and leaves it open."""
    made: list[asyncio.AbstractEventLoop] = []
    real = asyncio.new_event_loop

    def new() -> asyncio.AbstractEventLoop:
        made.append(real())
        return made[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asyncio, "new_event_loop", new)
        yield
    for loop in made:
        loop.close()
    asyncio.set_event_loop(None)
