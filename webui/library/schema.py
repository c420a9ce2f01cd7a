"""Below ``index``: its tables as Core sees them, and a database brought to the newest revision when it is opened."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from webui.core import revisions
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


def migrate(connection: sa.Connection, target: str = HEAD) -> None:
    """Bring an open database, in autocommit mode, to ``target``: wholly or not at all.

    Raises SetupError for a database of a newer program, whose revision is not known here.
    """
    try:
        revisions.migrate(connection, MIGRATIONS, target)
    except revisions.UnknownRevision as error:
        raise SetupError(
            f"the library's index has {error}.",
            hint="Update the application, or move the index file away and run `library rebuild`.",
        ) from error


def has_trigrams(connection: sa.Connection) -> bool:
    """Whether the text search of an open database is indexed."""
    row = connection.exec_driver_sql("SELECT sql FROM sqlite_master WHERE name = 'search'").first()
    return row is not None and "fts5" in str(row[0]).lower()
