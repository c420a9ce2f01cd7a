"""From a job's prompts to the words of each of its pictures: styles are put on, wildcards drawn, and what came of it is
recorded, so that a picture can be made again when the files have changed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from . import styles, wildcards
from .words import Words, notes_of


class Asked(Protocol):
    """The parameters that are read here."""

    @property
    def prompt(self) -> str: ...
    @property
    def negative_prompt(self) -> str: ...
    @property
    def styles(self) -> tuple[str, ...]: ...
    @property
    def prompt_template(self) -> str: ...
    @property
    def negative_template(self) -> str: ...
    @property
    def applied_styles(self) -> tuple[str, ...]: ...


@dataclass(frozen=True)
class Worded:
    """The words of one picture."""

    words: Words
    record: dict[str, Any]
    """Parameters for its recipe, in place of the job's: what was drawn, and what it was drawn from."""
    notes: tuple[str, ...] = ()


class Wording:
    """The prompts of one job. Files are read once in its life."""

    def __init__(self, asked: Asked, folders: Callable[[str], Sequence[Path]]) -> None:
        """Raises ParameterError for a style that is not there."""
        self._asked = asked
        settled = bool(asked.prompt_template or asked.negative_template or asked.applied_styles)
        self._texts = (asked.prompt, asked.negative_prompt)
        if not settled and asked.styles:
            for style in styles.StyleBook(folders(styles.FOLDER)).named(asked.styles):
                self._texts = style.around(*self._texts)
        # A recipe's prompt is what was drawn once: what looks like a wildcard in it had no file then.
        self._drawn = not settled and any(wildcards.find(text) for text in self._texts)
        self._wildcards = wildcards.Wildcards(folders(wildcards.FOLDER) if self._drawn else ())
        self._known: dict[int, Worded] = {}

    def of(self, seed: int) -> Worded:
        """The words of the picture with that seed."""
        key = seed if self._drawn else 0
        if key not in self._known:
            self._known[key] = self._make(seed)
        return self._known[key]

    def _make(self, seed: int) -> Worded:
        asked, notes = self._asked, []
        prompt, negative = self._texts
        if self._drawn:
            draw = wildcards.Draw(self._wildcards, seed)
            prompt, remarks = draw.expand(self._texts[0])
            notes += notes_of("prompt", self._texts[0], remarks)
            negative, remarks = draw.expand(self._texts[1])
            notes += notes_of("negative prompt", self._texts[1], remarks)
        words = Words.read(prompt, negative)
        if not self._drawn and self._texts == (asked.prompt, asked.negative_prompt):
            return Worded(words, {})
        record = {
            "prompt": prompt,
            "negative_prompt": negative,
            "styles": [],
            "prompt_template": asked.prompt,
            "negative_template": asked.negative_prompt,
            "applied_styles": list(asked.styles),
        }
        return Worded(words, record, tuple(notes))
