"""Below ``index``: one artifact as its rows, written and read back; the callers hold the transaction."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from webui.core.jobs import ArtifactRecord
from webui.core.recipes import Recipe

from . import facets, text
from .infotext import clean_text
from .marks import NO_MARKS, Marks
from .schema import ARTIFACTS, DETAILS, SEARCH


@dataclass(frozen=True)
class Item:
    """One artifact of the gallery."""

    record: ArtifactRecord
    prompt: str = ""
    favourite: bool = False
    trashed: bool = False
    marks: Marks = NO_MARKS
    n: int = 0
    """Its place in the order of making; unique."""

    @property
    def id(self) -> str:
        return self.record.id


@dataclass(frozen=True)
class Entry:
    """What ``Index.put_all`` writes for one artifact."""

    record: ArtifactRecord
    recipe: Recipe | None = None
    favourite: bool | None = None
    """None keeps what is stored."""
    trashed: bool = False
    mtime_ns: int = 0
    marks: Marks | None = None
    """None keeps what is stored."""
    params: Mapping[str, Any] = field(default_factory=dict)
    """What a picture without a recipe says of how it was made."""


_ADD_ARTIFACT, _ADD_DETAILS, _ADD_TEXT = sa.insert(ARTIFACTS), sa.insert(DETAILS), sa.insert(SEARCH)
ITEM = sa.select(ARTIFACTS, DETAILS.c.prompt).join(DETAILS, DETAILS.c.n == ARTIFACTS.c.n)


def items(connection: sa.Connection, numbers: list[int]) -> tuple[Item, ...]:
    rows = connection.execute(ITEM.where(ARTIFACTS.c.n.in_(numbers)).order_by(ARTIFACTS.c.n.desc())).mappings()
    marks = facets.marks_of(connection, numbers)
    return tuple(item_of(row, marks.get(row["n"], {})) for row in rows)


def item_of(row: Mapping[Any, Any], named: Mapping[str, list[str]]) -> Item:
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
    marks = Marks(row["rating"], tuple(named.get(facets.TAG, ())), tuple(named.get(facets.COLLECTION, ())))
    return Item(record, row["prompt"], bool(row["favourite"]), bool(row["trashed"]), marks, row["n"])


def put(connection: sa.Connection, entry: Entry) -> None:
    record, recipe = entry.record, entry.recipe
    stored = connection.execute(ITEM.where(ARTIFACTS.c.id == record.id)).mappings().first()
    favourite = entry.favourite if entry.favourite is not None else bool(stored and stored["favourite"])
    marks = entry.marks or NO_MARKS
    if stored is not None:
        if entry.marks is None:
            marks = items(connection, [stored["n"]])[0].marks
        remove(connection, record.id)
    n = _free_number(connection, record.created_at)
    params = recipe.params if recipe else entry.params
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
        "rating": marks.rating,
    }
    connection.execute(_ADD_ARTIFACT, row)
    recipe_json = clean_text(recipe.to_json()) if recipe else "{}"
    connection.execute(_ADD_DETAILS, {"n": n, "prompt": prompt, "recipe": recipe_json})
    connection.execute(_ADD_TEXT, {"rowid": n, "text": text.stored(prompt, row["title"] or "")})
    facets.add(connection, n, [*facets.of_params(params), *facets.of_marks(marks)])


def remove(connection: sa.Connection, artifact_id: str) -> None:
    n = connection.exec_driver_sql("SELECT n FROM artifacts WHERE id = ?", (artifact_id,)).scalar()
    if n is not None:
        connection.execute(sa.delete(ARTIFACTS).where(ARTIFACTS.c.n == n))
        connection.execute(sa.delete(DETAILS).where(DETAILS.c.n == n))
        connection.execute(sa.delete(SEARCH).where(SEARCH.c.rowid == n))
        facets.remove(connection, n)


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
