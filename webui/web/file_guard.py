"""In front of Gradio's events: a file that a request names must have been uploaded, or shown, in the same session.

Components turn ``{"path": ...}`` in an event's data into an opened file, and not each of them looks where it is, and
none whose it is. Here all are looked at, before any component is. What answers name is noted on their way out: an event
may give back a picture that the page was given.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic_core import from_json
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .http_api.errors import problem
from .paths import path_of
from .principal import SCOPE_KEY, Principal

_EVENTS = "/gradio_api/"
_FILE = "/gradio_api/file="
_PAGE = frozenset({"/", "/config"})
"""Name files that are the same for everyone."""
_NAMED = re.compile(rb'"path":\s*("(?:[^"\\]|\\.)*")')
MAX_SESSIONS, MAX_FILES = 1000, 5000
EVERYONE = "everyone"
_BYTES = frozenset({"/gradio_api/upload", "/gradio_api/process_recording"})
"""Take files themselves, as multipart, and name none."""


class SessionFiles:
    """Which files each session uploaded or was shown; of those longest ago nothing is known any more."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, OrderedDict[Path, None]] = OrderedDict()

    def add(self, session: str, path: Path) -> None:
        files = self._known.setdefault(session, OrderedDict())
        files[path] = None
        files.move_to_end(path)
        self._known.move_to_end(session)
        if len(files) > MAX_FILES:
            files.popitem(last=False)
        if len(self._known) > MAX_SESSIONS:
            self._known.popitem(last=False)

    def has(self, session: str, path: Path) -> bool:
        return any(path in self._known.get(one, ()) for one in (session, EVERYONE))


def _session(scope: Scope) -> str:
    """Whose a request is: a login session, a token's person, or the one user of a machine without a login."""
    principal = scope.get(SCOPE_KEY)
    if not isinstance(principal, Principal):
        return "machine"
    return f"{principal.way}:{principal.name}:{principal.session_id}"


class FileGuard:
    """ASGI middleware. ``uploads`` is Gradio's folder of uploads and of what it shows."""

    def __init__(self, app: ASGIApp, uploads: Path) -> None:
        self._app = app
        self._uploads = uploads.resolve()
        self._files = SessionFiles()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = path_of(scope) if scope["type"] == "http" else ""
        if not (path.startswith(_EVENTS) or path in _PAGE):
            await self._app(scope, receive, send)
            return
        session = _session(scope)
        noting = self._noting(EVERYONE if path in _PAGE else session, path, send)
        if path.startswith(_FILE) and not self._may_see(path[len(_FILE) :], session):
            await _foreign(scope, receive, send)
        elif scope["method"] != "POST" or path in _BYTES or not path.startswith(_EVENTS):
            await self._app(scope, receive, noting)
        elif (body := await _read(receive)) is not None:
            await self._event(body, session, scope, receive, noting)

    async def _event(self, body: bytes, session: str, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            named = list(_paths(from_json(body))) if body else []
        except ValueError:
            # Not passed on: another reader might make something of it.
            await problem(400, "The event is not JSON.")(scope, receive, send)
            return
        if all(self._is_ours(path, session) for path in named):
            await self._app(scope, _replay(body, receive), send)
        else:
            await _foreign(scope, receive, send)

    def _noting(self, session: str, path: str, send: Send) -> Send:
        """``send`` that keeps in mind which files an answer names."""
        said = ""

        async def noted(message: Message) -> None:
            nonlocal said
            if message["type"] == "http.response.start":
                said = Headers(raw=message["headers"]).get("content-type", "")
            elif message["type"] == "http.response.body" and said.startswith(("application/json", "text/")):
                self._note(session, message.get("body", b""), uploaded=path in _BYTES)
            await send(message)

        return noted

    def _note(self, session: str, body: bytes, *, uploaded: bool) -> None:
        try:
            found = from_json(body) if uploaded and body else [from_json(text) for text in _NAMED.findall(body)]
        except ValueError:
            return
        for text in found if isinstance(found, list) else ():
            if isinstance(text, str) and (path := self._inside(text)) is not None:
                self._files.add(session, path)

    def _inside(self, text: str) -> Path | None:
        """The file that ``text`` names in Gradio's folder."""
        try:
            path = Path(text).resolve()
            return path if "\0" not in text and path.is_relative_to(self._uploads) else None
        except (OSError, RuntimeError, ValueError):
            return None

    def _may_see(self, text: str, session: str) -> bool:
        """Files elsewhere are for Gradio's own rules to judge."""
        path = self._inside(text)
        return path is None or self._files.has(session, path)

    def _is_ours(self, text: str, session: str) -> bool:
        """Known to the session; or no path of a file at all, but some text that an entry of this name may hold."""
        if "\0" in text or "://" in text:
            return False
        if (inside := self._inside(text)) is not None:
            return self._files.has(session, inside)
        path = Path(text)
        try:
            return not (path.is_absolute() or ".." in path.parts or path.exists())
        except (OSError, RuntimeError):
            return False


async def _foreign(scope: Scope, receive: Receive, send: Send) -> None:
    answer = problem(
        403,
        "The request names a file that was not uploaded in this session.",
        kind="foreign-file",
        hint="Choose the file once more.",
    )
    await answer(scope, receive, send)


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
