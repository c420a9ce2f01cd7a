"""Tables of the queue's database, below the store: made and brought up to date when the store opens it."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from webui.core.errors import SetupError

_VERSIONS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE jobs (
            seq INTEGER PRIMARY KEY AUTOINCREMENT,
            id TEXT NOT NULL UNIQUE,
            pipeline TEXT NOT NULL,
            params TEXT NOT NULL,
            owner TEXT NOT NULL,
            state TEXT NOT NULL,
            place INTEGER NOT NULL,
            interrupted INTEGER NOT NULL DEFAULT 0,
            cancel_requested INTEGER NOT NULL DEFAULT 0,
            attempts INTEGER NOT NULL DEFAULT 0,
            runs INTEGER NOT NULL DEFAULT 0,
            created_at REAL NOT NULL,
            started_at REAL,
            finished_at REAL,
            progress TEXT NOT NULL DEFAULT '{}',
            warnings TEXT NOT NULL DEFAULT '[]',
            error TEXT
        )""",
        "CREATE INDEX jobs_by_state ON jobs (state, seq)",
        "CREATE INDEX jobs_by_owner ON jobs (owner, seq)",
        """CREATE TABLE artifacts (
            job_id TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
            position INTEGER NOT NULL,
            record TEXT NOT NULL,
            PRIMARY KEY (job_id, position)
        ) WITHOUT ROWID""",
        "CREATE TABLE owners (owner TEXT PRIMARY KEY, served INTEGER NOT NULL) WITHOUT ROWID",
        "CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID",
        "INSERT INTO counters VALUES ('place', 0), ('served', 0)",
    ),
)
"""Statements that lead from one version to the next. A version that was ever released is never edited: add another."""

BUSY_TIMEOUT_S = 10.0


def connect(path: Path) -> sqlite3.Connection:
    """The database at ``path``, made where it is missing, with today's tables. Raises SetupError where it cannot be
    used.

    Write-ahead logging: readers of other processes never wait for a writer. ``synchronous=NORMAL``: a commit is in
    the system's hands when it returns, so the death of any of our processes loses nothing; only a power cut may take
    the last commits. The one commit that nothing could bring back, a newly accepted job, is made under FULL by the
    store. The price of FULL is a flush of the disk, milliseconds each time.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    database = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
    try:
        database.row_factory = sqlite3.Row
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=NORMAL")
        database.execute("PRAGMA foreign_keys=ON")
        _migrate(database, path)
    except sqlite3.DatabaseError as error:
        database.close()
        raise SetupError(
            f"cannot use the job queue in {path}: {error}.",
            hint="Close what else uses it. If it is damaged, move it away: a new one is made; pictures stay.",
        ) from error
    except SetupError:
        database.close()
        raise
    return database


def take_ownership(path: Path) -> sqlite3.Connection:
    """A connection that, while it is open, makes this process the one that runs the jobs of the database ``path``.

    It holds SQLite's own lock on a file beside it: the system lets go of it however the process ends. Raises SetupError
    when another process has it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    owner = sqlite3.connect(
        path.with_name(path.name + ".owner"), timeout=0.0, isolation_level=None, check_same_thread=False
    )
    try:
        owner.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError as error:
        owner.close()
        raise SetupError(
            f"another server already runs the jobs of {path.parent} ({error}).",
            hint="Use that one, stop it, or start this one with another data folder.",
        ) from error
    return owner


def _migrate(database: sqlite3.Connection, path: Path) -> None:
    database.execute("BEGIN IMMEDIATE")
    try:
        (version,) = database.execute("PRAGMA user_version").fetchone()
        if version > len(_VERSIONS):
            raise SetupError(
                f"the job queue in {path} has format {version}, expected at most {len(_VERSIONS)}.",
                hint="A newer Lifelike made it: use that version, or another data folder.",
            )
        for statements in _VERSIONS[version:]:
            for statement in statements:
                database.execute(statement)
        database.execute(f"PRAGMA user_version={len(_VERSIONS)}")
        database.execute("COMMIT")
    except BaseException:
        database.execute("ROLLBACK")
        raise
