"""Below the store: its tables as Core sees them, and a database brought to the newest revision when it is opened."""

from __future__ import annotations

import os
from pathlib import Path

import sqlalchemy as sa

from webui.core import revisions
from webui.core.errors import SetupError

HEAD = "0001"
"""The newest revision in ``migrations/versions``; a test compares."""
MIGRATIONS = Path(__file__).with_name("migrations")
BUSY_TIMEOUT_S = 15

METADATA = sa.MetaData()

USERS = sa.Table(
    "users",
    METADATA,
    sa.Column("name", sa.Text, primary_key=True),
    *(sa.Column(name, sa.Text) for name in ("role", "password", "quota")),
    sa.Column("created_at", sa.Float),
)
SESSIONS = sa.Table(
    "sessions",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    *(sa.Column(name, sa.Text) for name in ("digest", "user", "agent")),
    *(sa.Column(name, sa.Float) for name in ("created_at", "seen_at", "expires_at")),
)
LINKS = sa.Table(
    "links",
    METADATA,
    sa.Column("digest", sa.Text, primary_key=True),
    sa.Column("user", sa.Text),
    sa.Column("expires_at", sa.Float),
)
TOKENS = sa.Table(
    "tokens",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    *(sa.Column(name, sa.Text) for name in ("digest", "user", "title", "scopes")),
    *(sa.Column(name, sa.Float) for name in ("created_at", "seen_at", "expires_at")),
)
FAILURES = sa.Table(
    "failures",
    METADATA,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("count", sa.Integer),
    sa.Column("at", sa.Float),
)


def open_database(path: Path) -> sa.Engine:
    """The database at ``path``, made where it is missing, readable by this machine's user alone. Raises SetupError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    url = sa.URL.create("sqlite", database=str(path))
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT", connect_args={"timeout": BUSY_TIMEOUT_S})
    sa.event.listen(engine, "connect", _prepare)
    try:
        with engine.connect() as connection:
            revisions.migrate(connection, MIGRATIONS, HEAD)
    except sa.exc.DatabaseError as error:
        engine.dispose()
        raise SetupError(
            f"cannot use the accounts in {path}: {error.orig}.",
            hint="If the file is damaged, move it away and make the accounts anew: launch.py user add NAME --owner",
        ) from error
    except revisions.UnknownRevision as error:
        engine.dispose()
        raise SetupError(
            f"the accounts in {path} have {error}.",
            hint="Update the application, or move the file away and make the accounts anew.",
        ) from error
    return engine


def _prepare(connection: object, _record: object) -> None:
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}")  # type: ignore[attr-defined]
