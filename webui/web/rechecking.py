"""Answers without an end, such as event streams, of people who were logged out meanwhile: they end too.

Who asks is found out when a request comes. While its answer goes on, that is asked again now and then, with what is
sent next: event streams send something every 15 s at least.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from starlette.types import Message, Receive, Scope, Send

RECHECK_S = 15.0

Still = Callable[[], Awaitable[bool]]
"""Whether who asked may still."""


def rechecked(scope: Scope, receive: Receive, send: Send, still: Still) -> tuple[Scope, Receive, Send]:
    """What an application is called with in their place."""
    due = time.monotonic() + RECHECK_S
    ended = asyncio.Event()

    async def checked(message: Message) -> None:
        nonlocal due
        if ended.is_set():
            return
        goes_on = message["type"] == "http.response.body" and message.get("more_body", False)
        if goes_on and time.monotonic() >= due:
            due = time.monotonic() + RECHECK_S
            if not await still():
                ended.set()
                await send({"type": "http.response.body", "body": b"", "more_body": False})
                return
        await send(message)

    async def told() -> Message:
        """As ``receive``, and a disconnect once we ended the answer."""
        received, over = asyncio.ensure_future(receive()), asyncio.ensure_future(ended.wait())
        try:
            await asyncio.wait({received, over}, return_when=asyncio.FIRST_COMPLETED)
            return received.result() if received.done() else {"type": "http.disconnect"}
        finally:
            received.cancel()
            over.cancel()

    # From 2.4 on Starlette listens for no disconnect, and a stream would be written on into nothing.
    return {**scope, "asgi": {**scope.get("asgi", {}), "spec_version": "2.3"}}, told, checked
