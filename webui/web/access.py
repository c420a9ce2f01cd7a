"""In front of every route, Gradio's included: who may ask. Loopback needs no login; anything wider needs the token.

The token is made at each start, or given in LIFELIKE_ACCESS_TOKEN. It comes as ``?token=`` in the link that the start
prints (and is exchanged at once for a cookie, so that it does not stay in the address), as ``Authorization: Bearer``,
or as the password of ``Authorization: Basic``.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import html
import math
import re
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from webui.core.errors import SetupError
from webui.core.settings import TOKEN_VARIABLE, is_loopback

from .http_api.errors import problem

HOSTS_VARIABLE = "LIFELIKE_TRUSTED_HOSTS"
MIN_TOKEN_LENGTH = 16
COOKIE_SECONDS = 7 * 24 * 3600


@dataclass(frozen=True)
class AccessPolicy:
    """What the guards in front of the routes enforce."""

    token: str = ""
    """Empty: no login."""
    trusted_hosts: tuple[str, ...] = ()
    """Names, beside loopback's own, under which a browser may reach a server without login: a proxy's on this
    machine.
    """

    @staticmethod
    def decide(host: str, environ: Mapping[str, str]) -> AccessPolicy:
        """The policy for listening on ``host``. Raises SetupError for a token that is too short."""
        token = environ.get(TOKEN_VARIABLE, "")
        if token and len(token) < MIN_TOKEN_LENGTH:
            raise SetupError(
                f"the token in {TOKEN_VARIABLE} has {len(token)} characters, expected {MIN_TOKEN_LENGTH} or more.",
                hint="Choose a longer one, or unset the variable to have one made.",
            )
        if not token and not is_loopback(host):
            token = secrets.token_urlsafe(24)
        hosts = tuple(part.strip().lower() for part in environ.get(HOSTS_VARIABLE, "").split(",") if part.strip())
        return AccessPolicy(token, (*hosts, host.lower()))


@dataclass
class GuessLimit:
    """A bucket of wrong guesses for each client address: ``burst`` at once, then one every ``refill_s``."""

    burst: int = 10
    refill_s: float = 6.0
    clock: Callable[[], float] = time.monotonic
    addresses: int = 4096
    """Most addresses remembered; the longest unseen are forgotten first."""
    _spent: OrderedDict[str, tuple[float, float]] = field(default_factory=OrderedDict)

    def wait_s(self, address: str) -> float:
        """Seconds until ``address`` may guess again; 0 when it may now."""
        return max(0.0, (self._now_spent(address) - self.burst + 1) * self.refill_s)

    def wrong(self, address: str) -> None:
        self._spent[address] = (self._now_spent(address) + 1, self.clock())
        self._spent.move_to_end(address)
        while len(self._spent) > self.addresses:
            self._spent.popitem(last=False)

    def _now_spent(self, address: str) -> float:
        spent, when = self._spent.get(address, (0.0, 0.0))
        return max(0.0, spent - (self.clock() - when) / self.refill_s)


class OpenPaths:
    """Paths that are answered without login: what extensions made for people who got a link of their own."""

    _PREFIX = re.compile(r"/ext/[a-z][a-z0-9_]*/(?:[A-Za-z0-9_-]+/)+")

    def __init__(self) -> None:
        self._prefixes: tuple[str, ...] = ()

    def add(self, prefix: str) -> None:
        """Raises ValueError for what is not inside an extension's own path."""
        if not self._PREFIX.fullmatch(prefix):
            raise ValueError(f"expected a path such as /ext/<id>/<name>/, with its last slash, got {prefix!r}")
        self._prefixes = (*self._prefixes, prefix)

    def has(self, path: str) -> bool:
        """Whether ``path`` is one; a path with steps upwards or empty steps never is, whoever would resolve them."""
        if not path.startswith(self._prefixes or ("\0",)) or "\\" in path:
            return False
        return not {"", ".", ".."}.intersection(path.split("/")[1:-1]) and path.rpartition("/")[2] not in (".", "..")


