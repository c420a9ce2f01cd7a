"""Drawing world: a scene's land, from the horizon to the meadow in front."""

from __future__ import annotations

import random

from .palette import WHITE
from .pen import Colour, Pen, curve, mix
from .scene_light import LAMP, Light
from .scene_sky import HORIZON

_WATER: dict[str, Colour] = {"day": (70, 154, 214), "dusk": (148, 104, 160), "night": (34, 52, 112)}
_ROCK: Colour = (126, 132, 156)
_TOWERS: tuple[Colour, ...] = ((136, 156, 190), (176, 146, 160), (150, 172, 176), (190, 168, 142), (126, 136, 172))
_PETALS: tuple[Colour, ...] = ((255, 132, 178), (255, 255, 255), (255, 216, 84))
_LEAVES: tuple[Colour, ...] = ((216, 84, 48), (240, 138, 50), (176, 74, 44))


def draw_land(pen: Pen, kind: str, light: Light, rng: random.Random) -> None:
    """All that lies between the sky and the things that stand in front."""
    back = {"mountains": _mountains, "sea": _sea, "desert": _dunes, "city": _city}.get(kind, _hills)
    back(pen, light, rng)
    if kind != "desert":
        shade = mix(light.on(light.ground), light.on((40, 70, 80)), 0.12)
        _slope(pen, 91, 95, shade)
    _slope(pen, 97, 94, light.on(light.ground))


def _slope(pen: Pen, left: float, right: float, colour: Colour) -> None:
    """Ground from a gently curved edge, `left` to `right` high, down to the picture's end."""
    edge = curve((-2, left), ((30, left - 6), (80, right + 5), (130, right)))
    pen.polygon([*edge, (130, 130), (-2, 130)], colour)


def _rise(pen: Pen, x: float, top: float, reach: float, colour: Colour) -> None:
    """A round hill with its top at (x, top)."""
    pen.polygon(
        curve(
            (x - reach, 106),
            ((x - 0.55 * reach, 100), (x - 0.45 * reach, top), (x, top)),
            ((x + 0.45 * reach, top), (x + 0.55 * reach, 100), (x + reach, 106)),
        ),
        colour,
    )


def _hills(pen: Pen, light: Light, rng: random.Random) -> None:
    u = [6 * rng.random() - 3 for _ in range(4)]
    _rise(pen, 22 + u[0], 62 + u[1], 66, light.far(light.ground, 0.58))
    _rise(pen, 104 + u[2], 58 + u[3], 72, light.far(light.ground, 0.48))
    _rise(pen, 62 + u[3], 72 + u[0], 80, light.far(light.ground, 0.26))


def _mountains(pen: Pen, light: Light, rng: random.Random) -> None:
    peaks = ((112.0, 46.0, 46, 0.42), (8.0, 58.0, 34, 0.42), (51.0, 40.0, 54, 0.2))
    for x, top, reach, distance in peaks:
        x, top = x + 6 * rng.random() - 3, top + 4 * rng.random() - 2
        rock = light.far(_ROCK, distance)
        pen.polygon([(x - reach, 106), (x, top), (x + reach, 106)], rock)
        pen.polygon(
            [(x, top), (x + reach, 106), (x + 0.2 * reach, 106), (x - 2, top + 24)],
            mix(rock, light.on((60, 60, 96)), 0.25),
        )
        drop = 0.24 * (106 - top)
        wide = reach * 0.24
        cap = [(x, top), (x + wide, top + drop), (x + 0.45 * wide, top + 0.8 * drop), (x, top + 1.2 * drop)]
        cap += [(x - 0.5 * wide, top + 0.8 * drop), (x - wide, top + drop)]
        pen.polygon(cap, light.far(WHITE, 0.1))
    _rise(pen, 20, 82, 90, light.far(light.ground, 0.3))


