"""Plain data of accounts, below the store: roles, scopes, quotas, and what may be a name."""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from webui.core.errors import FieldError, ParameterError
from webui.core.guests import OWNER, Quota

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}", re.ASCII)
_RESERVED = frozenset({OWNER, "con", "prn", "aux", "nul"})
"""The last ones name devices on Windows, and a guest's name is a folder's."""


class Role(StrEnum):
    OWNER = "owner"
    """May do everything."""
    GUEST = "guest"
    """Makes pictures within a quota, and sees none but its own."""


class Scope(StrEnum):
    """What a token lets a program do. Each includes those before it."""

    READ = "read"
    GENERATE = "generate"
    ADMIN = "admin"


SCOPES: tuple[Scope, ...] = tuple(Scope)
GUEST_SCOPES = frozenset({Scope.READ, Scope.GENERATE})


def scopes_of(role: Role) -> frozenset[Scope]:
    """What a person of ``role`` may do."""
    return frozenset(SCOPES) if role is Role.OWNER else GUEST_SCOPES


def up_to(scope: Scope) -> frozenset[Scope]:
    """``scope`` and those that it includes."""
    return frozenset(SCOPES[: SCOPES.index(scope) + 1])


class Account(BaseModel):
    """A person who may log in."""

    model_config = ConfigDict(frozen=True)

    name: str
    role: Role
    has_password: bool
    created_at: float
    quota: Quota = Quota()

    @property
    def scopes(self) -> frozenset[Scope]:
        return scopes_of(self.role)


class Session(BaseModel):
    """A browser that is logged in."""

    model_config = ConfigDict(frozen=True)

    id: int
    user: str
    created_at: float
    seen_at: float
    expires_at: float
    agent: str = ""


class Token(BaseModel):
    """What a program logs in with. The secret itself is told once and not kept."""

    model_config = ConfigDict(frozen=True)

    id: int
    user: str
    title: str
    scopes: tuple[Scope, ...]
    created_at: float
    seen_at: float | None = None
    expires_at: float | None = None


def check_name(name: str) -> str:
    """``name`` if an account may have it. Raises ParameterError."""
    if not _NAME.fullmatch(name) or name in _RESERVED:
        expected = f"expected 1 to 32 of a-z, 0-9, _ and -, beginning with a letter or digit, and not {OWNER!r}"
        raise ParameterError([FieldError("name", expected, repr(name)[:80])])
    return name


def check_scopes(scopes: Iterable[str], role: Role) -> tuple[Scope, ...]:
    """The scopes of a token for somebody of ``role``, with those that they include. Raises ParameterError."""
    wanted = list(scopes)
    unknown = [one for one in wanted if one not in {scope.value for scope in SCOPES}]
    if unknown or not wanted:
        raise ParameterError([FieldError("scopes", "expected read, generate or admin", ", ".join(unknown)[:80])])
    full = frozenset().union(*(up_to(Scope(one)) for one in wanted))
    if beyond := full - scopes_of(role):
        raise ParameterError([FieldError("scopes", f"a {role.value} cannot have {', '.join(sorted(beyond))}")])
    return tuple(scope for scope in SCOPES if scope in full)
