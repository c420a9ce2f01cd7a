"""From finished artifacts to the gallery's pages: records in SQLite, searched by words and parameters. It can always
be made anew from the files.

Pages run from the newest to the oldest by keyset (``Page.next``), so that they neither repeat nor miss anything while
new pictures arrive.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from webui.core.errors import NotFound
from webui.core.jobs import ArtifactRecord
from webui.core.recipes import Recipe

from .infotext import clean_text
from .query import Conditions, compile_query, normalise
from .schema import ARTIFACTS, DETAILS, SEARCH, has_trigrams, migrate

MAX_PAGE = 500
_TRIGRAM = 3


@dataclass(frozen=True)
class Item:
    """One artifact of the gallery."""

    record: ArtifactRecord
    prompt: str = ""
    favourite: bool = False
    trashed: bool = False
    n: int = 0
    """Its place in the order of making; unique."""

    @property
    def id(self) -> str:
        return self.record.id


@dataclass(frozen=True)
class Page:
    """Some artifacts, newest first. ``next`` is the cursor of the page after this one, empty on the last."""

    items: tuple[Item, ...]
    next: str = ""


@dataclass(frozen=True)
class Entry:
    """What ``Index.put_all`` writes for one artifact."""

    record: ArtifactRecord
    recipe: Recipe | None = None
    favourite: bool | None = None
    """None keeps what is stored."""
    trashed: bool = False
    mtime_ns: int = 0


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
                _put(connection, entry)

    def get(self, artifact_id: str) -> Item:
        """Raises NotFound."""
        with self._engine.connect() as connection:
            row = connection.execute(_ITEM.where(ARTIFACTS.c.id == artifact_id)).mappings().first()
        if row is None:
            raise NotFound(f"there is no artifact {artifact_id[:100]!r} in the library.")
        return _item(row)

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
    ) -> Page:
        """Up to ``limit`` artifacts (at most ``MAX_PAGE``) that fit ``query`` (see ``query``), from ``cursor`` on. A
        wrong cursor is none.
        """
        conditions = _conditions(query, filters, favourites, trashed)
        before = int(cursor) if cursor.isascii() and cursor.isdigit() and len(cursor) < 20 else None
        limit = max(1, min(limit, MAX_PAGE))
        with self._engine.connect() as connection:
            numbers = self._select(connection, conditions, before=before, limit=limit + 1, offset=max(0, offset))
            items = _items(connection, numbers[:limit])
        return Page(items, str(numbers[limit - 1]) if len(numbers) > limit else "")

    def count(
        self,
        query: str = "",
        filters: Mapping[str, Any] | None = None,
        *,
        favourites: bool = False,
        trashed: bool = False,
    ) -> int:
        """How many artifacts fit."""
        conditions = _conditions(query, filters, favourites, trashed)
        sql = f"SELECT count(*) FROM {self._source(conditions)}"
        with self._engine.connect() as connection:
            return int(connection.execute(sa.text(sql), conditions.values).scalar_one())

    def neighbours(
        self,
        artifact_id: str,
        query: str = "",
        filters: Mapping[str, Any] | None = None,
        *,
        favourites: bool = False,
        trashed: bool = False,
    ) -> tuple[str, str]:
        """Ids of the next newer and the next older artifact that fit; empty at either end. Raises NotFound."""
        n = self.get(artifact_id).n
        conditions = _conditions(query, filters, favourites, trashed)
        with self._engine.connect() as connection:
            older = self._select(connection, conditions, before=n, limit=1)
            newer = self._select(connection, conditions, after=n, limit=1)
            found = {item.n: item.id for item in _items(connection, newer + older)}
        return found.get(newer[0], "") if newer else "", found.get(older[0], "") if older else ""

    def set_favourite(self, artifact_id: str, favourite: bool) -> None:
        """Raises NotFound."""
        self._set(artifact_id, favourite=int(favourite))

    def set_trashed(self, artifact_id: str, trashed: bool) -> None:
        """Raises NotFound."""
        self._set(artifact_id, trashed=int(trashed))

    def remove(self, artifact_ids: Iterable[str]) -> None:
        """Forget artifacts; unknown ids are passed over."""
        with self._writing() as connection:
            for artifact_id in artifact_ids:
                _remove(connection, artifact_id)

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

    def _source(self, conditions: Conditions) -> str:
        """FROM and WHERE. Where words are looked for the text index leads, whose rows come in the order of pages:
        CROSS JOIN keeps it so.
        """
        where = list(conditions.where)
        tables = "artifacts"
        if conditions.words or conditions.excluded:
            tables = "search CROSS JOIN artifacts"
            where.append("artifacts.n = search.rowid")
            matched = [
                word for word in conditions.words if self._trigrams and len(word) >= _TRIGRAM and "\0" not in word
            ]
            if matched:
                phrases = " ".join('"' + word.replace('"', '""') + '"' for word in matched)
                where.append(f"search MATCH {conditions.bind(phrases)}")
            where += [
                f"instr(search.text, {conditions.bind(word)}) > 0" for word in conditions.words if word not in matched
            ]
            where += [f"instr(search.text, {conditions.bind(word)}) = 0" for word in conditions.excluded]
        if conditions.details:
            tables += " CROSS JOIN details"
            where.append("details.n = artifacts.n")
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
        conditions = Conditions(
            list(conditions.where), dict(conditions.values), conditions.words, conditions.excluded, conditions.details
        )
        order = "search.rowid" if conditions.words or conditions.excluded else "artifacts.n"
        if before is not None:
            conditions.where.append(f"{order} < {conditions.bind(before)}")
        if after is not None:
            conditions.where.append(f"{order} > {conditions.bind(after)}")
        direction = "DESC" if after is None else "ASC"
        source = self._source(conditions)
        sql = f"SELECT artifacts.n FROM {source} ORDER BY {order} {direction} LIMIT {limit} OFFSET {offset}"
        return list(connection.execute(sa.text(sql), conditions.values).scalars())


_ADD_ARTIFACT, _ADD_DETAILS, _ADD_TEXT = sa.insert(ARTIFACTS), sa.insert(DETAILS), sa.insert(SEARCH)
_ITEM = sa.select(ARTIFACTS, DETAILS.c.prompt).join(DETAILS, DETAILS.c.n == ARTIFACTS.c.n)


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


def _conditions(query: str, filters: Mapping[str, Any] | None, favourites: bool, trashed: bool) -> Conditions:
    conditions = compile_query(query, filters)
    # The plus keeps the planner from these columns' indexes where nearly every row fits them: rows then come in the
    # order of pages.
    conditions.where.append("artifacts.trashed = 1" if trashed else "+artifacts.trashed = 0")
    if favourites:
        conditions.where.append("artifacts.favourite = 1")
    return conditions


def _items(connection: sa.Connection, numbers: list[int]) -> tuple[Item, ...]:
    rows = connection.execute(_ITEM.where(ARTIFACTS.c.n.in_(numbers)).order_by(ARTIFACTS.c.n.desc())).mappings()
    return tuple(_item(row) for row in rows)


def _item(row: Mapping[Any, Any]) -> Item:
    names = (
        "id",
        "job_id",
        "kind",
        "path",
        "media_type",
        "size_bytes",
        "sha256",
        "pipeline",
        "title",
        "seed",
        "width",
        "height",
        "created_at",
    )
    record = ArtifactRecord(
        index=row["position"], warnings=tuple(json.loads(row["warnings"])), **{name: row[name] for name in names}
    )
    return Item(record, row["prompt"], bool(row["favourite"]), bool(row["trashed"]), row["n"])


def _put(connection: sa.Connection, entry: Entry) -> None:
    record, recipe = entry.record, entry.recipe
    stored = connection.exec_driver_sql("SELECT favourite FROM artifacts WHERE id = ?", (record.id,)).first()
    favourite = entry.favourite if entry.favourite is not None else bool(stored and stored[0])
    if stored is not None:
        _remove(connection, record.id)
    n = _free_number(connection, record.created_at)
    params = recipe.params if recipe else {}
    prompt = _text(params.get("prompt")) or ""
    row = record.model_dump(exclude={"index", "warnings", "seed"}) | {
        "n": n,
        "position": record.index,
        "title": _text(record.title),
        "warnings": json.dumps(record.warnings),
        "seed": _whole(record.seed),
        "mtime_ns": entry.mtime_ns,
        "model": _text(params.get("model")),
        "sampler": _text(params.get("sampler")),
        "schedule": _text(params.get("schedule")),
        "steps": _whole(params.get("steps")),
        "guidance_scale": _real(params.get("guidance_scale")),
        "strength": _real(params.get("strength")),
        "favourite": int(favourite),
        "trashed": int(entry.trashed),
    }
    connection.execute(_ADD_ARTIFACT, row)
    recipe_json = clean_text(recipe.to_json()) if recipe else "{}"
    connection.execute(_ADD_DETAILS, {"n": n, "prompt": prompt, "recipe": recipe_json})
    connection.execute(_ADD_TEXT, {"rowid": n, "text": normalise(f"{prompt}\n{row['title']}")})


def _remove(connection: sa.Connection, artifact_id: str) -> None:
    n = connection.exec_driver_sql("SELECT n FROM artifacts WHERE id = ?", (artifact_id,)).scalar()
    if n is not None:
        connection.execute(sa.delete(ARTIFACTS).where(ARTIFACTS.c.n == n))
        connection.execute(sa.delete(DETAILS).where(DETAILS.c.n == n))
        connection.execute(sa.delete(SEARCH).where(SEARCH.c.rowid == n))


def _free_number(connection: sa.Connection, created_at: float) -> int:
    """``created_at`` in microseconds, or the next number that is free."""
    n = int(min(max(created_at, 0.0), 4e9) * 1e6)
    while connection.exec_driver_sql("SELECT 1 FROM artifacts WHERE n = ?", (n,)).first() is not None:
        n += 1
    return n


def _text(value: Any) -> str | None:
    """Text that the database can hold: without lone surrogates."""
    return value.encode("utf-8", "replace").decode("utf-8") if isinstance(value, str) else None


def _real(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and abs(value) < 1e300 else None


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63 else None
