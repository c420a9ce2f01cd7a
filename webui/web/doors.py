"""The ways in, between a request and the accounts: a session's cookie, a token in a header, the token of the start."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
import time
from pathlib import Path

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import Scope as AsgiScope

from webui.accounts.store import SESSION_MAX_S, AccountStore

from .principal import MACHINE, Principal, of_account, of_token

KEY_FILE = "access.key"
MAX_SECRET_CHARS = 256


def read_key(folder: Path) -> bytes:
    """The key that cookies are signed with: 32 random bytes in a file that this machine's user alone may read."""
    path = folder / KEY_FILE
    folder.mkdir(parents=True, exist_ok=True)
    try:
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError:
        key = path.read_bytes()
        if len(key) == 32:
            return key
        path.unlink()
        return read_key(folder)
    with os.fdopen(handle, "wb") as file:
        file.write(key := secrets.token_bytes(32))
    return key


class Doors:
    """Tells who sent a request, and gives browsers their cookies. ``token`` is the one of the start, or empty."""

    def __init__(self, accounts: AccountStore | None, token: str, key: bytes, root_path: str = "") -> None:
        self.accounts = accounts
        self._token = token
        self._key = key
        self._path = root_path or "/"

    # --- cookies: <secret>.<expiry>.<signature>, so that what we never gave out costs no look at the database

    def by_cookie(self, scope: AsgiScope) -> Principal | None:
        """Who has the cookie of a session that is good."""
        cookie = HTTPConnection(scope).cookies.get(cookie_name(scope), "")
        secret, _, rest = cookie.partition(".")
        expires, _, signature = rest.partition(".")
        if not (expires.isascii() and expires.isdecimal() and len(expires) < 20) or int(expires) < time.time():
            return None
        if not hmac.compare_digest(signature.encode(), self._sign(secret, int(expires)).encode()):
            return None
        if secret == _MACHINES:
            return MACHINE if self._token else None
        found = self.accounts.session(secret) if self.accounts is not None else None
        return of_account(found[0], found[1].id) if found is not None else None

    def give_cookie(self, response: Response, scope: AsgiScope, secret: str = "") -> None:
        """``secret`` of a session; empty: of who came with the token of the start."""
        expires = int(time.time()) + SESSION_MAX_S
        value = f"{secret or _MACHINES}.{expires}.{self._sign(secret or _MACHINES, expires)}"
        response.set_cookie(
            cookie_name(scope), value, max_age=SESSION_MAX_S, path=self._path,
            httponly=True, samesite="lax", secure=scope.get("scheme") == "https",
        )  # fmt: skip

    def take_cookie(self, response: Response, scope: AsgiScope) -> None:
        response.delete_cookie(cookie_name(scope), path=self._path)

    def _sign(self, secret: str, expires: int) -> str:
        # The token is a part: with another one at the next start, cookies that stood for it are void.
        said = f"lifelike {secret} {expires} {self._token if secret == _MACHINES else ''}"
        return hmac.new(self._key, said.encode(), hashlib.sha256).hexdigest()

    # --- secrets in a header or in the address

    def by_secret(self, secret: str) -> Principal | None:
        """Who a program is by its token."""
        if len(secret) > MAX_SECRET_CHARS:
            return None
        if self._token and hmac.compare_digest(secret.encode(), self._token.encode()):
            return MACHINE
        found = self.accounts.token(secret) if self.accounts is not None else None
        return of_token(found[0], frozenset(found[1].scopes)) if found is not None else None

    def is_start_token(self, secret: str) -> bool:
        return bool(self._token) and hmac.compare_digest(secret.encode(), self._token.encode())


_MACHINES = "machine"


def cookie_name(scope: AsgiScope) -> str:
    """Cookies do not tell ports apart, so the name does: two servers on one host do not log each other out."""
    server = scope.get("server")
    return f"lifelike_access_{server[1] if server else 0}"


def secret_in(headers: Headers) -> str:
    """What an Authorization header has: Bearer, or the password of Basic, which is all that some clients know."""
    scheme, _, credentials = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(credentials.strip(), validate=True).decode().partition(":")[2]
        except ValueError:
            return ""
    return credentials.strip() if scheme.lower() == "bearer" else ""
