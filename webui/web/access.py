"""In front of every route, Gradio's included: who may ask, and what. Loopback needs no login; anything wider does.

People log in with a name and a password, or by a link that is good once, and have a cookie then. Programs send a token
as ``Authorization: Bearer``, or as the password of ``Authorization: Basic``. LIFELIKE_ACCESS_TOKEN gives the owner's
token for one start, for machines where nobody is there to make an account; it may also come as ``?token=`` in a link,
and is exchanged for a cookie at once, so that it does not stay in the address.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from webui.core.errors import Forbidden, SetupError
from webui.core.settings import TOKEN_VARIABLE, Settings

from .doors import Doors, secret_in
from .guessing import GuessLimit, OpenPaths
from .http_api.errors import problem
from .paths import path_of
from .permissions import needed
from .principal import Principal, acting_for, put_on
from .rechecking import rechecked

HOSTS_VARIABLE = "LIFELIKE_TRUSTED_HOSTS"
MIN_TOKEN_LENGTH = 16
LOGIN_PATH, LOGOUT_PATH = "/login", "/logout"


@dataclass(frozen=True)
class AccessPolicy:
    """What the guards in front of the routes enforce."""

    token: str = ""
    """The owner's, given for this start; empty where accounts alone open."""
    trusted_hosts: tuple[str, ...] = ()
    """Names, beside loopback's own, under which a browser may reach a server without login: a proxy's on this
    machine.
    """
    login: bool = False
    """Whether everyone logs in; a token asks for it as well."""

    @property
    def asks(self) -> bool:
        return self.login or bool(self.token)

    @staticmethod
    def decide(settings: Settings, environ: Mapping[str, str]) -> AccessPolicy:
        """The policy for what ``settings`` open. Raises SetupError for a token that is too short."""
        token = environ.get(TOKEN_VARIABLE, "")
        if token and len(token) < MIN_TOKEN_LENGTH:
            raise SetupError(
                f"the token in {TOKEN_VARIABLE} has {len(token)} characters, expected {MIN_TOKEN_LENGTH} or more.",
                hint="Choose a longer one, or unset the variable and make an account: launch.py user add NAME --owner",
            )
        hosts = tuple(part.strip().lower() for part in environ.get(HOSTS_VARIABLE, "").split(",") if part.strip())
        return AccessPolicy(token, (*hosts, settings.host.lower()), settings.asks_login)


class AccessGuard:
    """ASGI middleware: finds out who asks and whether they may, and tells those behind it (``principal``). 401 to
    strangers, 403 where a right is missing, 429 to guessers. What is in ``open_paths``, and the login, need neither.

    A cookie is judged before the bucket, since it cannot be guessed: someone else's wrong guesses from the same address
    (a tunnel's) do not lock out who is in already.
    """

    def __init__(
        self, app: ASGIApp, doors: Doors, limit: GuessLimit | None = None, open_paths: OpenPaths | None = None
    ) -> None:
        self._app = app
        self._doors = doors
        self._limit = limit or GuessLimit()
        self._open = open_paths or OpenPaths()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or (scope["type"] == "http" and self._is_open(path_of(scope))):
            await self._app(scope, receive, send)
            return
        met: Principal | Response | None = await run_in_threadpool(self._doors.by_cookie, scope)
        if met is None:
            met = await self._by_secret(scope)
        if isinstance(met, Principal):
            met = self._allowed(scope, met)
        if isinstance(met, Principal):
            put_on(scope, met)
            with acting_for(met):
                await self._app(*self._watched(scope, receive, send, met))
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": "login needed"})
        else:
            await met(scope, receive, send)

    def _watched(self, scope: Scope, receive: Receive, send: Send, met: Principal) -> tuple[Scope, Receive, Send]:
        """An answer that does not end goes on for as long as who asked may."""
        if scope["type"] != "http" or scope["method"] != "GET":
            return scope, receive, send

        async def still() -> bool:
            if met.session_id is not None:
                return await run_in_threadpool(self._doors.by_cookie, scope) == met
            secret = secret_in(Headers(scope=scope))
            return not secret or await run_in_threadpool(self._doors.by_secret, secret) == met

        return rechecked(scope, receive, send, still)

    def _is_open(self, path: str) -> bool:
        return path in (LOGIN_PATH, LOGOUT_PATH) or path.startswith(LOGIN_PATH + "/") or self._open.has(path)

    def _allowed(self, scope: Scope, principal: Principal) -> Principal | Response:
        try:
            principal.need(needed(scope.get("method", "GET"), path_of(scope)))
        except Forbidden as error:
            return problem(403, error.message, kind="forbidden", hint=error.hint)
        return principal

    async def _by_secret(self, scope: Scope) -> Principal | Response:
        """Who a program is, or the answer to one that is nobody."""
        request = HTTPConnection(scope)
        asked = request.query_params.get("token", "") if scope.get("method") in ("GET", "HEAD") else ""
        given = asked or secret_in(Headers(scope=scope))
        if not given:
            return _ask_to_log_in(request)
        address = address_of(scope)
        wait_s = self._limit.wait_s(address)
        if wait_s > 0:
            return too_many(wait_s)
        if asked:
            if self._doors.is_start_token(asked):
                return self._welcome(scope)
        elif (principal := await run_in_threadpool(self._doors.by_secret, given)) is not None:
            return principal
        self._limit.wrong(address)
        return _ask_to_log_in(request)

    def _welcome(self, scope: Scope) -> Response:
        """The same address without the token, and a cookie."""
        pairs = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        query = [(key, value) for key, value in pairs if key != "token"]
        # One leading slash only: "//host/" would lead to another server.
        path = scope.get("root_path", "") + "/" + path_of(scope).lstrip("/\\")
        response = RedirectResponse(path + ("?" + urlencode(query) if query else ""), 303)
        self._doors.give_cookie(response, scope)
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers["Cache-Control"] = "no-store"
        return response


def address_of(scope: Scope) -> str:
    """Of the client, for counting its wrong guesses."""
    return str(scope["client"][0]) if scope.get("client") else ""


def too_many(wait_s: float) -> Response:
    seconds = str(math.ceil(wait_s))
    return problem(
        429,
        f"Too many wrong tries; try again in {seconds} s.",
        kind="too-many-guesses",
        headers={"Retry-After": seconds},
    )


def _ask_to_log_in(request: HTTPConnection) -> Response:
    """The login page where a person asks, a problem document where a program does."""
    if "text/html" in request.headers.get("accept", "") and request.scope.get("method") in ("GET", "HEAD"):
        query = request.scope["query_string"].decode("latin-1")
        wanted = "/" + path_of(request.scope).lstrip("/\\") + (f"?{query}" if query else "")
        root = str(request.scope.get("root_path", ""))
        return RedirectResponse(f"{root}{LOGIN_PATH}?{urlencode({'next': wanted})}", 303, {"Cache-Control": "no-store"})
    return problem(
        401,
        "This server asks for a login.",
        kind="login-needed",
        hint="People log in at /login. Programs send a token: Authorization: Bearer TOKEN (launch.py user token NAME)",
        headers={"WWW-Authenticate": 'Bearer realm="Lifelike"'},
    )
