"""Below ``index``: words as questions to the text index, whose terms are three letters long.

A word of one or two letters is looked for by the terms that begin with it. So that every letter begins a term, two line
ends close each text (``stored``).
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from .query import normalise

TERM_CHARS = 3
_MOST_TERMS = 64
"""A short word that begins more terms is in so many texts that reading them from the newest on is quicker."""


def stored(prompt: str, title: str) -> str:
    """The text that is indexed of an artifact."""
    return normalise(f"{prompt}\n{title}") + "\n\n"


def phrases(connection: sa.Connection, words: Sequence[str]) -> tuple[str, list[str]]:
    """What to MATCH, and the words that must be looked for in the texts themselves."""
    asked, scanned = [], []
    for word in words:
        if "\0" in word or not word:
            scanned.append(word)
        elif len(word) >= TERM_CHARS:
            asked.append(_quoted(word))
        else:
            terms = _beginning_with(connection, word)
            if len(terms) > _MOST_TERMS:
                scanned.append(word)
            else:
                # A phrase that no text holds stands for nothing at all.
                asked.append("(" + " OR ".join(map(_quoted, terms or [word + "\x01" * TERM_CHARS])) + ")")
    return " AND ".join(asked), scanned


def _quoted(word: str) -> str:
    return '"' + word.replace('"', '""') + '"'


def _beginning_with(connection: sa.Connection, word: str) -> list[str]:
    sql = "SELECT term FROM search_terms WHERE term >= ? AND term <= ? LIMIT ?"
    found = connection.exec_driver_sql(sql, (word, word + "\U0010ffff", _MOST_TERMS + 1))
    return [str(term) for term in found.scalars()]
