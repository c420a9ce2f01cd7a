"""Below ``index``: its tables as Core sees them, and a database brought to the newest revision when it is opened.

Alembic takes longer to import than everything else here, so it is imported only where a revision is missing.
"""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from webui.core.errors import SetupError

HEAD = "0004"
"""The newest revision in ``migrations/versions``; a test compares."""

MIGRATIONS = Path(__file__).with_name("migrations")

_METADATA = sa.MetaData()

ARTIFACTS = sa.Table(
    "artifacts",
    _METADATA,
    sa.Column("n", sa.Integer, primary_key=True),
    *(
        sa.Column(name, sa.Text)
        for name in ("id", "job_id", "kind", "path", "media_type", "sha256", "pipeline", "title", "warnings")
    ),
    *(sa.Column(name, sa.Text) for name in ("model", "sampler", "schedule")),
    *(
        sa.Column(name, sa.Integer)
        for name in ("position", "size_bytes", "mtime_ns", "seed", "width", "height", "steps")
    ),
    *(sa.Column(name, sa.Float) for name in ("created_at", "guidance_scale", "strength")),
    *(sa.Column(name, sa.Integer) for name in ("favourite", "trashed", "rating")),
)
"""``n`` is the time of making in microseconds since 1970, made unique: the order of pages is the order of rows."""

DETAILS = sa.Table(
    "details",
    _METADATA,
    sa.Column("n", sa.Integer, primary_key=True),
    sa.Column("prompt", sa.Text),
    sa.Column("recipe", sa.Text),
)

SEARCH = sa.Table("search", _METADATA, sa.Column("rowid", sa.Integer, primary_key=True), sa.Column("text", sa.Text))
"""``rowid`` is ``n``; the text is normalised by ``query.normalise``."""


def revision_of(connection: sa.Connection) -> str:
    """The revision of an open database, empty for one that is new. Raises sqlalchemy.exc.DatabaseError for a file that
    is none.
    """
    known = connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE name = 'alembic_version'").first()
    if known is None:
        return ""
    row = connection.exec_driver_sql("SELECT version_num FROM alembic_version").first()
    return str(row[0]) if row else ""


def migrate(connection: sa.Connection, target: str = HEAD) -> None:
    """Bring an open database, in autocommit mode, to ``target``: wholly or not at all.

    Raises SetupError for a database of a newer program, whose revision is not known here.
    """
    if revision_of(connection) == target:
        return
    connection.exec_driver_sql("BEGIN IMMEDIATE")
    try:
        if revision_of(connection) != target:  # another process may have been faster
            _upgrade(connection, target)
        connection.exec_driver_sql("COMMIT")
    except BaseException:
        connection.exec_driver_sql("ROLLBACK")
        raise


def _upgrade(connection: sa.Connection, target: str) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.util.exc import CommandError

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, target)
    except CommandError as error:
        raise SetupError(
            f"the library's index has revision {revision_of(connection)!r}, unknown to this version ({error}).",
            hint="Update the application, or move the index file away and run `library rebuild`.",
        ) from error


def has_trigrams(connection: sa.Connection) -> bool:
    """Whether the text search of an open database is indexed."""
    row = connection.exec_driver_sql("SELECT sql FROM sqlite_master WHERE name = 'search'").first()
    return row is not None and "fts5" in str(row[0]).lower()
