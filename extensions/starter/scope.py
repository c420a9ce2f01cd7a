"""The part of the drawing world that a model learns, which is the part that it is measured on."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from .data import caption_at, language_at
from .world import SHARED, SPEC, Caption, Edit, Subject, describe, edit, head_name, sample, sample_avatar


@dataclass(frozen=True)
class Scope:
    """``whole``: every domain, attribute, style and language. ``flat``: the same without the drawing styles, which are
    left to the LoRAs. ``plain``: flat avatars of few attributes, captions in English.
    """

    name: str
    words: str
    """For the model card: "held-out captions" of what."""

    def subject(self, seed: int) -> Subject:
        """The subject of this seed."""
        if self.name == "plain":
            return sample_avatar(seed)
        return sample(seed) if self.name == "whole" else sample(seed).with_(style="flat")

    def subjects(self, start: int, count: int) -> list[Subject]:
        """The subjects of seeds start .. start + count - 1."""
        return [self.subject(seed) for seed in range(start, start + count)]

    def caption(self, subject: Subject, seed: int) -> Caption:
        """The caption of this wording seed."""
        return describe(subject, seed) if self.name == "plain" else caption_at(subject, seed)

    def edit(self, seed: int) -> Edit:
        """The pair of subjects and the instruction of this seed, in the seed's language."""
        kept = frozenset() if self.name == "whole" else frozenset(SHARED)
        return edit(self.subject(seed), seed, language_at(seed), kept=kept)

    def counts(self, head: str) -> bool:
        """Whether the attribute of this head varies here; one that is always the same would flatter the mean."""
        if self.name == "plain":
            return head in _PLAIN_HEADS
        return self.name == "whole" or head not in SHARED


_PLAIN_HEADS = frozenset(head_name("avatar", name) for name in SPEC)
WHOLE = Scope("whole", "avatars and scenes, in English and Chinese")
FLAT = Scope("flat", "flat avatars and scenes, in English and Chinese")
PLAIN = Scope("plain", "plain avatars, in English")
SCOPES = {scope.name: scope for scope in (WHOLE, FLAT, PLAIN)}


def scope_named(name: str) -> Scope:
    """Raises ValueError for a name that is no scope."""
    if name not in SCOPES:
        raise ValueError(f"scope: expected one of {', '.join(SCOPES)}; got {name!r}")
    return SCOPES[name]


def scope_of(model: Path) -> Scope:
    """The scope that a model's directory names in lifelike.json; plain, which came first, where it names none.

    Raises ValueError for a name that is no scope.
    """
    about = model / "lifelike.json"
    name = json.loads(about.read_text(encoding="utf-8")).get("scope", "plain") if about.is_file() else "plain"
    try:
        return scope_named(name)
    except ValueError as error:
        raise ValueError(f"{about}: {error}") from None
