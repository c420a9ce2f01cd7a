"""Drawing world: the choice of what a scene's caption names; the languages only put that choice into words."""

from __future__ import annotations

from dataclasses import dataclass

from .scenes import Scene, visible_in_scene
from .wording import Words

# Things that stand in the picture or do not: nearly always named, so that a caption without one settles its absence.
_THINGS = ("building", "trees", "animal", "body", "aloft")
_NAMED = {"kind": 0.95, "building_colour": 0.9, "season": 0.8}
_THING_NAMED, _FULL = 0.97, 0.25
# The plain value of what is otherwise always named, and how often even it is.
_PLAIN = {"weather": ("clear", 0.25), "time": ("day", 0.25)}


@dataclass(frozen=True)
class SceneChoice:
    """What a caption of a scene names, and what it settles: that, absent things, and plain values left unnamed."""

    named: frozenset[str]
    settles: frozenset[str]


def choose_scene(words: Words, scene: Scene, full: bool) -> SceneChoice:
    """The choice for this scene; `full` names all that shows."""
    full = words.chance(_FULL) or full
    shown = visible_in_scene(scene)
    named = {n for n, p in _NAMED.items() if (words.chance(p) or full) and shown[n]}
    settles = set()
    for name in _THINGS:
        say = words.chance(_THING_NAMED) or full
        if getattr(scene, name) == "none":
            settles.add(name)
        elif say:
            named.add(name)
    if "building" not in named:
        named.discard("building_colour")
    for name, (plain, p) in _PLAIN.items():
        say = words.chance(p) or full
        if shown[name] and (say or getattr(scene, name) != plain):
            named.add(name)
        if shown[name]:
            settles.add(name)
    return SceneChoice(frozenset(named), frozenset({*settles, *named, "style"}))
