"""What a person types into the gallery's search field, as conditions for ``index``. Any text has a meaning; there are
no errors.

    red hair                  both words, anywhere in the prompt or title, in any case
    "red hair"                just so
    -hat                      not this
    seed:5 steps:>=20         numbers: 5, >5, >=5, <5, <=5, 5..10
    sampler:"Euler a"         texts are compared whole, without case; * stands for anything: sampler:DPM*
    model:starter             model and pipeline: any part of the name
    width:128 height:128 size:128x128
    pipeline:diffusion.txt2img   kind:image   favourite:yes   job:<id>
    tag:portrait collection:"Best of 2026" rating:>=4
    date:2026-11-22 date:2026-11 date:>=2026-11-01
    guidance_scale:7.5        any other parameter of the recipe, by its name

What has the form ``name:value`` but names no parameter known here is looked for as text as well.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from .facets import COLLECTION, TAG

MAX_TERMS = 32
"""Further ones are passed over."""

_KEY = re.compile(r"[a-z][a-z0-9_]{0,63}", re.ASCII)
_NUMBER = re.compile(r"-?(?:\d{1,19}(?:\.\d{1,20})?|\.\d{1,20})", re.ASCII)
_DATE = re.compile(r"(\d{4})(?:-(\d{1,2})(?:-(\d{1,2}))?)?", re.ASCII)
_NUMBERS = {name: name for name in ("rating", "seed", "steps", "width", "height", "guidance_scale", "strength")} | {
    "index": "position"
}
_TEXTS = {"sampler": "sampler", "schedule": "schedule", "kind": "kind", "job": "job_id", "id": "id"}
_PARTS = {"model": "model", "pipeline": "pipeline"}
_MAX_PATTERN, _MAX_STARS = 500, 4
_FAVOURITE = frozenset({"favourite", "favorite", "fav"})
_YES = frozenset({"yes", "true", "1", "on", "y"})
_NO = frozenset({"no", "false", "0", "off", "n"})


@dataclass(frozen=True)
class Term:
    """One word of a query: ``key`` is empty for a word of the prompt."""

    key: str
    value: str
    negated: bool = False


@dataclass
class Conditions:
    """SQL of constants and named values; every value that a person typed is in ``values``."""

    where: list[str] = field(default_factory=list)
    values: dict[str, Any] = field(default_factory=dict)
    words: list[str] = field(default_factory=list)
    """Normalised texts that must occur, to be looked for in the text index."""
    excluded: list[str] = field(default_factory=list)
    """Normalised texts that must not."""

    def bind(self, value: Any) -> str:
        """Keep ``value`` and return the name it has in the SQL."""
        name = f"v{len(self.values)}"
        self.values[name] = value
        return f":{name}"


def normalise(text: str) -> str:
    """``text`` as it is stored and looked for: compatible forms of a letter made one, case folded."""
    return unicodedata.normalize("NFKC", text).casefold()


def terms(text: str) -> list[Term]:
    """The words of a query, at most ``MAX_TERMS``. A quotation that is never closed ends with the text."""
    return list(islice(_words(text[:10_000]), MAX_TERMS))


def _words(text: str) -> Iterator[Term]:
    position = 0
    while position < len(text):
        start = position
        while position < len(text) and not text[position].isspace() and text[position] != '"':
            position += 1
        head = text[start:position]
        if position < len(text) and text[position] == '"':
            end = text.find('"', position + 1)
            end = len(text) if end < 0 else end
            yield from _quoted(head, text[position + 1 : end].strip())
            position = end
        else:
            yield from _plain(head)
        position += 1


def _quoted(head: str, value: str) -> Iterator[Term]:
    """A quotation and what stands directly before it: ``-``, ``key:``, both, or a word of its own."""
    negated = head.startswith("-")
    body = head.removeprefix("-")
    key = body[:-1].lower()
    if body and not (body.endswith(":") and _KEY.fullmatch(key)):
        yield from _plain(head)
        negated, key = False, ""
    if value:
        yield Term(key, value, negated)


def _plain(word: str) -> Iterator[Term]:
    negated = word.startswith("-") and len(word) > 1
    body = word[1:] if negated else word
    key, separator, value = body.partition(":")
    if separator and value and _KEY.fullmatch(key.lower()):
        yield Term(key.lower(), value, negated)
    elif body:
        yield Term("", body, negated)


def compile_query(text: str, filters: Mapping[str, Any] | None = None, trigrams: bool = True) -> Conditions:
    """Conditions for a search field's text and further exact ``filters`` by key, such as ``{"pipeline":
    "diffusion.txt2img"}``.
    """
    conditions = Conditions()
    given = [Term(str(key).lower(), str(value)) for key, value in (filters or {}).items() if value not in (None, "")]
    for term in terms(text) + given:
        sql = _condition(term, conditions, trigrams) if term.key else None
        if sql is not None:
            conditions.where.append(f"NOT coalesce({sql}, 0)" if term.negated else sql)
        else:
            word = normalise(f"{term.key}:{term.value}" if term.key else term.value)
            (conditions.excluded if term.negated else conditions.words).append(word)
    return conditions


def _condition(term: Term, conditions: Conditions, trigrams: bool) -> str | None:
    """SQL for a ``key:value`` term; None where it can only be meant as text."""
    key, value = term.key, term.value
    if key in _NUMBERS:
        return _numeric(f"artifacts.{_NUMBERS[key]}", value, conditions)
    if key in _TEXTS:
        return _textual(f"artifacts.{_TEXTS[key]}", value, conditions)
    if key in _PARTS:
        return _textual(f"artifacts.{_PARTS[key]}", value if "*" in value else f"*{value}*", conditions)
    if key in _FAVOURITE:
        said = value.lower()
        return f"artifacts.favourite = {int(said in _YES)}" if said in _YES | _NO else None
    if key == "size":
        width, _, height = value.lower().partition("x")
        if not (_NUMBER.fullmatch(width) and _NUMBER.fullmatch(height)):
            return None
        across, down = conditions.bind(float(width)), conditions.bind(float(height))
        return f"(artifacts.width = {across} AND artifacts.height = {down})"
    if key == "date":
        return _dated(value, conditions)
    if key in (TAG, COLLECTION):
        return _faceted(key, value, conditions)
    return _parameter(key, value, conditions, trigrams) if _KEY.fullmatch(key) else None


def _parameter(key: str, value: str, conditions: Conditions, trigrams: bool) -> str:
    """A parameter of the recipe, or the words as they stand."""
    word = normalise(f"{key}:{value}")
    if trigrams and "\0" not in word:
        phrase = conditions.bind('"' + word.replace('"', '""') + '"')
        as_text = f"+artifacts.n IN (SELECT rowid FROM search WHERE search MATCH {phrase})"
    else:
        as_text = f"+artifacts.n IN (SELECT rowid FROM search WHERE instr(text, {conditions.bind(word)}) > 0)"
    return f"({as_text} OR +{_faceted(key, value, conditions)})"  # the plus: walk in the order of pages


def _faceted(key: str, value: str, conditions: Conditions) -> str:
    """Artifacts that have one of the values of ``key`` that fit ``value``."""
    either = [_textual("text", value, conditions)]
    if number := _numeric("number", value, conditions):
        either.append(number)
    if value.lower() in ("true", "yes", "false", "no"):
        either.append(f"text = {conditions.bind('true' if value.lower() in _YES else 'false')}")
    fitting = f"SELECT id FROM facets WHERE key = {conditions.bind(key)} AND ({' OR '.join(either)})"
    return f"artifacts.n IN (SELECT n FROM facet_of WHERE facet IN ({fitting}))"


def _numeric(column: str, value: str, conditions: Conditions) -> str | None:
    sign, low, high = _compared(value)
    if not _NUMBER.fullmatch(low) or (high and not _NUMBER.fullmatch(high)):
        return None
    if high:
        return f"{column} BETWEEN {conditions.bind(_as_number(low))} AND {conditions.bind(_as_number(high))}"
    return f"{column} {sign or '='} {conditions.bind(_as_number(low))}"


def _compared(value: str) -> tuple[str, str, str]:
    """(sign, low, high) of ``>=5``, ``5..10`` or ``5``."""
    sign = next((one for one in (">=", "<=", ">", "<") if value.startswith(one)), "")
    low, dots, high = value[len(sign) :].partition("..")
    return (sign, low, "") if sign or not dots else ("", low, high)


def _as_number(text: str) -> int | float:
    number = float(text)
    exact = int(text) if text.lstrip("-").isdigit() else None
    return exact if exact is not None and abs(exact) < 2**63 else number


def _textual(column: str, value: str, conditions: Conditions) -> str:
    """Whole texts without case; ``*`` is anything. SQL's own wildcards are escaped."""
    escaped = value[:_MAX_PATTERN].replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    parts = escaped.split("*")
    if len(parts) > _MAX_STARS + 1:  # each star multiplies the time that matching may take
        parts = [*parts[:_MAX_STARS], "".join(parts[_MAX_STARS:])]
    pattern = "%".join(parts)
    return f"{column} LIKE {conditions.bind(pattern)} ESCAPE '\\'"


