"""Below ``index``: what artifacts have in common, as pairs of a key and a value that each stand once in the index: the
parameters of recipes that have no column of their own, tags, collections.

``precision:float16`` then looks at the few values that ``precision`` ever had, not at every recipe.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import sqlalchemy as sa

from .marks import Marks

TAG, COLLECTION = "tag", "collection"
OWN_COLUMNS = frozenset(
    {"prompt", "seed", "steps", "width", "height", "guidance_scale", "strength", "sampler", "schedule", "model"}
)
"""Parameters that the index keeps elsewhere."""
MAX_CHARS = 1000
"""Of a value; longer ones are not found by their key."""
MAX_FACETS = 200

Facet = tuple[str, str, float | None]
"""Key, the value as text, the value as a number where it is one."""


def of_params(params: Mapping[str, Any]) -> Iterator[Facet]:
    """The facets of a recipe's parameters: plain values alone."""
    for key, value in list(params.items())[:MAX_FACETS]:
        name = str(key)
        if name in OWN_COLUMNS or name in (TAG, COLLECTION) or len(name) > 64:
            continue
        if isinstance(value, bool):
            yield name, str(value).lower(), float(value)
        elif isinstance(value, int | float) and abs(value) < 1e300:
            yield name, str(value), float(value)
        elif isinstance(value, str) and 0 < len(value) <= MAX_CHARS and "\0" not in value:
            yield name, value.encode("utf-8", "replace").decode("utf-8"), None


def of_marks(marks: Marks) -> Iterator[Facet]:
    yield from ((TAG, name, None) for name in marks.tags)
    yield from ((COLLECTION, name, None) for name in marks.collections)


def add(connection: sa.Connection, n: int, facets: Iterable[Facet]) -> None:
    """Give the artifact ``n`` further facets."""
    wanted = {(key, text): number for key, text, number in facets}
    if not wanted:
        return
    values = ", ".join(["(?, ?)"] * len(wanted))
    flat = tuple(part for pair in wanted for part in pair)
    sql = f"SELECT key, text, id FROM facets WHERE (key, text) IN (VALUES {values})"
    known = {(key, text): number for key, text, number in connection.exec_driver_sql(sql, flat)}
    for pair, number in wanted.items():
        if pair not in known:
            added = "INSERT INTO facets (key, text, number) VALUES (?, ?, ?) RETURNING id"
            known[pair] = connection.exec_driver_sql(added, (*pair, number)).scalar_one()
    rows = [(number, n) for number in known.values()]
    connection.exec_driver_sql("INSERT OR IGNORE INTO facet_of (facet, n) VALUES (?, ?)", rows)


def remove(connection: sa.Connection, n: int, *, marks_alone: bool = False) -> None:
    """Take an artifact's facets away. A value that nobody has any more stays, until the index is made anew."""
    which = f" AND facet IN (SELECT id FROM facets WHERE key IN ('{TAG}', '{COLLECTION}'))" if marks_alone else ""
    connection.exec_driver_sql(f"DELETE FROM facet_of WHERE n = ?{which}", (n,))


def marks_of(connection: sa.Connection, numbers: Iterable[int]) -> dict[int, dict[str, list[str]]]:
    """Tags and collections of artifacts by ``n``: key -> names."""
    found: dict[int, dict[str, list[str]]] = {}
    listed = ", ".join(str(int(n)) for n in numbers)
    sql = (
        f"SELECT n, key, text FROM facet_of CROSS JOIN facets WHERE n IN ({listed}) AND id = facet"
        f" AND key IN ('{TAG}', '{COLLECTION}') ORDER BY text"
    )
    for n, key, text in connection.exec_driver_sql(sql):
        found.setdefault(n, {}).setdefault(key, []).append(text)
    return found


def counts(connection: sa.Connection, key: str) -> list[tuple[str, int, str]]:
    """Each value of ``key`` with how many artifacts outside the trash have it, and the id of the newest of them."""
    # What is in the trash is little: counted by itself, so that the many need not be looked up one by one.
    sql = (
        "SELECT text, (SELECT count(*) FROM facet_of WHERE facet = facets.id) - coalesce(gone.count, 0),"
        " (SELECT artifacts.id FROM facet_of CROSS JOIN artifacts WHERE facet = facets.id"
        " AND artifacts.n = facet_of.n AND +trashed = 0 ORDER BY facet_of.n DESC LIMIT 1)"
        " FROM facets LEFT JOIN (SELECT facet, count(*) AS count FROM artifacts CROSS JOIN facet_of"
        " WHERE trashed = 1 AND facet_of.n = artifacts.n GROUP BY facet) AS gone ON gone.facet = facets.id"
        " WHERE key = ? ORDER BY text COLLATE NOCASE"
    )
    rows = connection.exec_driver_sql(sql, (key,)).all()
    return [(text, count, newest) for text, count, newest in rows if count > 0]


def counts_between(connection: sa.Connection, key: str, first: str, beyond: str) -> list[tuple[str, int, str]]:
    """As ``counts``, of the artifacts whose paths lie from ``first`` to before ``beyond``."""
    sql = (
        "SELECT text, count, (SELECT id FROM artifacts WHERE artifacts.n = newest) FROM"
        " (SELECT text, count(*) AS count, max(facet_of.n) AS newest FROM artifacts"
        " JOIN facet_of ON facet_of.n = artifacts.n JOIN facets ON facets.id = facet"
        " WHERE key = ? AND trashed = 0 AND path >= ? AND path < ? GROUP BY text) ORDER BY text COLLATE NOCASE"
    )
    return [(text, count, newest) for text, count, newest in connection.exec_driver_sql(sql, (key, first, beyond))]
