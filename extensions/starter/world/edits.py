"""Drawing world: a subject -> the same subject changed, and the instruction that asks for it; exact pairs.

The phrases are tables, one a domain and language (see edit_phrases); here is only what holds for all of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .edit_phrases import TABLES
from .phrases import Phrases
from .subject import SPECS, Subject
from .wording import Words

_SECOND = 0.25
_JOINTS = {"en": (" and ", ", then "), "zh": ("，并", "，再")}


@dataclass(frozen=True)
class Edit:
    """Two subjects of one pose, the instruction that leads from one to the other, and the attributes it names."""

    before: Subject
    after: Subject
    instruction: str
    changed: frozenset[str]


def edit(subject: Subject, seed: int, language: str = "en", kept: frozenset[str] = frozenset()) -> Edit:
    """The edit of this subject under this seed: one change, at times two, each in sight before and after.

    `kept`: attributes that no edit touches.

    Raises ValueError for a domain or language without phrases.
    """
    tables = TABLES.get(subject.domain, {})
    if language not in tables:
        known = ", ".join(f"{d} in {' and '.join(t)}" for d, t in TABLES.items())
        raise ValueError(f"edit of a {subject.domain} in language {language!r}: expected one of {known}")
    words = Words(f"edit:{seed}")
    after, name, text = _change(words, subject, tables[language], kept)
    changed = {name}
    if words.chance(_SECOND):
        further, name, more = _change(words, after, tables[language], kept | changed)
        both = {*changed, name}
        # The second change must neither hide nor undo the first (night brings the moon, and the moon night).
        was, now, final = subject.labels(), after.labels(), further.labels()
        if was[name] >= 0 and all(final[n] == now[n] for n in changed) and all(final[n] != was[n] for n in both):
            after, changed, text = further, both, words.one(_JOINTS[language]).join((text, more))
    return Edit(subject, after, text, frozenset(changed))


def _change(
    words: Words, subject: Subject, table: dict[str, Phrases], taken: frozenset[str]
) -> tuple[Subject, str, str]:
    """The subject with one more attribute changed, that attribute, and the words for it."""
    spec = SPECS[subject.domain]
    shown = {name for name, label in subject.labels().items() if label >= 0}
    choices = [
        (name, value)
        for name in words.shuffled([n for n in table if n in shown and n not in taken])
        for value in words.shuffled([v for v in spec[name] if v != getattr(subject, name)])
    ]
    for name, value in choices:
        after = subject.with_(**{name: value})
        now_shown = {n for n, label in after.labels().items() if label >= 0}
        # One attribute may come to light (eyes behind sunglasses); all colours of a sketch would be guesses.
        if name in now_shown and len(now_shown - shown) <= 1:
            return after, name, _instruction(words, table[name], getattr(subject, name), value)
    raise ValueError(f"edit: no attribute of {subject} can change in sight")


def _instruction(words: Words, phrases: Phrases, old: str, new: str) -> str:
    if old in phrases.absent and phrases.add:
        template = words.one(phrases.add)
    elif new in phrases.absent and phrases.remove:
        template = words.one(phrases.remove)
    else:
        template = words.one(phrases.change)
    return template.format(old=phrases.name(old), new=phrases.name(new), bare=phrases.bare(old))


def vocabulary_edits() -> Iterator[str]:
    """Texts that together hold every word of the instructions."""
    for tables in TABLES.values():
        for table in tables.values():
            for phrases in table.values():
                for template in (*phrases.change, *phrases.add, *phrases.remove):
                    yield template.format(old=" ", new=" ", bare=" ")
                yield from phrases.names.values()
    for joints in _JOINTS.values():
        yield from joints
