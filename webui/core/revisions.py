"""Beside the stores that keep tables: brings an open SQLite database to the newest of their Alembic revisions.

Alembic takes longer to import than everything else here, so it is imported only where a revision is missing.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlalchemy as sa


class UnknownRevision(Exception):
    """A database of a newer program, whose revision is not known here."""

    def __init__(self, revision: str, reason: str) -> None:
        super().__init__(f"revision {revision!r}, unknown to this version ({reason})")


def revision_of(connection: sa.Connection) -> str:
    """The revision of an open database, empty for one that is new. Raises sqlalchemy.exc.DatabaseError for a file that
    is none.
    """
    known = connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE name = 'alembic_version'").first()
    if known is None:
        return ""
    row = connection.exec_driver_sql("SELECT version_num FROM alembic_version").first()
    return str(row[0]) if row else ""


def migrate(connection: sa.Connection, migrations: Path, target: str) -> None:
    """Bring an open database, in autocommit mode, to revision ``target`` of the folder ``migrations``: wholly or not
    at all. Raises UnknownRevision.
    """
    if revision_of(connection) == target:
        return
    connection.exec_driver_sql("BEGIN IMMEDIATE")
    try:
        if revision_of(connection) != target:  # another process may have been faster
            _upgrade(connection, migrations, target)
        connection.exec_driver_sql("COMMIT")
    except BaseException:
        connection.exec_driver_sql("ROLLBACK")
        raise


def _upgrade(connection: sa.Connection, migrations: Path, target: str) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.util.exc import CommandError

    config = Config()
    config.set_main_option("script_location", str(migrations).replace("%", "%%"))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, target)
    except CommandError as error:
        raise UnknownRevision(revision_of(connection), str(error)) from error
