"""The words of a report in the language that was asked for, from the tables of the extensions."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

LANGUAGES = {"en": "English", "zh-CN": "简体中文"}
_SLOT = re.compile(r"\{([A-Za-z_]\w*)\}")
_LEAST_LITERAL = 4
"""Letters beside the slots, below which a sentence fits anything."""


@dataclass(frozen=True)
class Words:
    """Calling it with an English text gives the text in ``language``, its ``{slots}`` filled; what the table does not
    have stays English.
    """

    language: str = "en"
    table: Mapping[str, str] = field(default_factory=dict)
    """English text -> text."""

    def __call__(self, text: str, **slots: Any) -> str:
        found = self.table.get(text, text)
        return found.format(**slots) if slots else found

    def told(self, text: str) -> str:
        """What another job said, a sentence whose values are filled in already: they are read back from it. The record
        of that job keeps its own words.
        """
        if text in self.table:
            return self.table[text]
        for shape, key in self._shapes:
            if found := shape.fullmatch(text):
                values = {name: self.told(value) for name, value in found.groupdict().items()}
                return _SLOT.sub(lambda slot, values=values: values.get(slot[1], slot[0]), self.table[key])
        split = re.match(r"(.+?[.!?]) (.+)", text, re.DOTALL)
        if split and (first := self.told(split[1])) != split[1]:
            return f"{first} {self.told(split[2])}"
        return text

    def value(self, attribute: str, value: str) -> str:
        """What a value of a judge's attribute is called."""
        return self.table.get(f"{attribute}: {value}", value)

    @cached_property
    def _shapes(self) -> list[tuple[re.Pattern[str], str]]:
        """Sentences with slots, those of most letters first."""

        def letters(key: str) -> int:
            return len(_SLOT.sub("", key))

        keys = [key for key in self.table if _SLOT.search(key) and letters(key) >= _LEAST_LITERAL]
        return [(_shape(key), key) for key in sorted(keys, key=letters, reverse=True)]


def _shape(key: str) -> re.Pattern[str]:
    """What a sentence with slots looks like once they are filled; a slot that is named twice holds the same twice."""
    words, known = "", set[str]()
    for place, part in enumerate(_SLOT.split(key)):  # literal, name, literal, name ...
        if place % 2 == 0:
            words += re.escape(part)
        else:
            words += f"(?P={part})" if part in known else f"(?P<{part}>.+?)"
            known.add(part)
    return re.compile(words, re.DOTALL)
