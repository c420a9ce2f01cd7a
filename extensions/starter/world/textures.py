"""Beside the drawings: textures and brushwork -> pictures of one manner each, with its attributes known exactly.

What style transfer learns from and is tried on: a family (how it is made), a scale and a direction.
"""

from __future__ import annotations

import colorsys
import math
import random
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Field = NDArray[np.float64]

SCALES = ("fine", "medium", "coarse")
DIRECTIONS = ("horizontal", "rising", "vertical", "falling")
_PERIODS = {"fine": 0.055, "medium": 0.1, "coarse": 0.18}
"""Of a motif, as a share of the picture's side."""
_SUPERSAMPLING = 2


@dataclass(frozen=True)
class Texture:
    """One manner: ``angle`` in radians and ``period`` as a share of the side follow from the names, up to a little."""

    family: str
    scale: str
    direction: str
    """Empty where the family has none."""
    colours: tuple[tuple[float, float, float], ...]
    """Three to five, sRGB 0..1; the first is the ground."""
    angle: float
    period: float
    seed: int


def sample_texture(seed: int, family: str | None = None, scale: str | None = None) -> Texture:
    """The texture of this seed, of any family and scale or of these. Raises KeyError for a family that is none."""
    rng = random.Random(f"texture:{seed}")
    chosen = family or rng.choice(list(FAMILIES))
    directed = FAMILIES[chosen][1]
    place = rng.randrange(len(DIRECTIONS))
    size = scale or rng.choice(SCALES)
    return Texture(
        chosen,
        size,
        DIRECTIONS[place] if directed else "",
        _palette(rng),
        (place + 0.6 * (rng.random() - 0.5)) * math.pi / 4,
        _PERIODS[size] * (0.85 + 0.3 * rng.random()),
        seed,
    )


def _palette(rng: random.Random) -> tuple[tuple[float, float, float], ...]:
    """Colours around one hue and its complement, their lightness well apart."""
    hue, spread = rng.random(), 0.05 + 0.2 * rng.random()
    count = rng.randint(3, 5)
    dark_first = rng.random() < 0.5
    found = []
    for place in range(count):
        turned = hue + spread * (rng.random() - 0.5) + (0.5 if rng.random() < 0.3 else 0)
        light = 0.18 + 0.72 * (place + 0.5 * rng.random()) / count
        found.append(colorsys.hls_to_rgb(turned % 1, light, 0.25 + 0.7 * rng.random()))
    return tuple(found if dark_first else found[::-1])


def draw_texture(texture: Texture, size: int = 128) -> Image.Image:
    """RGB picture of size x size pixels, the same bytes for the same texture and size."""
    large = size * _SUPERSAMPLING
    return FAMILIES[texture.family][0](texture, large).reduce(_SUPERSAMPLING)


# ---- what the families are made of


def _grid(texture: Texture, size: int) -> tuple[Field, Field]:
    """Coordinates along and across the direction, in periods."""
    y, x = np.mgrid[0:size, 0:size] / size
    along, across = math.cos(texture.angle), -math.sin(texture.angle)
    return (x * along + y * across) / texture.period, (-x * across + y * along) / texture.period


def _noise(rng: np.random.Generator, size: int, cells: float, octaves: int = 3) -> Field:
    """Value noise [size,size] of mean 0 and deviation 1, ``cells`` cells a side at its coarsest."""
    total, weight = np.zeros((size, size)), 1.0
    for octave in range(octaves):
        count = max(2, min(size, round(cells * 2**octave))) + 1
        small = Image.fromarray(rng.normal(size=(count, count)).astype(np.float32), "F")
        total += weight * np.asarray(small.resize((size, size), Image.Resampling.BICUBIC), dtype=np.float64)
        weight /= 2
    return (total - total.mean()) / max(1e-9, total.std())


def _paint(values: Field, texture: Texture, *, hard: bool = False) -> Image.Image:
    """Values -> colours, each an equal share of the picture; ``hard``: without anything between them."""
    order = np.argsort(np.argsort(values, axis=None)).reshape(values.shape) / values.size
    colours = np.array(texture.colours)
    place = order * (len(colours) - 1e-9) if hard else order * (len(colours) - 1)
    low = place.astype(int)
    share = np.zeros_like(place) if hard else place - low
    high = np.minimum(low + 1, len(colours) - 1)
    mixed = colours[low] * (1 - share[..., None]) + colours[high] * share[..., None]
    return _picture(mixed)


