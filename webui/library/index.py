"""From finished artifacts to the gallery's pages: records in SQLite, searched by words and parameters. It can always
be made anew from the files.

Pages run from the newest to the oldest by keyset (``Page.next``), so that they neither repeat nor miss anything while
new pictures arrive.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from webui.core.errors import NotFound
from webui.core.recipes import Recipe

from . import facets, rows, text
from .marks import Marks
from .query import Conditions, compile_query
from .rows import Entry, Item
from .schema import ARTIFACTS, DETAILS, has_trigrams, migrate

MAX_PAGE = 500


@dataclass(frozen=True)
class Page:
    """Some artifacts, newest first. ``next`` is the cursor of the page after this one, empty on the last."""

    items: tuple[Item, ...]
    next: str = ""


@dataclass(frozen=True)
class Stored:
    """What ``Index.stored_files`` tells of a row."""

    id: str
    trashed: bool
    size_bytes: int
    mtime_ns: int


class Index:
    """The index in the SQLite file ``path``. Threads and processes may use it at once; each call is one transaction."""

    def __init__(self, path: Path) -> None:
        """Open or create it and bring its schema up to date. A file that is no database is set aside and a new one
        begun.

        Raises SetupError for the database of a newer version of the application.
        """
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.fresh = not self.path.exists()
        """Whether it was created now: what is in the files is not in it yet."""
        try:
            self._open()
        except sa.exc.DatabaseError as error:
            self._engine.dispose()
            if not _is_broken(error):
                raise
            set_aside(self.path)
            self.fresh = True
            self._open()

    def _open(self) -> None:
        url = sa.URL.create("sqlite", database=str(self.path))
        self._engine = sa.create_engine(url, isolation_level="AUTOCOMMIT", connect_args={"timeout": 15})
        sa.event.listen(self._engine, "connect", _prepare)
        with self._engine.connect() as connection:
            migrate(connection)
            self._trigrams = has_trigrams(connection)

    def close(self) -> None:
        self._engine.dispose()

    def put(self, entry: Entry) -> Item:
        """Add or replace one artifact."""
        self.put_all([entry])
        return self.get(entry.record.id)

    def put_all(self, entries: Iterable[Entry]) -> None:
        """Add or replace artifacts, all or none. Those that take up most time in one transaction are the caller's to
        limit.
        """
        with self._writing() as connection:
            for entry in entries:
                rows.put(connection, entry)

    def get(self, artifact_id: str) -> Item:
        """Raises NotFound."""
        with self._engine.connect() as connection:
            n = connection.execute(sa.select(ARTIFACTS.c.n).where(ARTIFACTS.c.id == artifact_id)).scalar()
            found = rows.items(connection, [n]) if n is not None else ()
        if not found:
            raise NotFound(f"there is no artifact {artifact_id[:100]!r} in the library.")
        return found[0]

    def recipe(self, artifact_id: str) -> Recipe | None:
        """The recipe as it was indexed; None where the file holds none. Raises NotFound."""
        query = (
            sa.select(DETAILS.c.recipe)
            .join(ARTIFACTS, ARTIFACTS.c.n == DETAILS.c.n)
            .where(ARTIFACTS.c.id == artifact_id)
        )
        with self._engine.connect() as connection:
            text = connection.execute(query).scalar()
        if text is None:
            raise NotFound(f"there is no artifact {artifact_id[:100]!r} in the library.")
        return Recipe.from_json(text) if text != "{}" else None

    def page(
        self,
        query: str = "",
        filters: Mapping[str, Any] | None = None,
        *,
        favourites: bool = False,
        trashed: bool = False,
        limit: int = 50,
        cursor: str = "",
        offset: int = 0,
        within: str = "",
    ) -> Page:
        """Up to ``limit`` artifacts (at most ``MAX_PAGE``) that fit ``query`` (see ``query``), from ``cursor`` on. A
        wrong cursor is none. ``within``: only those whose paths begin so.
        """
        conditions = self._conditions(query, filters, favourites, trashed, within)
        before = int(cursor) if cursor.isascii() and cursor.isdigit() and len(cursor) < 20 else None
        limit = max(1, min(limit, MAX_PAGE))
        with self._engine.connect() as connection:
            numbers = self._select(connection, conditions, before=before, limit=limit + 1, offset=max(0, offset))
            items = rows.items(connection, numbers[:limit])
        return Page(items, str(numbers[limit - 1]) if len(numbers) > limit else "")

    def count(
        self,
        query: str = "",
        filters: Mapping[str, Any] | None = None,
        *,
        favourites: bool = False,
        trashed: bool = False,
        within: str = "",
    ) -> int:
        """How many artifacts fit."""
        conditions = self._conditions(query, filters, favourites, trashed, within)
        with self._engine.connect() as connection:
            sql = f"SELECT count(*) FROM {self._source(connection, conditions)}"
            return int(connection.execute(sa.text(sql), conditions.values).scalar_one())

    def neighbours(
        self,
        artifact_id: str,
        query: str = "",
        filters: Mapping[str, Any] | None = None,
        *,
        favourites: bool = False,
        trashed: bool = False,
        within: str = "",
    ) -> tuple[str, str]:
        """Ids of the next newer and the next older artifact that fit; empty at either end. Raises NotFound."""
        n = self.get(artifact_id).n
        conditions = self._conditions(query, filters, favourites, trashed, within)
        with self._engine.connect() as connection:
            older = self._select(connection, conditions, before=n, limit=1)
            newer = self._select(connection, conditions, after=n, limit=1)
            found = {item.n: item.id for item in rows.items(connection, newer + older)}
        return found.get(newer[0], "") if newer else "", found.get(older[0], "") if older else ""

    def set_favourite(self, artifact_id: str, favourite: bool) -> None:
        """Raises NotFound."""
        self._set(artifact_id, favourite=int(favourite))

    def set_marks(self, marks: Mapping[str, Marks]) -> None:
        """Store the marks of artifacts by id, all or none; unknown ids are passed over."""
        with self._writing() as connection:
            for artifact_id, one in marks.items():
                change = sa.update(ARTIFACTS).where(ARTIFACTS.c.id == artifact_id).values(rating=one.rating)
                n = connection.execute(change.returning(ARTIFACTS.c.n)).scalar()
                if n is not None:
                    facets.remove(connection, n, marks_alone=True)
                    facets.add(connection, n, facets.of_marks(one))

    def names(self, key: str, within: str = "") -> list[tuple[str, int, str]]:
        """Every tag or collection (``facets.TAG``, ``facets.COLLECTION``): name, how many, the newest's id. ``within``:
        of artifacts whose paths begin so.
        """
        with self._engine.connect() as connection:
            if within:
                return facets.counts_between(connection, key, within, _after(within))
            return facets.counts(connection, key)

    def marked_ids(self) -> set[str]:
        """Artifacts that have any marks."""
        sql = (
            "SELECT id FROM artifacts WHERE rating > 0 OR n IN (SELECT n FROM facet_of WHERE facet IN"
            f" (SELECT id FROM facets WHERE key IN ('{facets.TAG}', '{facets.COLLECTION}')))"
        )
        with self._engine.connect() as connection:
            return set(connection.exec_driver_sql(sql).scalars())

    def paths(self, artifact_ids: Iterable[str]) -> dict[str, str]:
        """The records' paths of those artifacts that there are."""
        wanted = list(artifact_ids)
        found: dict[str, str] = {}
        with self._engine.connect() as connection:
            for start in range(0, len(wanted), 500):
                some = sa.select(ARTIFACTS.c.id, ARTIFACTS.c.path).where(
                    ARTIFACTS.c.id.in_(wanted[start : start + 500])
                )
                found.update((row.id, row.path) for row in connection.execute(some))
        return found

    def set_trashed(self, artifact_id: str, trashed: bool) -> None:
        """Raises NotFound."""
        self._set(artifact_id, trashed=int(trashed))

    def remove(self, artifact_ids: Iterable[str]) -> None:
        """Forget artifacts; unknown ids are passed over."""
        with self._writing() as connection:
            for artifact_id in artifact_ids:
                rows.remove(connection, artifact_id)

    def stored_files(self) -> dict[tuple[str, bool], Stored]:
        """Every row by (path, whether in the trash)."""
        columns = ARTIFACTS.c
        query = sa.select(columns.path, columns.trashed, columns.id, columns.size_bytes, columns.mtime_ns)
        with self._engine.connect() as connection:
            rows = connection.execute(query).all()
        return {
            (path, bool(trashed)): Stored(id_, bool(trashed), size, mtime) for path, trashed, id_, size, mtime in rows
        }

    def favourite_ids(self) -> set[str]:
        with self._engine.connect() as connection:
            return set(connection.execute(sa.select(ARTIFACTS.c.id).where(ARTIFACTS.c.favourite == 1)).scalars())

    def _set(self, artifact_id: str, **values: int) -> None:
        with self._writing() as connection:
            done = connection.execute(sa.update(ARTIFACTS).where(ARTIFACTS.c.id == artifact_id).values(**values))
            if not done.rowcount:
                raise NotFound(f"there is no artifact {artifact_id[:100]!r} in the library.")

    @contextlib.contextmanager
    def _writing(self) -> Iterator[sa.Connection]:
        """A transaction that holds the write lock from its begin, so that what it reads is what it changes."""
        with self._engine.connect() as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.exec_driver_sql("COMMIT")
            except BaseException:
                connection.exec_driver_sql("ROLLBACK")
                raise

    def _conditions(
        self, query: str, filters: Mapping[str, Any] | None, favourites: bool, trashed: bool, within: str
    ) -> Conditions:
        conditions = compile_query(query, filters, self._trigrams)
        # The plus keeps the planner from these columns' indexes where nearly every row fits them: rows then come in the
        # order of pages.
        conditions.where.append("artifacts.trashed = 1" if trashed else "+artifacts.trashed = 0")
        if favourites:
            conditions.where.append("artifacts.favourite = 1")
        if within:
            first, beyond = conditions.bind(within), conditions.bind(_after(within))
            conditions.where.append(f"+artifacts.path >= {first} AND +artifacts.path < {beyond}")
        return conditions

    def _source(self, connection: sa.Connection, conditions: Conditions) -> str:
        """FROM and WHERE. Where words are looked for the text index leads, whose rows come in the order of pages:
        CROSS JOIN keeps it so.
        """
        where = list(conditions.where)
        tables = "artifacts"
        if conditions.words or conditions.excluded:
            tables = "search CROSS JOIN artifacts"
            where.append("artifacts.n = search.rowid")
            scanned = conditions.words
            if self._trigrams:
                phrases, scanned = text.phrases(connection, conditions.words)
                if phrases:
                    where.append(f"search MATCH {conditions.bind(phrases)}")
            where += [f"instr(search.text, {conditions.bind(word)}) > 0" for word in scanned]
            where += [f"instr(search.text, {conditions.bind(word)}) = 0" for word in conditions.excluded]
        return f"{tables} WHERE {' AND '.join(where)}"

    def _select(
        self,
        connection: sa.Connection,
        conditions: Conditions,
        *,
        before: int | None = None,
        after: int | None = None,
        limit: int,
        offset: int = 0,
    ) -> list[int]:
        """The ``n`` of artifacts that fit, newest first, or oldest first with ``after``."""
        conditions = Conditions(list(conditions.where), dict(conditions.values), conditions.words, conditions.excluded)
        order = "search.rowid" if conditions.words or conditions.excluded else "artifacts.n"
        if before is not None:
            conditions.where.append(f"{order} < {conditions.bind(before)}")
        if after is not None:
            conditions.where.append(f"{order} > {conditions.bind(after)}")
        direction = "DESC" if after is None else "ASC"
        source = self._source(connection, conditions)
        sql = f"SELECT artifacts.n FROM {source} ORDER BY {order} {direction} LIMIT {limit} OFFSET {offset}"
        return list(connection.execute(sa.text(sql), conditions.values).scalars())


def _after(prefix: str) -> str:
    """The first text behind all that begin with ``prefix``, which ends with a slash."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)


def set_aside(path: Path) -> Path:
    """Rename a database that cannot be used, with what belongs to it; its new name."""
    kept = path.with_name(f"{path.name}.broken-{time.strftime('%Y%m%d-%H%M%S')}")
    os.replace(path, kept)
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    return kept


def _is_broken(error: sa.exc.DatabaseError) -> bool:
    text = str(error.orig)
    return "not a database" in text or "malformed" in text


def _prepare(connection: sqlite3.Connection, _record: object) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA cache_size = -16000")
