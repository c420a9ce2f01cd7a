"""In front of Gradio's events: a file that a request names must be one that was uploaded to Gradio.

Components turn ``{"path": ...}`` in an event's data into an opened file, and not each of them looks where it is. Here
all are looked at, before any component is.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic_core import from_json
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .http_api.errors import problem
from .paths import path_of

_EVENTS = "/gradio_api/"
_BYTES = frozenset({"/gradio_api/upload", "/gradio_api/process_recording"})
"""Take files themselves, as multipart, and name none."""


class FileGuard:
    """ASGI middleware. ``uploads`` is Gradio's folder of uploads and of what it shows."""

    def __init__(self, app: ASGIApp, uploads: Path) -> None:
        self._app = app
        self._uploads = uploads.resolve()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        asks = scope["type"] == "http" and scope["method"] == "POST" and path_of(scope).startswith(_EVENTS)
        if not asks or path_of(scope) in _BYTES:
            await self._app(scope, receive, send)
            return
        body = await _read(receive)
        if body is None:
            return
        try:
            foreign = (
                next((path for path in _paths(from_json(body)) if not self._is_ours(path)), None) if body else None
            )
        except ValueError:
            # Not passed on: another reader might make something of it.
            await problem(400, "The event is not JSON.")(scope, receive, send)
            return
        if foreign is not None:
            await problem(403, "The event names a file that was not uploaded here.", kind="foreign-file")(
                scope, receive, send
            )
            return
        await self._app(scope, _replay(body, receive), send)

    def _is_ours(self, text: str) -> bool:
        """Inside the folder; or no path of a file at all, but some text that an entry of this name may hold as well."""
        if "\0" in text or "://" in text:
            return False
        path = Path(text)
        try:
            inside = path.resolve().is_relative_to(self._uploads)
            return inside or not (path.is_absolute() or ".." in path.parts or path.exists())
        except (OSError, RuntimeError):
            return False


async def _read(receive: Receive) -> bytes | None:
    """The whole body, whose size is limited further out; None where the client has gone."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        body += message.get("body", b"")
        if not message.get("more_body", False):
            return bytes(body)


def _replay(body: bytes, receive: Receive) -> Receive:
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


def _paths(value: Any) -> Iterator[str]:
    """Every text named ``path`` at any depth."""
    waiting = [value]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            if isinstance(node.get("path"), str):
                yield node["path"]
            waiting += node.values()
        elif isinstance(node, list):
            waiting += node