def _sea(pen: Pen, light: Light, rng: random.Random) -> None:
    water = mix(_WATER[light.time], light.sky[1], 0.15)
    pen.box(-2, HORIZON - 8, 130, 130, mix(water, light.sky[2], 0.25))
    pen.box(-2, HORIZON - 2, 130, 130, water)
    crest = mix(water, WHITE, 0.5)
    for i in range(9):
        x, y = (i % 3 + rng.random()) * 42 - 6, HORIZON - 3 + 5.5 * (i // 3)
        pen.stroke(
            curve(
                (x, y), ((x + 3, y - 2), (x + 6, y - 2), (x + 8, y)), ((x + 10, y + 2), (x + 13, y + 2), (x + 15, y))
            ),
            1.1,
            crest,
        )
    _boat(pen, 52 + 14 * rng.random(), HORIZON - 4, light)
    edge = curve((-2, 88), ((30, 83), (80, 95), (130, 90)))
    pen.polygon([*edge, (130, 130), (-2, 130)], crest)
    edge = curve((-2, 89.5), ((30, 84.5), (80, 96.5), (130, 91.5)))
    pen.polygon([*edge, (130, 130), (-2, 130)], light.on((244, 218, 164)))


def _boat(pen: Pen, x: float, y: float, light: Light) -> None:
    pen.polygon([(x - 8, y), (x + 8, y), (x + 5, y + 4), (x - 5, y + 4)], light.on((176, 88, 62)))
    pen.polygon([(x - 0.6, y - 16), (x - 0.6, y - 1), (x - 7, y - 1)], light.on_wall((255, 250, 240)))
    pen.polygon([(x + 0.8, y - 13), (x + 0.8, y - 1), (x + 6, y - 1)], light.on_wall((244, 208, 170)))


def _dunes(pen: Pen, light: Light, rng: random.Random) -> None:
    u = [8 * rng.random() - 4 for _ in range(3)]
    for x, top, reach, distance in ((26 + u[0], 66, 78, 0.4), (104 + u[1], 70, 74, 0.25)):
        _rise(pen, x, top, reach, light.far((236, 190, 116), distance))
        side = curve(
            (x, top),
            ((x + 0.45 * reach, top), (x + 0.55 * reach, 100), (x + reach, 106)),
            ((x + 0.4 * reach, 104), (x + 0.1 * reach, 96), (x, top)),
        )
        pen.polygon(side, light.far((214, 156, 90), distance))
    for x, y, h in ((50 + u[2], 92, 17), (70 - u[0], 90, 11)):
        _cactus(pen, x, y, h, light.far((74, 150, 96), 0.12))
    pen.polygon([*curve((-2, 90), ((40, 82), (80, 100), (130, 88))), (130, 130), (-2, 130)], light.on((228, 178, 106)))


def _cactus(pen: Pen, x: float, base: float, height: float, green: Colour) -> None:
    pen.stroke([(x, base), (x, base - height)], 0.26 * height, green)
    for s, at in ((-1, 0.45), (1, 0.6)):
        arm = [
            (x, base - at * height),
            (x + s * 0.36 * height, base - at * height),
            (x + s * 0.36 * height, base - (at + 0.28) * height),
        ]
        pen.stroke(arm, 0.17 * height, green)


def _city(pen: Pen, light: Light, rng: random.Random) -> None:
    pane = LAMP if light.lit else light.far((226, 240, 250), 0.1)
    for row, distance in ((0, 0.6), (1, 0.1)):
        x = -4.0 - 6 * row
        while x < 130:
            wide = 12 + 7 * rng.random()
            top = (47 if row == 0 else 56) + 16 * rng.random()
            wall = light.far(_TOWERS[int(len(_TOWERS) * rng.random())], distance)
            pen.box(x, top, x + wide, 106, wall)
            if row:
                _panes(pen, x, top, wide, pane if light.lit else mix(wall, pane, 0.7), rng)
            x += wide + (1 if row else -1)


def _panes(pen: Pen, x: float, top: float, wide: float, colour: Colour, rng: random.Random) -> None:
    count = 2 if wide < 15 else 3
    gap = wide / count
    y = top + 4
    while y < 90:
        for i in range(count):
            if rng.random() < 0.8:
                left = x + (i + 0.5) * gap - 1.3
                pen.box(left, y, left + 2.6, y + 3.2, colour)
        y += 7


def draw_river(pen: Pen, light: Light) -> None:
    """A river that winds from the far meadow to the picture's near corner."""
    water = mix(_WATER[light.time], light.sky[2], 0.2)
    banks = curve((62, 91), ((40, 96), (62, 102), (48, 108)), ((38, 112), (12, 116), (6, 132)))
    right = curve((44, 132), ((44, 122), (52, 117), (60, 112)), ((78, 102), (50, 97), (68, 91)))
    pen.polygon([*banks, *right], water)
    for x, y, w in ((54, 104, 7), (38, 114, 10), (18, 122, 14)):
        pen.stroke([(x, y), (x + w, y)], 1.2, mix(water, WHITE, 0.45))


def draw_meadow(pen: Pen, season: str, light: Light, rng: random.Random) -> None:
    """What lies on the near ground in this season: flowers, grass, fallen leaves or mounds of snow."""
    places = [((i % 7 + rng.random()) * 18.5, 104 + (i // 7) * 8 + 6 * rng.random()) for i in range(21)]
    if season == "winter":
        for x, y in places[::3]:
            pen.stroke(curve((x - 7, y), ((x - 3, y - 3), (x + 3, y - 3), (x + 7, y))), 1.4, light.on((204, 218, 238)))
        return
    blade = mix(light.on(light.ground), light.on((24, 84, 54) if season != "autumn" else (140, 90, 40)), 0.45)
    for x, y in places[:: 1 if season == "summer" else 3]:
        for dx in (-1.8, 0, 1.8):
            pen.stroke([(x, y), (x + dx, y - 3.6)], 0.9, blade)
    if season == "summer":
        return
    hues = _PETALS if season == "spring" else _LEAVES
    for i, (x, y) in enumerate(places):
        colour = light.on_wall(hues[i % len(hues)])
        if season == "spring":
            for dx, dy in ((-1.3, 0), (1.3, 0), (0, -1.3), (0, 1.3)):
                pen.ellipse(x + dx, y + dy, 1.25, 1.25, colour)
            pen.ellipse(x, y, 0.9, 0.9, light.on_wall((250, 180, 60)))
        else:
            pen.polygon([(x - 2.6, y), (x, y - 1.6), (x + 2.6, y), (x, y + 1.6)], colour)
