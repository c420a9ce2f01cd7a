"""Who asks: set by the guard in front of the routes for the time of a request, read by what serves it.

Where the server asks for a login, a part of it that was reached without one (a task that outlived its request, say)
finds nobody here, and is refused: a forgotten case shows as an error and never as somebody else's pictures.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, MutableMapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Literal

from starlette.requests import HTTPConnection

from webui.accounts.people import SCOPES, Account, Role, Scope
from webui.core.errors import Forbidden
from webui.core.guests import OWNER, UNBOUNDED, Quota, folder_of_guest

SCOPE_KEY = "lifelike.principal"


@dataclass(frozen=True)
class Principal:
    """A person or a program that was let in."""

    name: str
    role: Role
    scopes: frozenset[Scope]
    quota: Quota = UNBOUNDED
    way: Literal["session", "token", "machine"] = "session"
    """``machine``: no login is asked for, or it came with the token of the server's start."""
    session_id: int | None = None

    @property
    def is_guest(self) -> bool:
        return self.role is not Role.OWNER

    @property
    def job_owner(self) -> str:
        """What its jobs say of whose they are."""
        return self.name if self.is_guest else OWNER

    @property
    def folder(self) -> str:
        """Where in the library what it may see lies; empty: everywhere."""
        return folder_of_guest(self.job_owner)

    def need(self, scope: Scope) -> None:
        """Raises Forbidden."""
        if scope not in self.scopes:
            raise Forbidden(
                "That is for the studio's owner." if self.is_guest else f"That needs the scope {scope.value!r}.",
                hint="" if self.is_guest else "Make a token with it: launch.py user token NAME --scope admin",
            )


MACHINE = Principal("owner", Role.OWNER, frozenset(SCOPES), way="machine")
"""The machine's own user."""

_ASKING: ContextVar[Principal | None] = ContextVar("asking", default=None)


def asking() -> Principal:
    """Who asks now. Raises Forbidden where that is not known."""
    principal = _ASKING.get()
    if principal is None:
        raise Forbidden("It is not known who asks.", hint="Log in again.")
    return principal


@contextlib.contextmanager
def acting_for(principal: Principal | None) -> Iterator[None]:
    """For the time of the block, ``principal`` is who asks: in this task, and in threads and tasks begun in it. None:
    nobody is known to.
    """
    before = _ASKING.set(principal)
    try:
        yield
    finally:
        _ASKING.reset(before)


def of_account(account: Account, session_id: int | None) -> Principal:
    return Principal(account.name, account.role, account.scopes, account.quota, "session", session_id)


def of_token(account: Account, scopes: frozenset[Scope]) -> Principal:
    """A token never does more than its person: rights that were taken from one are taken from the other."""
    return Principal(account.name, account.role, scopes & account.scopes, account.quota, "token")


def put_on(scope: MutableMapping[str, Any], principal: Principal) -> None:
    scope[SCOPE_KEY] = principal


def of_request(connection: HTTPConnection | None) -> Principal | None:
    """Who sent a request; None where the guard let nobody in."""
    principal = connection.scope.get(SCOPE_KEY) if connection is not None else None
    return principal if isinstance(principal, Principal) else None
