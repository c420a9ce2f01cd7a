"""What the last scan read, kept in a file: a new process lists the models without opening those that did not change."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from .entry import ModelEntry

log = logging.getLogger(__name__)

Stamp = tuple[int, ...]
_FIELDS = tuple(field.name for field in fields(ModelEntry))
_PATHS, _TUPLES = ("path", "tokenizer"), ("examples", "lacks")


def read_index(store: Path) -> dict[str, tuple[Stamp, ModelEntry]]:
    """The entries in ``store`` by path; none where there is no such file, or another version of this room wrote it."""
    try:
        kept = json.loads(store.read_text(encoding="utf-8"))
        if kept["version"] != _version():
            return {}
        return {row[1]["path"]: (tuple(row[0]), _entry(row[1])) for row in kept["rows"]}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, KeyError, IndexError) as error:
        log.warning("the list of models in %s cannot be read and is made anew: %s", store, error)
        return {}


def write_index(store: Path, rows: Iterable[tuple[Stamp, ModelEntry]]) -> None:
    """Keep ``rows`` in ``store``, all or nothing. A folder that cannot be written to costs only time."""
    body = {"version": _version(), "rows": [(stamp, _row(entry)) for stamp, entry in rows]}
    temporary = store.with_name(f"{store.name}.{os.getpid()}.tmp")
    try:
        store.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(json.dumps(body), encoding="utf-8")
        os.replace(temporary, store)
    except OSError as error:
        log.warning("the list of models cannot be written to %s: %s", store, error)


def _row(entry: ModelEntry) -> dict[str, Any]:
    row = {name: value for name in _FIELDS if (value := getattr(entry, name))}
    return {**row, **{name: str(row[name]) for name in _PATHS if name in row}}


def _entry(row: Mapping[str, Any]) -> ModelEntry:
    given = dict(row)
    for name in _PATHS:
        if given.get(name):
            given[name] = Path(given[name])
    for name in _TUPLES:
        if name in given:
            given[name] = tuple(given[name])
    return ModelEntry(**given)


def _version() -> str:
    """Of the modules that recognise: another version of them may read the same file otherwise."""
    sources = sorted(Path(__file__).parent.glob("*.py"))
    stamps = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in sources]
    return hashlib.sha256(repr(stamps).encode()).hexdigest()[:16]
