"""When a study is accepted: what its sets come from is understood, and what cannot be is said at its field.

Light: it runs in the web process. Folders are opened by the worker, which knows who may name them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from webui.api import Acceptance, FieldError, ParameterError

from .params import TIMED_TRIALS, UNTIMED_TRIALS, CreateParams
from .staircase import Staircase

MOST_SETS = 12


@dataclass(frozen=True)
class Source:
    """Where the pictures of a set come from: exactly one of the three."""

    name: str
    field: str
    """Of the form, where something is wrong with it."""
    folder: str = ""
    collection: str = ""
    pictures: tuple[str, ...] = ()


def accept(params: CreateParams, acceptance: Acceptance) -> Mapping[str, Any]:
    """``params`` with the number of trials settled. Raises ParameterError."""
    sources(params)
    if params.timing == "staircase":
        if params.kind == "preference":
            raise _wrong("timing", "expected Unlimited: a preference has no right answer to go by", params.timing)
        staircase(params)
    usual = TIMED_TRIALS * params.staircases if params.timing == "staircase" else UNTIMED_TRIALS
    return {**params.model_dump(), "trials": params.trials or usual}


def staircase(params: CreateParams) -> Staircase:
    """Raises ParameterError."""
    try:
        return Staircase(
            params.start_ms, params.down_ms, params.up_ms, params.lowest_ms, params.highest_ms, params.staircases
        )
    except ValueError:
        span = f"{params.lowest_ms}, {params.start_ms}, {params.highest_ms}"
        raise _wrong("start_ms", "expected shortest, first and longest exposure in this order", span) from None


def sources(params: CreateParams) -> tuple[Source, ...]:
    """Every set of the study; of a question what is real, the real one first. Raises ParameterError."""
    found = [
        _source("first", params.first_name, params.first_folder, params.first_collection, params.first_pictures),
        _source("second", params.second_name, params.second_folder, params.second_collection, params.second_pictures),
        *_more(params.more),
    ]
    if len(found) > MOST_SETS:
        raise _wrong("more", f"expected at most {MOST_SETS} sets in all", str(len(found)))
    seen: dict[str, str] = {}
    for one in found:
        if one.name.casefold() in seen:
            raise _wrong(one.field, f"expected another name than that of the set before: {one.name!r}")
        seen[one.name.casefold()] = one.field
    return tuple(found)


def _source(which: str, name: str, folder: str, collection: str, pictures: tuple[str, ...]) -> Source:
    if not name.strip():
        raise _wrong(f"{which}_name", "expected a name")
    given = [bool(folder.strip()), bool(collection.strip()), bool(pictures)]
    if not any(given):
        raise _wrong(f"{which}_folder", "expected a folder, a collection or pictures")
    if sum(given) > 1:
        raise _wrong(f"{which}_folder", "expected only one of folder, collection and pictures")
    field = f"{which}_folder" if given[0] else f"{which}_collection" if given[1] else f"{which}_pictures"
    return Source(name.strip(), field, folder.strip(), collection.strip(), pictures)


def _more(text: str) -> list[Source]:
    found = []
    for line in filter(None, map(str.strip, text.splitlines())):
        name, equals, source = (part.strip() for part in line.partition("="))
        if not (name and equals and source) or len(name) > 80:
            raise _wrong("more", "expected lines such as Steps 50 = collection:Fifty steps", repr(line[:80]))
        kind, colon, rest = source.partition(":")
        if kind.strip().lower() == "collection" and colon:
            collection = rest.strip().strip('"')
            if not collection:
                raise _wrong("more", "expected the name of a collection", repr(line[:80]))
            found.append(Source(name, "more", collection=collection))
        else:
            found.append(Source(name, "more", folder=source))
    return found


def _wrong(field: str, message: str, got: str = "") -> ParameterError:
    return ParameterError([FieldError(field, message, got)])