def _dated(value: str, conditions: Conditions) -> str | None:
    """A local day, month or year, or a range of them."""
    sign, low, high = _compared(value)
    first, last = _period(low), _period(high or low)
    if first is None or last is None:
        return None
    column = "artifacts.created_at"
    if sign in (">", "<="):
        return f"{column} {'>=' if sign == '>' else '<'} {conditions.bind(first[1])}"
    if sign in (">=", "<"):
        return f"{column} {sign} {conditions.bind(first[0])}"
    return f"({column} >= {conditions.bind(first[0])} AND {column} < {conditions.bind(last[1])})"


def _period(text: str) -> tuple[float, float] | None:
    """Begin and end, in seconds since 1970, of ``YYYY``, ``YYYY-MM`` or ``YYYY-MM-DD``."""
    found = _DATE.fullmatch(text)
    if found is None:
        return None
    year, month, day = (int(part) if part else 0 for part in found.groups())
    try:
        begin = datetime(year, month or 1, day or 1)
        if day:
            end = begin + timedelta(days=1)
        elif month:
            end = datetime(year + month // 12, month % 12 + 1, 1)
        else:
            end = datetime(year + 1, 1, 1)
        return begin.timestamp(), end.timestamp()
    except (ValueError, OverflowError, OSError):
        return None
