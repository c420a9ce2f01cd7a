"""The accounts of one data folder, between the command line or the login and the database: people, sessions, one-time
links, tokens.

Nothing is kept that could be used to log in: passwords as Argon2id, all other secrets as their SHA-256.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from webui.core.errors import Conflict, NotFound
from webui.core.guests import Quota

from . import passwords
from .people import Account, Role, Session, Token, check_name, check_scopes
from .schema import FAILURES, LINKS, SESSIONS, TOKENS, USERS, open_database

SESSION_S = 7 * 24 * 3600
"""A session ends this long after it was last used."""
SESSION_MAX_S = 30 * 24 * 3600
"""And in any case this long after its begin."""
LINK_S = 24 * 3600
_SEEN_EVERY_S = 60.0
FREE_TRIES = 5
_FIRST_LOCK_S, _LONGEST_LOCK_S = 30.0, 900.0
_FORGET_S = 24 * 3600


_PERSON = ("role", "password", "quota", "created_at")
_JOINED = {
    table: sa.select(table, *(USERS.c[name].label(f"user_{name}") for name in _PERSON)).join(
        USERS, USERS.c.name == table.c.user
    )
    for table in (SESSIONS, TOKENS)
}
"""A row of either with its person: one look at the database for each request."""


class AccountStore:
    """The file ``path``. All methods may be called from any thread; several processes may open one file.

    A session or a token that was ended in one process is unknown to all others at once: nothing is cached.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        """Nothing is opened before it is asked for anything: a studio that is not shared has no such file."""
        self.path = path
        self._clock = clock

    @cached_property
    def _engine(self) -> sa.Engine:
        """Raises SetupError."""
        return open_database(self.path)

    def close(self) -> None:
        if "_engine" in self.__dict__:
            self._engine.dispose()

    @contextlib.contextmanager
    def _writing(self) -> Iterator[sa.Connection]:
        with self._engine.connect() as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.exec_driver_sql("COMMIT")
            except BaseException:
                connection.exec_driver_sql("ROLLBACK")
                raise

    def _rows(self, query: Any) -> list[dict[str, Any]]:
        with self._engine.connect() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    # --- people

    def add(self, name: str, role: Role, password: str = "", quota: Quota | None = None) -> Account:
        """A new account; without a password it is entered by a link. Raises ParameterError, Conflict."""
        check_name(name)
        row = {
            "name": name,
            "role": role.value,
            "password": passwords.hash_password(password) if password else "",
            "created_at": self._clock(),
            "quota": (quota or Quota()).model_dump_json(),
        }
        with self._writing() as connection:
            try:
                connection.execute(sa.insert(USERS).values(row))
            except sa.exc.IntegrityError:
                raise Conflict(f"there is an account {name!r} already.", hint="Choose another name.") from None
        return self.get(name)

    def get(self, name: str) -> Account:
        """Raises NotFound."""
        rows = self._rows(sa.select(USERS).where(USERS.c.name == name))
        if not rows:
            raise NotFound(f"there is no account {name[:40]!r}.", hint="launch.py user list names those there are.")
        return _account(rows[0])

    def people(self) -> list[Account]:
        """Everyone, owners first."""
        rows = self._rows(sa.select(USERS).order_by(USERS.c.role.desc(), USERS.c.name))
        return [_account(row) for row in rows]

    def set_password(self, name: str, password: str) -> None:
        """Also ends the account's sessions: whoever knew the old one is out. Raises NotFound, ParameterError."""
        self.get(name)
        kept = passwords.hash_password(password)
        with self._writing() as connection:
            connection.execute(sa.update(USERS).where(USERS.c.name == name).values(password=kept))
            connection.execute(sa.delete(SESSIONS).where(SESSIONS.c.user == name))
            connection.execute(sa.delete(FAILURES).where(FAILURES.c.name == name))

    def set_quota(self, name: str, quota: Quota) -> Account:
        """Raises NotFound."""
        self.get(name)
        with self._writing() as connection:
            connection.execute(sa.update(USERS).where(USERS.c.name == name).values(quota=quota.model_dump_json()))
        return self.get(name)

    def remove(self, name: str) -> None:
        """The account with its sessions, links and tokens; what was made with it stays. Raises NotFound."""
        self.get(name)
        with self._writing() as connection:
            connection.execute(sa.delete(USERS).where(USERS.c.name == name))

    def has_way_in(self) -> bool:
        """Whether an owner can log in: by a password, or by a link that is still good."""
        links = sa.select(LINKS.c.user).where(LINKS.c.expires_at > self._clock())
        way = sa.or_(USERS.c.password != "", USERS.c.name.in_(links))
        return bool(self._rows(sa.select(USERS.c.name).where(USERS.c.role == Role.OWNER.value, way).limit(1)))

    # --- passwords

    def locked_s(self, name: str) -> float:
        """Seconds until a password for ``name`` is looked at again; 0 when it is now. As well for names that there are
        not, so that a lock tells nobody which there are.
        """
        rows = self._rows(sa.select(FAILURES).where(FAILURES.c.name == name[:64]))
        if not rows or rows[0]["count"] < FREE_TRIES:
            return 0.0
        doublings = min(int(rows[0]["count"]) - FREE_TRIES, 16)
        until = float(rows[0]["at"]) + min(_FIRST_LOCK_S * 2.0**doublings, _LONGEST_LOCK_S)
        return max(0.0, until - self._clock())

    def check_password(self, name: str, password: str) -> Account | None:
        """The account where the password is right. A wrong one counts towards the lock; ask ``locked_s`` first."""
        rows = self._rows(sa.select(USERS).where(USERS.c.name == name))
        kept = rows[0]["password"] if rows else ""
        good = passwords.fits(kept, password) and bool(kept)
        with self._writing() as connection:
            if good:
                connection.execute(sa.delete(FAILURES).where(FAILURES.c.name == name))
                if passwords.is_dated(kept):
                    connection.execute(
                        sa.update(USERS).where(USERS.c.name == name).values(password=passwords.hash_password(password))
                    )
            else:
                self._count_failure(connection, name[:64])
        return _account(rows[0]) if good else None

    def _count_failure(self, connection: sa.Connection, name: str) -> None:
        now = self._clock()
        connection.execute(sa.delete(FAILURES).where(FAILURES.c.at < now - _FORGET_S))
        sql = (
            "INSERT INTO failures (name, count, at) VALUES (?, 1, ?)"
            " ON CONFLICT (name) DO UPDATE SET count = min(count + 1, 1000), at = excluded.at"
        )
        connection.exec_driver_sql(sql, (name, now))

    # --- links

    def make_link(self, name: str, lasts_s: float = LINK_S) -> str:
        """A secret that logs in once. Raises NotFound."""
        self.get(name)
        secret = passwords.draw()
        with self._writing() as connection:
            connection.execute(sa.delete(LINKS).where(LINKS.c.expires_at < self._clock()))
            row = {"digest": passwords.digest(secret), "user": name, "expires_at": self._clock() + lasts_s}
            connection.execute(sa.insert(LINKS).values(row))
        return secret

    def use_link(self, secret: str) -> Account | None:
        """Who may enter by it; no second time."""
        used = sa.delete(LINKS).where(LINKS.c.digest == passwords.digest(secret))
        with self._writing() as connection:
            row = connection.execute(used.returning(LINKS.c.user, LINKS.c.expires_at)).first()
        if row is None or row.expires_at < self._clock():
            return None
        return self.get(row.user)

    # --- sessions

    def begin_session(self, name: str, agent: str = "") -> tuple[str, Session]:
        """A new session and its secret. Raises NotFound."""
        self.get(name)
        secret, now = passwords.draw(), self._clock()
        row: dict[str, Any] = {
            "digest": passwords.digest(secret),
            "user": name,
            "created_at": now,
            "seen_at": now,
            "expires_at": now + SESSION_MAX_S,
            "agent": agent[:200],
        }
        with self._writing() as connection:
            connection.execute(sa.delete(SESSIONS).where(self._is_over()))
            made = connection.execute(sa.insert(SESSIONS).values(row).returning(SESSIONS.c.id)).scalar_one()
        return secret, Session(id=made, **{key: value for key, value in row.items() if key != "digest"})

    def session(self, secret: str) -> tuple[Account, Session] | None:
        """Whose session it is, while it is good."""
        good = sa.and_(SESSIONS.c.digest == passwords.digest(secret), sa.not_(self._is_over()))
        found = self._rows(_JOINED[SESSIONS].where(good))
        if not found:
            return None
        session = Session.model_validate({name: found[0][name] for name in Session.model_fields})
        if self._clock() - session.seen_at > _SEEN_EVERY_S:
            self._see(SESSIONS, session.id)
        return _joined_account(found[0]), session

    def _is_over(self) -> sa.ColumnElement[bool]:
        now = self._clock()
        return sa.or_(SESSIONS.c.expires_at < now, SESSIONS.c.seen_at < now - SESSION_S)

    def _see(self, table: sa.Table, row_id: int) -> None:
        with contextlib.suppress(sa.exc.OperationalError), self._writing() as connection:  # a busy file: next time
            connection.execute(sa.update(table).where(table.c.id == row_id).values(seen_at=self._clock()))

    def sessions(self, name: str = "") -> list[Session]:
        """Those that are good, of one person or of all, the newest first."""
        query = sa.select(SESSIONS).where(sa.not_(self._is_over())).order_by(SESSIONS.c.id.desc())
        return [Session.model_validate(row) for row in self._rows(query) if name in ("", row["user"])]

    def end_sessions(self, name: str, session_id: int | None = None) -> int:
        """End one session of ``name``, or all; how many."""
        which = SESSIONS.c.user == name if session_id is None else SESSIONS.c.id == session_id
        with self._writing() as connection:
            return connection.execute(sa.delete(SESSIONS).where(SESSIONS.c.user == name, which)).rowcount

    # --- tokens

    def add_token(
        self, name: str, scopes: Iterable[str], title: str = "", lasts_s: float | None = None
    ) -> tuple[str, Token]:
        """A new token and its secret, which is never told again. Raises NotFound, ParameterError."""
        checked = check_scopes(scopes, self.get(name).role)
        secret, now = f"ll_{passwords.draw()}", self._clock()
        row = {
            "digest": passwords.digest(secret),
            "user": name,
            "title": title[:80],
            "scopes": " ".join(checked),
            "created_at": now,
            "expires_at": now + lasts_s if lasts_s is not None else None,
        }
        with self._writing() as connection:
            made = connection.execute(sa.insert(TOKENS).values(row).returning(TOKENS.c.id)).scalar_one()
        return secret, self._token({**row, "id": made, "seen_at": None})

    def token(self, secret: str) -> tuple[Account, Token] | None:
        """Whose token it is, while it is good."""
        rows = self._rows(_JOINED[TOKENS].where(TOKENS.c.digest == passwords.digest(secret)))
        if not rows or (rows[0]["expires_at"] is not None and rows[0]["expires_at"] < self._clock()):
            return None
        token = self._token(rows[0])
        if token.seen_at is None or self._clock() - token.seen_at > _SEEN_EVERY_S:
            self._see(TOKENS, token.id)
        return _joined_account(rows[0]), token

    def tokens(self, name: str = "") -> list[Token]:
        rows = self._rows(sa.select(TOKENS).order_by(TOKENS.c.id))
        return [self._token(row) for row in rows if name in ("", row["user"])]

    def remove_token(self, name: str, token_id: int) -> None:
        """Raises NotFound."""
        with self._writing() as connection:
            gone = connection.execute(sa.delete(TOKENS).where(TOKENS.c.user == name, TOKENS.c.id == token_id)).rowcount
        if not gone:
            raise NotFound(f"{name} has no token {token_id}.")

    @staticmethod
    def _token(row: dict[str, Any]) -> Token:
        said = {name: row[name] for name in Token.model_fields if name != "scopes"}
        return Token(scopes=tuple(row["scopes"].split()), **said)


def _account(row: dict[str, Any]) -> Account:
    return Account(
        name=row["name"],
        role=Role(row["role"]),
        has_password=bool(row["password"]),
        created_at=row["created_at"],
        quota=Quota.model_validate_json(row["quota"]),
    )


def _joined_account(row: dict[str, Any]) -> Account:
    return _account({"name": row["user"], **{name: row[f"user_{name}"] for name in _PERSON}})
