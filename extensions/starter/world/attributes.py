"""First station of the drawing world: seed -> Avatar, the attributes that captions name and drawings show."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

# Attribute name -> its values. Order is part of the format: the judge's heads and the evaluation count in it.
SPEC: dict[str, tuple[str, ...]] = {
    "skin": ("light", "tan", "brown", "dark"),
    "hair_style": ("short", "long", "curly", "bob", "pigtails", "bald"),
    "hair_colour": ("black", "brown", "blond", "red", "grey", "blue", "pink", "green"),
    "mood": ("neutral", "smiling", "laughing", "sad", "surprised", "angry"),
    "eyes": ("brown", "blue", "green"),
    "eyewear": ("none", "glasses", "sunglasses"),
    "hat": ("none", "cap", "beanie", "top hat", "crown"),
    "beard": ("none", "mustache", "beard"),
    "clothes": ("red", "orange", "yellow", "green", "blue", "purple", "white", "black"),
    "background": ("blue", "green", "yellow", "pink", "purple", "orange", "grey", "white"),
}

# What newer drawings add. The bundled judge and weights know SPEC alone, so SPEC stays as they were trained.
AVATAR_SPEC: dict[str, tuple[str, ...]] = {
    **SPEC,
    "mood": (*SPEC["mood"], "winking", "sleepy"),
    "age": ("adult", "child", "elder"),
    "accessory": ("none", "earrings", "scarf", "bow tie", "headphones"),
    "garment": ("shirt", "striped sweater", "overalls", "suit"),
    "lighting": ("day", "warm", "night"),
    "style": ("flat", "sketch", "watercolour", "pixel", "halftone"),
}
# The attributes that only the richer world has; a plain avatar holds the first value of each.
ADDED = tuple(n for n in AVATAR_SPEC if n not in SPEC)
# Moods that sunglasses hide.
_MOODS_OF_THE_EYES = ("winking", "sleepy")
# A line drawing on paper has no colours.
_COLOURS = ("skin", "hair_colour", "eyes", "clothes", "background")

# Values drawn more or less often than evenly: bare faces are what people ask for most.
_WEIGHTS: dict[str, tuple[float, ...]] = {
    "hair_style": (0.19, 0.21, 0.19, 0.17, 0.15, 0.09),
    "eyewear": (0.46, 0.32, 0.22),
    "hat": (0.52, 0.12, 0.12, 0.12, 0.12),
    "beard": (0.60, 0.20, 0.20),
    "age": (0.56, 0.22, 0.22),
    "accessory": (0.44, 0.14, 0.14, 0.14, 0.14),
    "garment": (0.40, 0.20, 0.20, 0.20),
    "lighting": (0.60, 0.20, 0.20),
    "style": (0.52, 0.12, 0.12, 0.12, 0.12),
}


@dataclass(frozen=True)
class Avatar:
    """One drawable person. Each attribute holds a value of AVATAR_SPEC; `pose` seeds what captions do not name.

    Raises ValueError for a value that AVATAR_SPEC does not list.
    """

    skin: str = "light"
    hair_style: str = "short"
    hair_colour: str = "brown"
    mood: str = "smiling"
    eyes: str = "brown"
    eyewear: str = "none"
    hat: str = "none"
    beard: str = "none"
    clothes: str = "blue"
    background: str = "white"
    pose: int = 0
    age: str = "adult"
    accessory: str = "none"
    garment: str = "shirt"
    lighting: str = "day"
    style: str = "flat"

    def __post_init__(self) -> None:
        for name, values in AVATAR_SPEC.items():
            value = getattr(self, name)
            if value not in values:
                raise ValueError(f"avatar attribute {name!r}: expected one of {', '.join(values)}; got {value!r}")

    @property
    def domain(self) -> str:
        return "avatar"

    def with_(self, **changes: str) -> Avatar:
        """The same person (same pose) with some attributes changed: exact before and after pairs."""
        return replace(self, **changes)  # type: ignore[arg-type]

    def labels(self) -> dict[str, int]:
        """Attribute name -> index into AVATAR_SPEC; -1 where the picture cannot show it (see visible)."""
        shown = visible(self)
        return {n: v.index(getattr(self, n)) if shown[n] else -1 for n, v in AVATAR_SPEC.items()}


def visible(avatar: Avatar) -> dict[str, bool]:
    """Which attributes the drawing of this avatar shows; captions name and the judge scores only these."""
    shown = dict.fromkeys(AVATAR_SPEC, True)
    shown["hair_colour"] = avatar.hair_style != "bald" or avatar.beard != "none"
    shown["eyes"] = avatar.eyewear != "sunglasses"
    shown["mood"] = shown["eyes"] or avatar.mood not in _MOODS_OF_THE_EYES
    if avatar.style == "sketch":
        shown.update(dict.fromkeys(_COLOURS, False))
    return shown


def pick(rng: random.Random, values: tuple[str, ...], weights: tuple[float, ...] | None = None) -> str:
    """One value; uses a single rng.random() so that sequences stay stable across Python versions."""
    u = rng.random()
    if weights is None:
        return values[int(u * len(values))]
    for value, weight in zip(values, weights, strict=True):
        u -= weight
        if u < 0:
            return value
    return values[-1]


def sample_avatar(seed: int) -> Avatar:
    """The plain avatar of this seed: the attributes of SPEC, independent of each other, the same on every machine."""
    rng = random.Random(f"avatar:{seed}")
    chosen = {name: pick(rng, values, _WEIGHTS.get(name)) for name, values in SPEC.items()}
    return Avatar(**chosen, pose=int(rng.random() * 2**31))


def sample_rich_avatar(seed: int) -> Avatar:
    """The avatar of this seed with every attribute of AVATAR_SPEC drawn, all independent of each other.

    Where the mood is one of SPEC's it is sample_avatar's, so the plain person is recognised in the rich one.
    """
    rng = random.Random(f"rich avatar:{seed}")
    changes = {name: pick(rng, AVATAR_SPEC[name], _WEIGHTS.get(name)) for name in ADDED}
    mood = pick(rng, AVATAR_SPEC["mood"])
    if mood not in SPEC["mood"]:
        changes["mood"] = mood
    return sample_avatar(seed).with_(**changes)
