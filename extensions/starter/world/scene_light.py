"""Drawing world: the colours of a scene at its hour, in its season and weather."""

from __future__ import annotations

from dataclasses import dataclass

from .pen import Colour, mix
from .scenes import Scene

# Sky from the zenith to the horizon.
_SKIES: dict[str, tuple[Colour, Colour, Colour]] = {
    "day": ((92, 176, 240), (146, 206, 248), (218, 240, 250)),
    "dusk": ((98, 84, 164), (232, 124, 130), (255, 204, 132)),
    "night": ((22, 26, 70), (38, 46, 104), (72, 82, 148)),
}
_OVERCAST: dict[str, Colour] = {"day": (160, 174, 190), "dusk": (150, 116, 140), "night": (52, 58, 84)}
_GREYNESS = {"clear": 0.0, "clouds": 0.12, "rain": 0.55, "snow": 0.42}
# Light multiplies things by these shares of red, green and blue. Painted walls keep more light: their colour has a
# name.
_LIGHT = {"day": (1.0, 1.0, 1.0), "dusk": (0.96, 0.80, 0.80), "night": (0.48, 0.54, 0.76)}
_WALL_LIGHT = {"day": (1.0, 1.0, 1.0), "dusk": (1.0, 0.91, 0.88), "night": (0.78, 0.79, 0.86)}

_MEADOWS: dict[str, Colour] = {
    "spring": (148, 212, 112),
    "summer": (84, 174, 88),
    "autumn": (214, 160, 78),
    "winter": (240, 245, 252),
}
_SAND: Colour = (240, 204, 138)
WALLS: dict[str, Colour] = {
    "red": (222, 76, 68),
    "yellow": (250, 206, 82),
    "blue": (76, 132, 220),
    "white": (252, 245, 230),
    "pink": (248, 150, 190),
}
LAMP: Colour = (255, 228, 130)


@dataclass(frozen=True)
class Light:
    """The colours that every part of one scene's drawing shares."""

    time: str
    weather: str
    sky: tuple[Colour, Colour, Colour]
    ground: Colour

    def on(self, colour: Colour) -> Colour:
        """A thing's colour in this light."""
        return _multiply(colour, _LIGHT[self.time])

    def on_wall(self, colour: Colour) -> Colour:
        """A painted wall's colour in this light."""
        return _multiply(colour, _WALL_LIGHT[self.time])

    def far(self, colour: Colour, distance: float) -> Colour:
        """A thing's colour seen through the air: distance 0 is here, 1 is the horizon's sky."""
        return mix(self.on(colour), self.sky[2], distance)

    @property
    def lit(self) -> bool:
        """Whether lamps are on."""
        return self.time != "day"


def light_of(scene: Scene, hour: str) -> Light:
    """The light of this scene at this hour, a value of "time"."""
    grey = _OVERCAST[hour]
    share = _GREYNESS[scene.weather]
    high, middle, low = (mix(colour, grey, share) for colour in _SKIES[hour])
    ground = _SAND if scene.kind == "desert" else _MEADOWS[scene.season]
    return Light(hour, scene.weather, (high, middle, low), ground)


def _multiply(colour: Colour, shares: tuple[float, float, float]) -> Colour:
    return tuple(round(c * s) for c, s in zip(colour, shares, strict=True))  # type: ignore[return-value]
