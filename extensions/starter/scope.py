"""The part of the drawing world that a model was trained on, which is the part that it is measured on."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from .data import caption_at, subjects_at
from .world import SPEC, Caption, Subject, describe, head_name, sample_avatar


@dataclass(frozen=True)
class Scope:
    """``whole``: every domain, attribute and language. ``plain``: flat avatars by daylight, captions in English."""

    name: str
    words: str
    """For the model card: "held-out captions" of what."""

    def subjects(self, start: int, count: int) -> list[Subject]:
        """The subjects of seeds start .. start + count - 1."""
        if self.name == "whole":
            return subjects_at(start, count)
        return [sample_avatar(seed) for seed in range(start, start + count)]

    def caption(self, subject: Subject, seed: int) -> Caption:
        """The caption of this wording seed."""
        return caption_at(subject, seed) if self.name == "whole" else describe(subject, seed)

    def counts(self, head: str) -> bool:
        """Whether the attribute of this head varies here; one that is always the same would flatter the mean."""
        return self.name == "whole" or head in _PLAIN_HEADS


_PLAIN_HEADS = frozenset(head_name("avatar", name) for name in SPEC)
WHOLE = Scope("whole", "avatars and scenes, in English and Chinese")
PLAIN = Scope("plain", "plain avatars, in English")


def scope_of(model: Path) -> Scope:
    """The scope that a model's directory names in lifelike.json; plain, which came first, where it names none.

    Raises ValueError for a name that is no scope.
    """
    about = model / "lifelike.json"
    name = json.loads(about.read_text(encoding="utf-8")).get("scope", "plain") if about.is_file() else "plain"
    for scope in (WHOLE, PLAIN):
        if scope.name == name:
            return scope
    raise ValueError(f"{about}: scope: expected whole or plain; got {name!r}")
