"""Drawing world: the buildings of a scene, each on its own ground point."""

from __future__ import annotations

from .palette import INK, WHITE
from .pen import Colour, Pen, curve, mix
from .scene_light import LAMP, WALLS, Light

_ROOF, _WOOD, _STONE = (112, 78, 92), (136, 88, 56), (150, 150, 164)


def draw_building(pen: Pen, kind: str, colour: str, light: Light, snow: bool, x: float, base: float) -> None:
    """A building with walls of this colour (a key of WALLS), its ground's middle at (x, base)."""
    if kind == "none":
        return
    wall = light.on_wall(WALLS[colour])
    parts = {"cottage": _cottage, "windmill": _windmill, "lighthouse": _lighthouse, "castle": _castle}
    pen.ellipse(x, base, 24, 3.4, mix(light.on(light.ground), light.on((30, 50, 70)), 0.3))
    parts[kind](pen, wall, light, snow, x, base)


def _window(pen: Pen, light: Light, x: float, y: float, r: float = 3.4) -> None:
    """A square window with a frame, lit when lamps are on."""
    pen.box(x - r - 1, y - r - 1, x + r + 1, y + r + 1, light.on_wall((255, 252, 244)))
    pen.box(x - r, y - r, x + r, y + r, LAMP if light.lit else (128, 178, 214))
    bar = light.on_wall((255, 252, 244))
    pen.stroke([(x, y - r), (x, y + r)], 0.9, bar)
    pen.stroke([(x - r, y), (x + r, y)], 0.9, bar)


def _door(pen: Pen, light: Light, x: float, base: float, wide: float = 4.2, high: float = 12.0) -> None:
    """A door with a round top."""
    wood = light.on(_WOOD)
    pen.ellipse(x, base - high + wide, wide, wide, wood)
    pen.box(x - wide, base - high + wide, x + wide, base, wood)
    pen.ellipse(x + wide * 0.45, base - 0.45 * high, 0.8, 0.8, LAMP)


def _cottage(pen: Pen, wall: Colour, light: Light, snow: bool, x: float, base: float) -> None:
    roof = light.on(_ROOF)
    pen.box(x + 8, base - 43, x + 14, base - 26, light.on(_STONE))
    for dy, r in ((-47, 3.0), (-53, 3.8)):
        pen.ellipse(x + 12 - dy * 0.1 - 4, base + dy, r, r * 0.8, light.far((250, 250, 252), 0.25))
    pen.box(x - 19, base - 22, x + 19, base, wall)
    pen.box(x + 12, base - 22, x + 19, base, mix(wall, INK, 0.10))
    gable = [(x - 23, base - 20), (x - 12, base - 40), (x + 12, base - 40), (x + 23, base - 20)]
    pen.polygon(gable, roof)
    pen.stroke([(x - 22, base - 20), (x + 22, base - 20)], 2.2, mix(roof, INK, 0.25))
    if snow:
        cap = [(x - 19.5, base - 27), (x - 12.5, base - 42), (x + 12.5, base - 42), (x + 19.5, base - 27)]
        pen.polygon(cap, light.on((244, 248, 255)))
        for dx in (-14.0, -5.0, 4.0, 13.0):
            pen.ellipse(x + dx, base - 27, 5.2, 3, light.on((244, 248, 255)))
    _door(pen, light, x, base, 4.2, 14)
    for dx in (-11.5, 11.5):
        _window(pen, light, x + dx, base - 11.5)


def _windmill(pen: Pen, wall: Colour, light: Light, snow: bool, x: float, base: float) -> None:
    pen.polygon([(x - 13, base), (x - 8, base - 36), (x + 8, base - 36), (x + 13, base)], wall)
    pen.polygon([(x + 6, base), (x + 4, base - 36), (x + 8, base - 36), (x + 13, base)], mix(wall, INK, 0.10))
    roof = light.on((244, 248, 255)) if snow else light.on(_ROOF)
    pen.polygon(curve((x - 10, base - 35), ((x - 9, base - 50), (x + 9, base - 50), (x + 10, base - 35))), roof)
    _door(pen, light, x, base, 4, 12)
    _window(pen, light, x, base - 20, 2.8)
    cloth, spar = light.on_wall((255, 250, 236)), light.on(_WOOD)
    cx, cy = x, base - 38
    for dx, dy in ((0.87, 0.5), (-0.5, 0.87), (-0.87, -0.5), (0.5, -0.87)):
        tip, side = (cx + 26 * dx, cy + 26 * dy), (-dy * 6.4, dx * 6.4)
        near = (cx + 7 * dx, cy + 7 * dy)
        pen.polygon([near, tip, (tip[0] + side[0], tip[1] + side[1]), (near[0] + side[0], near[1] + side[1])], cloth)
        pen.stroke([(cx, cy), tip], 1.7, spar)
    pen.ellipse(cx, cy, 2.4, 2.4, mix(spar, INK, 0.3))


def _lighthouse(pen: Pen, wall: Colour, light: Light, snow: bool, x: float, base: float) -> None:
    high, low_r, top_r = 44.0, 11.0, 6.6

    def half(t: float) -> float:
        return low_r + (top_r - low_r) * t

    trim = light.on((92, 92, 112))
    if light.lit:
        beam = mix(LAMP, light.sky[1], 0.55)
        pen.polygon([(x, base - high - 5), (x - 46, base - high - 15), (x - 46, base - high + 3)], beam)
    pen.polygon([(x - low_r, base), (x - top_r, base - high), (x + top_r, base - high), (x + low_r, base)], wall)
    band = mix(wall, INK if min(wall) > 150 else WHITE, 0.22 if min(wall) > 150 else 0.75)
    for t in (0.36, 0.74):
        a, b = half(t), half(t + 0.15)
        y, top = base - high * t, base - high * (t + 0.15)
        pen.polygon([(x - a, y), (x - b, top), (x + b, top), (x + a, y)], band)
    pen.box(x - 8.6, base - high - 1.4, x + 8.6, base - high + 1.4, trim)
    pen.box(x - 4.8, base - high - 9.5, x + 4.8, base - high - 1.4, LAMP if light.lit else (190, 224, 240))
    roof = light.on((244, 248, 255)) if snow else trim
    pen.polygon([(x - 7.2, base - high - 9), (x, base - high - 17), (x + 7.2, base - high - 9)], roof)
    _door(pen, light, x, base, 3.4, 10)


def _castle(pen: Pen, wall: Colour, light: Light, snow: bool, x: float, base: float) -> None:
    shade = mix(wall, INK, 0.12)
    pen.box(x - 14, base - 26, x + 14, base, shade)
    for i in range(4):
        pen.box(x - 13 + 7.3 * i, base - 30, x - 9 + 7.3 * i, base - 25, shade)
    roof = light.on((244, 248, 255)) if snow else light.on((104, 88, 150))
    for s in (-1, 1):
        at = x + s * 17
        pen.box(at - 6.5, base - 36, at + 6.5, base, wall)
        pen.stroke([(at, base - 50), (at, base - 60)], 1.1, light.on(INK))
        pen.polygon([(at, base - 60), (at + 7, base - 57.6), (at, base - 55)], light.on_wall((252, 196, 64)))
        pen.polygon([(at - 8.5, base - 35.5), (at, base - 52), (at + 8.5, base - 35.5)], roof)
        _window(pen, light, at, base - 24, 2.2)
    _door(pen, light, x, base, 6, 17)
