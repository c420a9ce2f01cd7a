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

# Values drawn more or less often than evenly: bare faces are what people ask for most.
_WEIGHTS: dict[str, tuple[float, ...]] = {
    "hair_style": (0.19, 0.21, 0.19, 0.17, 0.15, 0.09),
    "eyewear": (0.46, 0.32, 0.22),
    "hat": (0.52, 0.12, 0.12, 0.12, 0.12),
    "beard": (0.60, 0.20, 0.20),
}


@dataclass(frozen=True)
class Avatar:
    """One drawable person. Each attribute holds a value of SPEC; `pose` seeds what captions do not name.

    Raises ValueError for a value that SPEC does not list.
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

    def __post_init__(self) -> None:
        for name, values in SPEC.items():
            value = getattr(self, name)
            if value not in values:
                raise ValueError(f"avatar attribute {name!r}: expected one of {', '.join(values)}; got {value!r}")

    def with_(self, **changes: str) -> Avatar:
        """The same person (same pose) with some attributes changed: exact before and after pairs."""
        return replace(self, **changes)  # type: ignore[arg-type]

    def labels(self) -> dict[str, int]:
        """Attribute name -> index into SPEC; -1 where the picture cannot show it (see visible)."""
        shown = visible(self)
        return {n: SPEC[n].index(getattr(self, n)) if shown[n] else -1 for n in SPEC}


def visible(avatar: Avatar) -> dict[str, bool]:
    """Which attributes the drawing of this avatar shows; captions name and the judge scores only these."""
    shown = dict.fromkeys(SPEC, True)
    shown["hair_colour"] = avatar.hair_style != "bald" or avatar.beard != "none"
    shown["eyes"] = avatar.eyewear != "sunglasses"
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
    """The avatar of this seed: attributes independent of each other, the same on every machine."""
    rng = random.Random(f"avatar:{seed}")
    chosen = {name: pick(rng, values, _WEIGHTS.get(name)) for name, values in SPEC.items()}
    return Avatar(**chosen, pose=int(rng.random() * 2**31))