def _picture(colours: Field) -> Image.Image:
    return Image.fromarray((255 * np.clip(colours, 0, 1)).round().astype(np.uint8))


def _rng(texture: Texture) -> np.random.Generator:
    return np.random.default_rng(texture.seed)


def _ink(colour: tuple[float, float, float]) -> tuple[int, int, int]:
    red, green, blue = (round(255 * part) for part in colour)
    return red, green, blue


# ---- the families


def _waves(t: Texture, size: int) -> Image.Image:
    _, across = _grid(t, size)
    bend = 0.5 * _noise(_rng(t), size, 0.4 / t.period, 1)
    turns = across + 0.6 * bend
    colours = np.array(t.colours)
    return _picture(colours[np.floor(turns * len(colours) / 1.5).astype(int) % len(colours)])


def _hatching(t: Texture, size: int) -> Image.Image:
    along, across = _grid(t, size)
    rng = _rng(t)
    tone, wobble = _noise(rng, size, 0.3 / t.period, 2), 0.15 * _noise(rng, size, 1.5 / t.period, 1)
    first = np.abs((2 * across + wobble) % 1 - 0.5) < 0.12 + 0.08 * np.tanh(tone)
    second = (np.abs((2 * along + wobble) % 1 - 0.5) < 0.12) & (tone > 0.5)
    colours = np.array(t.colours)
    ground, ink = (colours[0], colours[-1])
    return _picture(np.where((first | second)[..., None], ink, ground))


def _bricks(t: Texture, size: int) -> Image.Image:
    along, across = _grid(t, size)
    row = np.floor(across).astype(int)
    place = along / 2 + 0.5 * (row % 2)
    column = np.floor(place).astype(int)
    joint = (np.minimum(across % 1, 1 - across % 1) < 0.08) | (np.minimum(place % 1, 1 - place % 1) < 0.04)
    colours = np.array(t.colours)
    pick = 1 + (row * 7919 + column * 104729 + t.seed) % (len(colours) - 1)
    return _picture(np.where(joint[..., None], colours[0], colours[pick]))


def _dots(t: Texture, size: int) -> Image.Image:
    along, across = _grid(t, size)
    tone = _noise(_rng(t), size, 0.25 / t.period, 2)
    radius = np.hypot(along % 1 - 0.5, across % 1 - 0.5)
    colours = np.array(t.colours)
    ink = colours[1 + (np.floor(along).astype(int) + np.floor(across).astype(int)) % (len(colours) - 1)]
    return _picture(np.where((radius < 0.3 + 0.12 * np.tanh(tone))[..., None], ink, colours[0]))


def _cells(t: Texture, size: int) -> Image.Image:
    """A mosaic: each place belongs to the nearest of the points of a shaken grid, with leads between."""
    rng, count = _rng(t), max(3, round(0.8 / t.period))
    points = rng.uniform(0.05, 0.95, (count + 2, count + 2, 2))
    y, x = np.mgrid[0:size, 0:size] * (count / size) + 1
    row, column = y.astype(int), x.astype(int)
    nearest, second = np.full((size, size), 9.0), np.full((size, size), 9.0)
    owner = np.zeros((size, size), dtype=int)
    for down in (-1, 0, 1):
        for right in (-1, 0, 1):
            r, c = np.clip(row + down, 0, count + 1), np.clip(column + right, 0, count + 1)
            distance = np.hypot(y - r - points[r, c, 0], x - c - points[r, c, 1])
            closer = distance < nearest
            second = np.where(closer, nearest, np.minimum(second, distance))
            owner = np.where(closer, r * (count + 2) + c, owner)
            nearest = np.minimum(nearest, distance)
    colours = np.array(t.colours)
    pick = 1 + rng.integers(0, len(colours) - 1, (count + 2) ** 2)[owner]
    return _picture(np.where((second - nearest < 0.09)[..., None], colours[0], colours[pick]))


def _marble(t: Texture, size: int) -> Image.Image:
    _, across = _grid(t, size)
    return _paint(np.sin(math.tau * (0.5 * across + 0.45 * _noise(_rng(t), size, 0.4 / t.period, 4))), t)


def _clouds(t: Texture, size: int) -> Image.Image:
    return _paint(_noise(_rng(t), size, 0.5 / t.period, 4), t)


