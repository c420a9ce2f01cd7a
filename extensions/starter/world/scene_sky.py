"""Drawing world: a scene's sky, from the far gradient to what falls in front of everything."""

from __future__ import annotations

import math
import random

import numpy as np
from PIL import Image

from .palette import WHITE
from .pen import Colour, Pen, Point, curve, mix
from .scene_light import Light

HORIZON = 78.0
_MOONLIGHT: Colour = (255, 247, 210)
_STARLIGHT: Colour = (255, 250, 224)
_RAINBOW: tuple[Colour, ...] = (
    (236, 92, 92),
    (248, 158, 74),
    (252, 216, 94),
    (112, 200, 122),
    (92, 152, 232),
    (158, 112, 212),
)
_BALLOON, _BALLOON_STRIPE = (238, 92, 84), (255, 226, 150)
_RAYS = [(math.cos(i * math.pi / 4), math.sin(i * math.pi / 4)) for i in range(8)]
_CLOUD_PLACES = ((64.0, 20.0, 1.0), (104.0, 42.0, 0.8), (118.0, 14.0, 0.7), (8.0, 50.0, 0.8), (60.0, 50.0, 0.6))
# Weather that covers the sky has a lid of cloud at the picture's top.
_LID = tuple((13.0 * i - 2, 1.5 + 3.5 * (i % 2), 15.0) for i in range(11))


def sky(light: Light, side: int) -> Image.Image:
    """RGB side x side: the gradient of this hour's sky, complete at the horizon."""
    at = np.arange(side) * 128 / side
    stops = np.array([0.0, 0.55 * HORIZON, HORIZON])
    columns = [np.interp(at, stops, [colour[i] for colour in light.sky]) for i in range(3)]
    column = np.stack(columns, 1).round().astype(np.uint8)[:, None]
    return Image.fromarray(column).resize((side, side), Image.Resampling.NEAREST)


def draw_stars(pen: Pen, rng: random.Random) -> None:
    """Stars all over the sky; every third twinkles with four points, so that none is taken for a snowflake."""
    for i in range(27):
        x, y = 128 * rng.random(), 62 * rng.random()
        if i % 3:
            pen.ellipse(x, y, 0.7, 0.7, _STARLIGHT)
        else:
            r = 2.2 + 0.9 * rng.random()
            points = [(c * r, s * r) if k % 2 == 0 else (c * r * 0.4, s * r * 0.4) for k, (c, s) in enumerate(_RAYS)]
            pen.polygon([(x + dx, y + dy) for dx, dy in points], _STARLIGHT)


def draw_body(pen: Pen, body: str, light: Light, at: Point) -> None:
    """Sun with rays, or a crescent moon with its halo, centred on `at`."""
    x, y = at
    if body == "sun":
        disc = (255, 218, 84) if light.time == "day" else (255, 170, 84)
        halo = mix(light.sky[1], disc, 0.35)
        pen.ellipse(x, y, 18, 18, halo)
        for dx, dy in _RAYS:
            pen.stroke([(x + 14 * dx, y + 14 * dy), (x + 17.5 * dx, y + 17.5 * dy)], 2.4, disc)
        pen.ellipse(x, y, 11, 11, disc)
        pen.ellipse(x - 1, y - 1, 8.5, 8.5, mix(disc, WHITE, 0.35))
    elif body == "moon":
        pen.ellipse(x, y, 17, 17, mix(light.sky[0], _MOONLIGHT, 0.14))
        pen.polygon(_crescent(x, y), _MOONLIGHT)


def _crescent(x: float, y: float) -> list[Point]:
    return curve(
        (x - 4, y - 11),
        ((x + 16, y - 10), (x + 16, y + 12), (x - 3, y + 12)),
        ((x - 7, y + 12), (x - 10, y + 9.5), (x - 11, y + 7)),
        ((x + 3, y + 9), (x + 6, y - 6), (x - 4, y - 11)),
    )


