"""The drawing world's second domain, first station: seed -> Scene, a place with its weather, season and hour."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

from .attributes import AVATAR_SPEC, pick

# Attribute name -> its values. Order is part of the format, as in attributes.SPEC.
SCENE_SPEC: dict[str, tuple[str, ...]] = {
    "kind": ("hills", "mountains", "sea", "river", "desert", "city"),
    "building": ("none", "cottage", "windmill", "lighthouse", "castle"),
    "building_colour": ("red", "yellow", "blue", "white", "pink"),
    "trees": ("none", "round", "pine", "palm"),
    "animal": ("none", "sheep", "cat", "rabbit"),
    "body": ("none", "sun", "moon"),
    "aloft": ("none", "balloon", "birds", "rainbow"),
    "weather": ("clear", "clouds", "rain", "snow"),
    "season": ("spring", "summer", "autumn", "winter"),
    "time": ("day", "dusk", "night"),
    "style": AVATAR_SPEC["style"],
}

_WEIGHTS: dict[str, tuple[float, ...]] = {
    "building": (0.28, 0.27, 0.15, 0.15, 0.15),
    "trees": (0.25, 0.27, 0.26, 0.22),
    "animal": (0.52, 0.16, 0.16, 0.16),
    "aloft": (0.46, 0.18, 0.18, 0.18),
    "weather": (0.37, 0.25, 0.19, 0.19),
    "time": (0.44, 0.28, 0.28),
    "style": (0.52, 0.12, 0.12, 0.12, 0.12),
}
# What may stand in the sky at each hour. All other attributes are independent of each other.
_BODIES: dict[str, tuple[str, ...]] = {
    "day": ("none", "sun", "sun"),
    "dusk": ("none", "sun", "moon"),
    "night": ("none", "moon", "moon"),
}


@dataclass(frozen=True)
class Scene:
    """One drawable place. Each attribute holds a value of SCENE_SPEC; `pose` seeds what captions do not name.

    Raises ValueError for a value that SCENE_SPEC does not list.
    """

    kind: str = "hills"
    building: str = "cottage"
    building_colour: str = "red"
    trees: str = "round"
    animal: str = "none"
    body: str = "sun"
    aloft: str = "none"
    weather: str = "clear"
    season: str = "summer"
    time: str = "day"
    style: str = "flat"
    pose: int = 0

    def __post_init__(self) -> None:
        for name, values in SCENE_SPEC.items():
            value = getattr(self, name)
            if value not in values:
                raise ValueError(f"scene attribute {name!r}: expected one of {', '.join(values)}; got {value!r}")

    @property
    def domain(self) -> str:
        return "scene"

    def with_(self, **changes: str) -> Scene:
        """The same place (same pose) with some attributes changed: exact before and after pairs.

        Sun or moon and the hour go together: where only one of them is named and the other would not fit, that follows.
        """
        changed = replace(self, **changes)  # type: ignore[arg-type]
        if changed.body in _BODIES[changed.time] or {"body", "time"} <= set(changes):
            return changed
        if "body" in changes:
            return replace(changed, time="night" if changed.body == "moon" else "day")
        return replace(changed, body="moon" if changed.time == "night" else "sun")

    def labels(self) -> dict[str, int]:
        """Attribute name -> index into SCENE_SPEC; -1 where the picture cannot show it (see visible_in_scene)."""
        shown = visible_in_scene(self)
        return {n: v.index(getattr(self, n)) if shown[n] else -1 for n, v in SCENE_SPEC.items()}


def visible_in_scene(scene: Scene) -> dict[str, bool]:
    """Which attributes the drawing of this scene shows; captions name and the judge scores only these.

    A sketch on paper has no colours: no season, and of the hours only night, which has stars. A desert knows no season.
    """
    shown = dict.fromkeys(SCENE_SPEC, True)
    coloured = scene.style != "sketch"
    shown["building_colour"] = coloured and scene.building != "none"
    shown["season"] = coloured and scene.kind != "desert"
    shown["time"] = coloured or scene.time == "night"
    return shown


def sample_scene(seed: int) -> Scene:
    """The scene of this seed: attributes independent but for the hour's sun or moon, the same on every machine."""
    rng = random.Random(f"scene:{seed}")
    chosen = {n: pick(rng, v, _WEIGHTS.get(n)) for n, v in SCENE_SPEC.items() if n != "body"}
    chosen["body"] = pick(rng, _BODIES[chosen["time"]])
    return Scene(**chosen, pose=int(rng.random() * 2**31))