class AccessGuard:
    """ASGI middleware: passes who holds the token or its cookie, answers 401 to others and 429 to guessers. What is in
    ``open_paths`` needs neither.

    A cookie is judged before the bucket, since it cannot be guessed: someone else's wrong guesses from the same address
    (a tunnel's) do not lock out who is in already.
    """

    def __init__(
        self, app: ASGIApp, token: str, limit: GuessLimit | None = None, open_paths: OpenPaths | None = None
    ) -> None:
        self._app = app
        self._token = token.encode()
        self._limit = limit or GuessLimit()
        self._open = open_paths or OpenPaths()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        free = scope["type"] == "lifespan" or (scope["type"] == "http" and self._open.has(scope["path"]))
        if not self._token or free:
            await self._app(scope, receive, send)
            return
        request = HTTPConnection(scope)
        if self._cookie_is_good(request.cookies.get(self._cookie_name(scope), "")):
            await self._app(scope, receive, send)
            return
        asked = request.query_params.get("token", "") if scope.get("method") in ("GET", "HEAD") else ""
        given = asked or _credentials(Headers(scope=scope))
        refusal = self._judge(given, request.client.host if request.client else "")
        if refusal is None and not asked:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": "login needed"})
        else:
            response = self._welcome(scope) if refusal is None else refusal(request)
            await response(scope, receive, send)

    def _judge(self, given: str, address: str) -> Callable[[HTTPConnection], Response] | None:
        """None where ``given`` is the token, else what makes the refusal."""
        if not given:
            return _ask_for_token
        wait_s = self._limit.wait_s(address)
        if wait_s > 0:
            return lambda request: _too_many(wait_s)
        if not hmac.compare_digest(given.encode(), self._token):
            self._limit.wrong(address)
            return _ask_for_token
        return None

    def _welcome(self, scope: Scope) -> Response:
        """The same address without the token, and a cookie that lasts a week."""
        query = [
            (k, v)
            for k, v in parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
            if k != "token"
        ]
        # One leading slash only: "//host/" would lead to another server.
        path = "/" + scope["path"].lstrip("/\\")
        response = RedirectResponse(path + ("?" + urlencode(query) if query else ""), 303)
        expires = int(time.time()) + COOKIE_SECONDS
        response.set_cookie(
            self._cookie_name(scope), f"{expires}.{self._sign(expires)}", max_age=COOKIE_SECONDS,
            httponly=True, samesite="lax", secure=scope.get("scheme") == "https",
        )  # fmt: skip
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers["Cache-Control"] = "no-store"
        return response

    def _sign(self, expires: int) -> str:
        return hmac.new(self._token, f"lifelike cookie {expires}".encode(), hashlib.sha256).hexdigest()

    def _cookie_is_good(self, cookie: str) -> bool:
        expires, _, signature = cookie.partition(".")
        if not (expires.isascii() and expires.isdecimal() and len(expires) < 20) or int(expires) < time.time():
            return False
        return hmac.compare_digest(signature.encode(), self._sign(int(expires)).encode())

    @staticmethod
    def _cookie_name(scope: Scope) -> str:
        """Cookies do not tell ports apart, so the name does: two servers on one host do not log each other out."""
        server = scope.get("server")
        return f"lifelike_access_{server[1] if server else 0}"


def _credentials(headers: Headers) -> str:
    """The token in an Authorization header: Bearer, or the password of Basic, which is all that some clients know."""
    scheme, _, credentials = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(credentials.strip(), validate=True).decode().partition(":")[2]
        except ValueError:
            return ""
    return credentials.strip() if scheme.lower() == "bearer" else ""


def _too_many(wait_s: float) -> Response:
    seconds = str(math.ceil(wait_s))
    return problem(
        429,
        f"Too many wrong tokens; try again in {seconds} s.",
        kind="too-many-guesses",
        headers={"Retry-After": seconds},
    )


def _ask_for_token(request: HTTPConnection) -> Response:
    """A page with a field where a person asks, a problem document where a program does."""
    if "text/html" in request.headers.get("accept", ""):
        action = html.escape("/" + request.url.path.lstrip("/\\"), quote=True)
        return HTMLResponse(_PAGE.replace("ACTION", action), 401)
    return problem(
        401,
        "This server needs its access token.",
        kind="login-needed",
        hint="Open the link that the server printed at its start, or send the header: Authorization: Bearer TOKEN",
        headers={"WWW-Authenticate": 'Bearer realm="Lifelike"'},
    )


_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Lifelike</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:26rem;margin:15vh auto;padding:0 1rem;color-scheme:light dark}
input,button{font:inherit;padding:.5rem;box-sizing:border-box;width:100%;margin-top:.5rem}</style>
<h1>Lifelike</h1>
<form method="get" action="ACTION">
<label for="token">Access token, from the server's start
<span lang="zh-CN">（访问令牌，服务器启动时显示）</span></label>
<input id="token" name="token" type="password" autocomplete="current-password" required autofocus>
<button>Open</button>
</form></html>
"""
