"""Source of the faces' training: seeds -> pictures with faces in them, and where these are, known from the drawing.

Two kinds of pictures: one face, cut out as a detector would, turned and moved a little, with landmarks; or a scene with
no face or some, small ones too.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .world import draw, sample, sample_rich_avatar
from .world.draw import draw_avatar
from .world.features import Mouth
from .world.parts import LANDMARKS, face_box, landmarks, part_map

_DRAWN = 128
_SCENES = 0.3
_SILHOUETTES = 0.35
_SPEAKING = 0.45

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class FaceExample:
    """A picture uint8 [S,S,3], its parts uint8 [S,S], boxes of the faces in pixels, and float32 [26,2] landmarks in
    pixels, NaN where the picture is a scene.
    """

    picture: NDArray[np.uint8]
    parts: NDArray[np.uint8]
    boxes: tuple[Box, ...]
    landmarks: NDArray[np.float32]


@dataclass(frozen=True)
class _Person:
    picture: Image.Image
    parts: Image.Image
    landmarks: NDArray[np.float64]
    box: Box


def face_example(seed: int, size: int) -> FaceExample:
    """The example of this seed."""
    rng = random.Random(f"face:{seed}")
    return _scene(rng, seed, size) if rng.random() < _SCENES else _portrait(rng, seed, size)


@lru_cache(maxsize=16)
def _person(seed: int) -> _Person:
    """Neighbouring seeds ask for the same person: drawing costs more than turning and placing it anew."""
    rng, avatar = random.Random(f"person:{seed}"), sample_rich_avatar(seed)
    mouth = Mouth(rng.uniform(9, 25), max(0.0, rng.uniform(-3, 14))) if rng.random() < _SPEAKING else None
    points = np.array(landmarks(avatar, _DRAWN, mouth))
    return _Person(
        draw_avatar(avatar, _DRAWN, mouth), part_map(avatar, _DRAWN, mouth), points, face_box(avatar, _DRAWN)
    )


@lru_cache(maxsize=4)
def _landscape(seed: int, size: int) -> Image.Image:
    return draw(sample(seed, "scene"), size)


def _background(rng: random.Random, seed: int, size: int) -> Image.Image:
    kind = rng.random()
    if kind < 0.6:
        return _landscape(seed // 4, size).copy()
    colour = [rng.randrange(256) for _ in range(3)]
    if kind < 0.85:
        return Image.new("RGB", (size, size), tuple(colour))  # type: ignore[arg-type]
    noise = np.random.RandomState(seed % 2**32).randint(0, 256, (rng.choice((4, 16, 64)),) * 2 + (3,))
    return Image.fromarray(noise.astype(np.uint8)).resize((size, size), Image.Resampling.BICUBIC)


def _portrait(rng: random.Random, seed: int, size: int) -> FaceExample:
    person = _person(seed // 2)
    angle, height = math.radians(rng.gauss(0, 10)), rng.uniform(0.38, 0.72) * size
    left, top, right, bottom = person.box
    zoom = height / (bottom - top)
    middle = ((left + right) / 2, (top + bottom) / 2)
    goal = [size * (0.5 + rng.gauss(0, 0.05)), size * (0.53 + rng.gauss(0, 0.05))]
    mirrored = rng.random() < 0.5
    # Picture -> drawing, as Image.transform wants it: turn and zoom about the face's middle.
    c, s = math.cos(angle) / zoom, math.sin(angle) / zoom
    flip = -1.0 if mirrored else 1.0
    matrix = (
        flip * c, flip * s, middle[0] - flip * (c * goal[0] + s * goal[1]),
        -s, c, middle[1] - (-s * goal[0] + c * goal[1]),
    )  # fmt: skip
    edge = None if rng.random() < _SILHOUETTES else person.picture.getpixel((2, 2))
    behind = _background(rng, seed, size) if edge is None else Image.new("RGB", (size, size), edge)
    where = Image.Transform.AFFINE
    moved = person.picture.transform((size, size), where, matrix, Image.Resampling.BILINEAR)
    parts = person.parts.transform((size, size), where, matrix, Image.Resampling.NEAREST)
    inside = Image.new("L", person.picture.size, 255)
    shown = person.parts.point([0] + [255] * 255) if edge is None else inside
    behind.paste(moved, mask=shown.transform((size, size), where, matrix, Image.Resampling.NEAREST))

    def placed(points: NDArray[np.float64]) -> NDArray[np.float64]:
        x, y = flip * (points[:, 0] - middle[0]), points[:, 1] - middle[1]
        c, s = math.cos(angle) * zoom, math.sin(angle) * zoom
        return np.stack([goal[0] + c * x - s * y, goal[1] + s * x + c * y], 1)

    outline = placed(_ellipse(person.box))
    points = placed(person.landmarks)
    if mirrored:
        points = points[MIRRORED]
    box = (*outline.min(0).tolist(), *outline.max(0).tolist())
    return FaceExample(np.asarray(behind), np.asarray(parts), (box,), points.astype(np.float32))


def _scene(rng: random.Random, seed: int, size: int) -> FaceExample:
    canvas, parts = _background(rng, seed, size), Image.new("L", (size, size), 0)
    boxes: list[Box] = []
    taken: list[Box] = []
    for face in range(rng.choice((0, 1, 1, 2, 2, 3))):
        side = rng.randint(size * 3 // 10, size * 8 // 10)
        x, y = rng.randint(-side // 8, size - side * 7 // 8), rng.randint(-side // 8, size - side * 7 // 8)
        if any(x < r and left < x + side and y < b and t < y + side for left, t, r, b in taken):
            continue
        person = _person(seed // 2 + 1_000_003 * face)
        small = person.picture.resize((side, side), Image.Resampling.BOX)
        labels = person.parts.resize((side, side), Image.Resampling.NEAREST)
        shown = labels.point([0] + [255] * 255) if rng.random() < 0.7 else None
        canvas.paste(small, (x, y), shown)
        parts.paste(labels, (x, y), shown)
        zoom = side / _DRAWN
        left, top, right, bottom = (zoom * v for v in person.box)
        boxes.append((left + x, top + y, right + x, bottom + y))
        taken.append((x, y, x + side, y + side))
    empty = np.full((len(LANDMARKS), 2), np.nan, np.float32)
    return FaceExample(np.asarray(canvas), np.asarray(parts), tuple(boxes), empty)


def _ellipse(box: Box) -> NDArray[np.float64]:
    """Points [32,2] of the ellipse in a box: what a turned face's box is the hull of."""
    left, top, right, bottom = box
    turn = np.linspace(0, 2 * np.pi, 32, endpoint=False)
    x, y = (left + right) / 2, (top + bottom) / 2
    return np.stack([x + (right - left) / 2 * np.cos(turn), y + (bottom - top) / 2 * np.sin(turn)], 1)


def _mirrored(name: str) -> str:
    if "left" in name:
        return name.replace("left", "right")
    return name.replace("right", "left")


MIRRORED = [LANDMARKS.index(_mirrored(name)) for name in LANDMARKS]
"""Where each landmark's place is read in a mirrored picture."""
