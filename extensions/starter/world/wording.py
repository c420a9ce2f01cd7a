"""Drawing world: what a caption is, and the choice of what it names; the languages only put that choice into words."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .attributes import ADDED, Avatar, visible

# How often a caption names what the drawing shows. Things worn are nearly always named: a prompt without a hat means
# none.
_NAMED = {
    "skin": 0.55,
    "hair_style": 0.93,
    "hair_colour": 0.94,
    "mood": 0.88,
    "eyes": 0.5,
    "clothes": 0.65,
    "background": 0.8,
}
_WORN = ("eyewear", "hat", "beard")
_WORN_NAMED, _ABSENCE_NAMED, _FULL = 0.98, 0.08, 0.25

Options = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Caption:
    """A caption and the attributes it settles: those it names, and worn things that are absent and unnamed."""

    text: str
    settles: frozenset[str]


class Words:
    """Random wording from one generator."""

    def __init__(self, seed: str) -> None:
        self._rng = random.Random(seed)

    def chance(self, p: float) -> bool:
        return self._rng.random() < p

    def one(self, options: Sequence[str]) -> str:
        return options[int(self._rng.random() * len(options))]

    def shuffled(self, items: list[str]) -> list[str]:
        order = sorted((self._rng.random(), i) for i in range(len(items)))
        return [items[i] for _, i in order]


@dataclass(frozen=True)
class Choice:
    """What a caption of an avatar names (attributes), how it names things worn (phrases), and what it settles."""

    named: frozenset[str]
    worn: dict[str, str]
    settles: frozenset[str]


def choose(words: Words, avatar: Avatar, full: bool, worn: Mapping[str, Options]) -> Choice:
    """The choice for this avatar; `worn` holds the phrases of eyewear, hat and beard, `full` names all that shows."""
    full = words.chance(_FULL) or full
    shown = visible(avatar)
    named = {n for n in _NAMED if shown[n] and (words.chance(_NAMED[n]) or full)}
    if "hair_style" not in named:
        named.discard("hair_colour")
    # Every departure from the plain avatar is named, so that a caption without one settles that there is none.
    settles = {*named, *(n for n in ADDED if shown[n])}
    if avatar.hair_style == "bald" and "hair_colour" in named:
        # The colour of a bald person's hair is said of the beard.
        settles.add("beard")
    said: dict[str, str] = {}
    for name in _WORN:
        value = getattr(avatar, name)
        absent = value == "none"
        say = words.chance(_ABSENCE_NAMED if absent else _WORN_NAMED) or (full and not absent)
        if say:
            said[name] = words.one(worn[name][value])
        if say or absent:
            settles.add(name)
    return Choice(frozenset(named), said, frozenset(settles))