def _contours(t: Texture, size: int) -> Image.Image:
    field = _noise(_rng(t), size, 0.4 / t.period, 2) * 2.5
    colours = np.array(t.colours)
    lines = np.abs(field % 1 - 0.5) > 0.38
    return _picture(np.where(lines[..., None], colours[-1], colours[np.floor(field).astype(int) % (len(colours) - 1)]))


def _strokes(t: Texture, size: int) -> Image.Image:
    """Short strokes of a brush, one over another, along a slowly turning direction."""
    rng = _rng(t)
    picture = Image.new("RGB", (size, size), _ink(t.colours[0]))
    pen = ImageDraw.Draw(picture)
    turn, shade = 0.35 * _noise(rng, size, 2, 1), _noise(rng, size, 4, 2)
    width = max(2, round(0.3 * t.period * size))
    for _ in range(round(5 / t.period**2)):
        x, y = rng.uniform(-0.05, 1.05, 2) * size
        column, row = (int(np.clip(v, 0, size - 1)) for v in (x, y))
        angle, reach = t.angle + turn[row, column], 0.7 * t.period * size
        pick = int(
            np.clip(len(t.colours) * (0.5 + 0.3 * shade[row, column]) + rng.normal(0, 0.7), 0, len(t.colours) - 1)
        )
        light = 0.9 + 0.2 * rng.random()
        dx, dy = reach * math.cos(angle), -reach * math.sin(angle)
        red, green, blue = (min(255, round(255 * light * part)) for part in t.colours[pick])
        pen.line([(x - dx, y - dy), (x + dx, y + dy)], fill=(red, green, blue), width=width)
    return picture


def _stipple(t: Texture, size: int) -> Image.Image:
    """Dabs of pure colours, as pointillists set them."""
    rng = _rng(t)
    picture = Image.new("RGB", (size, size), _ink(t.colours[0]))
    pen = ImageDraw.Draw(picture)
    shade = _noise(rng, size, 3, 2)
    for _ in range(round(4 / t.period**2)):
        x, y = rng.uniform(0, 1, 2) * size
        radius = (0.16 + 0.08 * rng.random()) * t.period * size
        place = 0.5 + 0.3 * shade[int(y), int(x)] + rng.normal(0, 0.25)
        pick = int(np.clip(len(t.colours) * place, 0, len(t.colours) - 1))
        pen.ellipse([x - radius, y - radius, x + radius, y + radius], fill=_ink(t.colours[pick]))
    return picture


def _weave(t: Texture, size: int) -> Image.Image:
    along, across = _grid(t, size)
    over = (np.floor(along) + np.floor(across)) % 2 == 0
    shade = np.where(over, np.sin(math.pi * (across % 1)), np.sin(math.pi * (along % 1))) * 0.6 + 0.4
    colours = np.array(t.colours)
    return _picture(
        np.where(over[..., None], colours[1], colours[2]) * shade[..., None] + 0.15 * (1 - shade[..., None])
    )


def _swirls(t: Texture, size: int) -> Image.Image:
    """Noise drawn out along a flow (line integral convolution, Cabral and Leedom 1993): impasto that turns."""
    rng = _rng(t)
    potential = _noise(rng, size, 0.25 / t.period, 2)
    down, right = np.gradient(potential)
    length = np.hypot(down, right) + 1e-9
    flow_y, flow_x = right / length, -down / length
    grain, total = _noise(rng, size, 1.6 / t.period, 2), np.zeros((size, size))
    reach = max(4, round(0.8 * t.period * size / 2))
    for sign in (-1, 1):
        y, x = np.mgrid[0:size, 0:size].astype(np.float64)
        for _ in range(reach):
            row, column = y.round().astype(int) % size, x.round().astype(int) % size
            total += grain[row, column]
            y, x = y + sign * 2 * flow_y[row, column], x + sign * 2 * flow_x[row, column]
    return _paint(total / total.std() + 0.7 * potential, t)


FAMILIES: dict[str, tuple[Callable[[Texture, int], Image.Image], bool]] = {
    "waves": (_waves, True),
    "hatching": (_hatching, True),
    "bricks": (_bricks, True),
    "dots": (_dots, False),
    "cells": (_cells, False),
    "marble": (_marble, True),
    "clouds": (_clouds, False),
    "contours": (_contours, False),
    "strokes": (_strokes, True),
    "stipple": (_stipple, False),
    "weave": (_weave, False),
    "swirls": (_swirls, False),
}
"""Family -> how it is drawn, and whether it has a direction."""
