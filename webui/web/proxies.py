"""Outermost of all: puts right, for what comes behind, who asked and under which address, where a proxy or a tunnel
stands before the server.

Headers that tell of it (X-Forwarded-For, -Proto, -Host) are believed of proxies named in the settings alone, and taken
off in any case: nothing behind reads them.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

Origin = Callable[[], tuple[str, str]]
"""Scheme and host of the public address of a tunnel; empty where there is none."""
_TOLD = (b"forwarded", b"x-real-ip", b"x-original-url", b"x-rewrite-url")


class Proxies:
    """ASGI middleware. ``trusted``: addresses or networks; ``root_path``: below which path the studio is shown, which a
    proxy may pass on or take off.
    """

    def __init__(self, app: ASGIApp, trusted: Iterable[str], root_path: str, tunnel: Origin) -> None:
        self._app = app
        self._trusted = [ipaddress.ip_network(one, strict=False) for one in trusted]
        self._root = root_path
        self._tunnel = tunnel

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        seen = dict(scope)
        if scope.get("client") and self._is_trusted(scope["client"][0]):
            self._believe(seen, Headers(scope=scope))
        seen["headers"] = [(name, value) for name, value in seen["headers"] if not _tells(name)]
        scheme, host = self._tunnel()
        if host and Headers(scope=seen).get("host", "").lower() == host:
            seen["scheme"] = scheme
        self._place(seen)
        await self._app(seen, receive, self._rooted(send) if self._root else send)

    def _is_trusted(self, address: str) -> bool:
        try:
            found = ipaddress.ip_address(address)
        except ValueError:
            return False
        mapped = getattr(found, "ipv4_mapped", None)
        return any((mapped or found) in network for network in self._trusted)

    def _believe(self, scope: dict[str, Any], headers: Headers) -> None:
        if client := self._client(headers.get("x-forwarded-for", "")):
            scope["client"] = (client, 0)
        proto = headers.get("x-forwarded-proto", "").rpartition(",")[2].strip().lower()
        if proto in ("http", "https"):
            scope["scheme"] = proto
        host = headers.get("x-forwarded-host", "").rpartition(",")[2].strip()
        if host:
            kept = [(name, value) for name, value in scope["headers"] if name != b"host"]
            scope["headers"] = [*kept, (b"host", host.encode("latin-1"))]

    def _client(self, chain: str) -> str:
        """The last address that none of ours added: whatever stands before it, anyone may have written."""
        for address in reversed([part.strip() for part in chain.split(",") if part.strip()]):
            if not self._is_trusted(address):
                return _plain_address(address)
        return ""

    def _place(self, scope: dict[str, Any]) -> None:
        """Paths have the root before them for all that comes behind, as ASGI says they shall."""
        if not self._root:
            return
        path = scope["path"]
        scope["root_path"] = self._root
        if path != self._root and not path.startswith(self._root + "/"):
            scope["path"] = self._root + path
            if scope.get("raw_path"):
                scope["raw_path"] = self._root.encode() + scope["raw_path"]

    def _rooted(self, send: Send) -> Send:
        """Redirects of routes that know nothing of the root lead below it."""

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                target = headers.get("location", "")
                if target.startswith("/") and target != self._root and not target.startswith((self._root + "/", "//")):
                    headers["location"] = self._root + target
            await send(message)

        return sent


def _tells(name: bytes) -> bool:
    return name.startswith(b"x-forwarded-") or name in _TOLD


def _plain_address(text: str) -> str:
    """Without the port that some proxies add; empty where it is no address."""
    bare = text[1:].partition("]")[0] if text.startswith("[") else text
    if bare.count(":") == 1:
        bare = bare.partition(":")[0]
    try:
        return str(ipaddress.ip_address(bare))
    except ValueError:
        return ""
