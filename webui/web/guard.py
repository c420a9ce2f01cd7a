"""In front of every route: what a request may look like (Host, Origin, size), and the headers that each answer
carries.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .http_api.errors import ProblemResponse, TooLarge, problem
from .paths import path_of

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

PAGE_POLICY = "; ".join(
    (
        # Nothing is loaded from, or sent to, another machine; the browser itself holds us to it.
        "default-src 'self'",
        # Gradio's page needs inline scripts, and compiles the `js=` of its events.
        "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "media-src 'self' data: blob:",
        "font-src 'self' data:",
        "connect-src 'self' data: blob:",
        "worker-src 'self' blob:",
        "frame-src 'self' data: blob:",
        "frame-ancestors 'self'",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
    )
)


async def _refuse(answer: ProblemResponse, scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": "refused"})
    else:
        await answer(scope, receive, send)


class HostGuard:
    """Without login, only requests that name this machine: a page whose own name was pointed at 127.0.0.1 (DNS
    rebinding) is of the same origin to the browser, and its Host header is the only thing that gives it away.
    """

    def __init__(self, app: ASGIApp, trusted: tuple[str, ...]) -> None:
        self._app = app
        self._trusted = frozenset(trusted)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or self._accepts(Headers(scope=scope).get("host", "")):
            await self._app(scope, receive, send)
            return
        answer = problem(
            421,
            "This server does not answer under that name.",
            kind="unknown-host",
            hint="Use http://127.0.0.1 or localhost. A proxy's name can be allowed in LIFELIKE_TRUSTED_HOSTS.",
        )
        await _refuse(answer, scope, receive, send)

    def _accepts(self, header: str) -> bool:
        try:
            name = urlsplit(f"//{header}").hostname or ""
        except ValueError:
            return False
        if name == "localhost" or name.endswith(".localhost") or name in self._trusted:
            return True
        try:
            return ipaddress.ip_address(name).is_loopback
        except ValueError:
            return False


class OriginGuard:
    """Refuses requests that change something when a page of another origin sent them (cross-site request forgery).

    Sec-Fetch-Site is believed first: a page's scripts cannot set it, and it stays right behind a proxy that renames the
    host. Browsers leave it out on plain http to other machines; there Origin must be the address that was asked. A
    request with neither comes from no page.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        changes = scope["type"] == "websocket" or (scope["type"] == "http" and scope["method"] not in SAFE_METHODS)
        if not changes or self._is_ours(Headers(scope=scope)):
            await self._app(scope, receive, send)
            return
        answer = problem(403, "A page of another site sent this request.", kind="cross-site")
        await _refuse(answer, scope, receive, send)

    @staticmethod
    def _is_ours(headers: Headers) -> bool:
        site = headers.get("sec-fetch-site")
        if site is not None:
            return site in ("same-origin", "none")
        origin = headers.get("origin")
        return origin is None or urlsplit(origin).netloc.lower() == headers.get("host", "").lower() != ""


class BodyLimit:
    """Refuses a body larger than ``limit_bytes`` while it arrives, whatever its Content-Length says."""

    def __init__(self, app: ASGIApp, limit_bytes: int) -> None:
        self._app = app
        self._limit = limit_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        said = Headers(scope=scope).get("content-length", "0")
        if not (said.isascii() and said.isdecimal()) or int(said) > self._limit:
            await problem(413, TooLarge(self._limit).detail, kind="too-large")(scope, receive, send)
            return
        met, answered = 0, False

        async def counted() -> Message:
            nonlocal met
            message = await receive()
            met += len(message.get("body", b""))
            if met > self._limit:
                raise TooLarge(self._limit)
            return message

        async def noted(message: Message) -> None:
            nonlocal answered
            answered = True
            await send(message)

        try:
            await self._app(scope, counted, noted)
        except TooLarge as error:
            # A route turns it into an answer of its own; one of the guards behind this one that reads the body does
            # not.
            if answered:
                raise
            await problem(413, error.detail, kind="too-large")(scope, receive, send)


class AnswerHeaders:
    """Puts the security headers on each answer that does not set them itself, and tells of the first page served."""

    def __init__(self, app: ASGIApp, on_first_page: Callable[[], None]) -> None:
        self._app = app
        self._on_first_page: Callable[[], None] | None = on_first_page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                _add_headers(MutableHeaders(scope=message), path_of(scope))
            await send(message)
            last = message["type"] == "http.response.body" and not message.get("more_body", False)
            if last and path_of(scope) == "/" and self._on_first_page is not None:
                told, self._on_first_page = self._on_first_page, None
                told()

        await self._app(scope, receive, with_headers)


def _add_headers(headers: MutableHeaders, path: str) -> None:
    headers.setdefault("X-Content-Type-Options", "nosniff")
    headers.setdefault("Referrer-Policy", "same-origin")
    headers.setdefault("X-Frame-Options", "SAMEORIGIN")
    headers.setdefault("Cross-Origin-Opener-Policy", "same-origin")
    # Another site's page cannot even show our pictures.
    headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
    if headers.get("content-type", "").startswith("text/html"):
        headers.setdefault("Content-Security-Policy", PAGE_POLICY)
    if path.startswith("/api/"):
        headers.setdefault("Cache-Control", "no-store")
