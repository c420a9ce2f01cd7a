"""In front of compression: what is the same for everyone until the server ends is made, and compressed, once.

The page is most of it: rendering its half million characters takes a quarter of a second of a core, and meanwhile
nobody else is answered.
"""

from __future__ import annotations

import asyncio
import re
from collections import OrderedDict
from dataclasses import dataclass
from weakref import WeakValueDictionary

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .paths import path_of

_SAME = re.compile(r"/(?:ui/static|assets|static|svelte)/.+|/theme\.css")
"""Files. The page itself, at "/", is the same for everyone too, as long as nothing is asked of it."""
_ASKS = ("range", "if-none-match", "if-modified-since", "if-range")
MAX_ONE_BYTES, MAX_ALL_BYTES = 4 * 2**20, 32 * 2**20

Key = tuple[str, ...]


@dataclass(frozen=True)
class _Answer:
    start: Message
    body: bytes


class KeptAnswers:
    """ASGI middleware. Holds ``MAX_ALL_BYTES`` at most, of what was asked for last."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._kept: OrderedDict[Key, _Answer] = OrderedDict()
        self._bytes = 0
        self._making: WeakValueDictionary[Key, asyncio.Lock] = WeakValueDictionary()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        key = _key(scope)
        if key is None:
            await self._app(scope, receive, send)
            return
        if (answer := self._find(key)) is None:
            # Whoever asks meanwhile waits for the first instead of having it made again.
            lock = self._making.setdefault(key, asyncio.Lock())
            async with lock:
                if (answer := self._find(key)) is None:
                    await self._make(key, scope, receive, send)
                    return
        await send({**answer.start, "headers": list(answer.start["headers"])})
        await send({"type": "http.response.body", "body": answer.body})

    def _find(self, key: Key) -> _Answer | None:
        if key in self._kept:
            self._kept.move_to_end(key)
        return self._kept.get(key)

    async def _make(self, key: Key, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the answer on as it comes, and keep it where it may be kept."""
        start: Message = {}
        body = bytearray()

        async def noted(message: Message) -> None:
            if message["type"] == "http.response.start":
                start.update({**message, "headers": list(message["headers"])})
            elif message["type"] == "http.response.body" and len(body) <= MAX_ONE_BYTES:
                body.extend(message.get("body", b""))
                if not message.get("more_body", False) and _may_be_kept(start) and len(body) <= MAX_ONE_BYTES:
                    self._keep(key, _Answer(start, bytes(body)))
            await send(message)

        await self._app(scope, receive, noted)

    def _keep(self, key: Key, answer: _Answer) -> None:
        self._kept[key] = answer
        self._bytes += len(answer.body)
        while self._bytes > MAX_ALL_BYTES:
            _, oldest = self._kept.popitem(last=False)
            self._bytes -= len(oldest.body)


def _key(scope: Scope) -> Key | None:
    """What the answer to a request depends on; None where it may be another each time."""
    if scope["type"] != "http" or scope["method"] != "GET":
        return None
    path, query = path_of(scope), scope.get("query_string", b"").decode("latin-1")
    if not (_SAME.fullmatch(path) or (path == "/" and not query)):
        return None
    headers = Headers(scope=scope)
    if any(name in headers for name in _ASKS):
        return None
    gzip = "gzip" in headers.get("accept-encoding", "")
    # Gradio writes the address that it was asked under into the page.
    asked = (scope.get("scheme", ""), headers.get("host", ""), str(scope.get("root_path", "")))
    told = tuple(headers.get(f"x-forwarded-{name}", "") for name in ("host", "proto"))
    return (path, query, str(gzip), *asked, *told)


def _may_be_kept(start: Message) -> bool:
    return start.get("status") == 200 and "set-cookie" not in Headers(raw=start["headers"])