def draw_clouds(pen: Pen, light: Light, rng: random.Random) -> None:
    """Fair clouds, or the grey lid that rain and snow fall from."""
    if light.weather == "clear":
        return
    white = {"day": (255, 255, 255), "dusk": (255, 206, 190), "night": (106, 114, 160)}[light.time]
    if light.weather == "clouds":
        for x, y, scale in _CLOUD_PLACES:
            drift, lift = 12 * rng.random() - 6, 6 * rng.random() - 3
            _cloud(pen, x + drift, y + lift, scale, mix(white, light.sky[1], 0.08), light)
        return
    grey = mix(white, {"day": (110, 122, 146), "dusk": (104, 74, 108), "night": (52, 58, 90)}[light.time], 0.62)
    if light.weather == "snow":
        grey = mix(grey, white, 0.35)
    shift = 8 * rng.random()
    for x, y, r in _LID:
        pen.ellipse(x - shift, y + 2.5, r, r * 0.8, mix(grey, light.sky[0], 0.35))
    for x, y, r in _LID:
        pen.ellipse(x - shift, y - 1.0, r, r * 0.8, grey)
    _cloud(pen, 100 + 8 * rng.random(), 30, 0.8, grey, light)


def _cloud(pen: Pen, x: float, y: float, scale: float, colour: Colour, light: Light) -> None:
    shade = mix(colour, light.sky[0], 0.3)
    for dy, tone in ((1.6, shade), (0.0, colour)):
        for dx, up, r in ((-10, 0, 6), (-2, -4, 8.5), (8, -1.5, 7)):
            pen.ellipse(x + dx * scale, y + (up + dy) * scale, r * scale, r * scale, tone)
        pen.stroke([(x - 12 * scale, y + (3 + dy) * scale), (x + 12 * scale, y + (3 + dy) * scale)], 7 * scale, tone)


def draw_aloft(pen: Pen, kind: str, light: Light, at: Point) -> None:
    """What is in the air, around `at`: a hot-air balloon, a flock of birds; a rainbow spans the picture."""
    x, y = at
    if kind == "balloon":
        _balloon(pen, x, y, light)
    elif kind == "birds":
        ink = mix((58, 56, 84), WHITE, 0.75 if light.time == "night" else 0.0)
        for dx, dy, r in ((-16, 4, 6), (0, -5, 7.5), (13, 5, 6), (-5, 13, 5)):
            for s in (-1, 1):
                pen.stroke(
                    curve(
                        (x + dx, y + dy),
                        (
                            (x + dx + s * r * 0.3, y + dy - r * 0.6),
                            (x + dx + s * r * 0.7, y + dy - r * 0.7),
                            (x + dx + s * r, y + dy - r * 0.2),
                        ),
                    ),
                    1.8,
                    ink,
                )
    elif kind == "rainbow":
        for i, colour in enumerate(_RAINBOW):
            pen.ring(
                68,
                88,
                56 - 2.9 * i,
                58 - 2.9 * i,
                3.1,
                mix(light.on_wall(colour), light.sky[1], 0.25 if light.time == "day" else 0.4),
            )


def _balloon(pen: Pen, x: float, y: float, light: Light) -> None:
    red, stripe, basket = light.on_wall(_BALLOON), light.on_wall(_BALLOON_STRIPE), light.on((150, 96, 56))
    for s in (-1, 1):
        pen.stroke([(x + s * 7, y + 7), (x + s * 2.5, y + 19)], 0.9, basket)
    pen.ellipse(x, y, 12.5, 13, red)
    pen.polygon([(x - 10.6, y + 7), (x + 10.6, y + 7), (x + 3.2, y + 16), (x - 3.2, y + 16)], red)
    pen.ellipse(x, y, 7.5, 13, stripe)
    pen.polygon([(x - 6.3, y + 7), (x + 6.3, y + 7), (x + 1.8, y + 16), (x - 1.8, y + 16)], stripe)
    pen.ellipse(x, y, 2.8, 13, red)
    pen.polygon([(x - 3.6, y + 18.5), (x + 3.6, y + 18.5), (x + 3, y + 23), (x - 3, y + 23)], basket)


def draw_falling(pen: Pen, light: Light, rng: random.Random) -> None:
    """Rain or snowflakes, in front of everything."""
    if light.weather == "rain":
        drop = {"day": (86, 128, 190), "dusk": (206, 190, 226), "night": (150, 176, 226)}[light.time]
        for i in range(44):
            x, y = (i % 8 + rng.random()) * 17 - 2, (i // 8 + rng.random()) * 19 + 18
            pen.stroke([(x, y), (x - 2.4, y + 6.5)], 1.15, drop)
    elif light.weather == "snow":
        for i in range(60):
            x, y = (i % 8 + rng.random()) * 16, (i // 8 + rng.random()) * 15 + 12
            r = 1.0 + 0.9 * rng.random()
            pen.ellipse(x, y, r, r, WHITE)
