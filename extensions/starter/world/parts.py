"""Drawing world: Avatar -> which part of the person each pixel shows, and where the landmarks of the face are.

The map of parts is drawn by the same strokes as the picture, so the two agree to the pixel.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from PIL import Image

from .attributes import Avatar
from .draw import draw_person, place_head, pose_of
from .features import Mouth
from .pen import Colour, Pen, Point

PARTS = (
    "background", "skin", "brow", "eye", "eyewear", "nose", "mouth", "hair", "hat", "beard", "neck", "clothes",
    "accessory",
)  # fmt: skip
"""What a pixel can show; a map of parts counts in this order."""

LANDMARKS = (
    "left eye outer", "left eye inner", "left eye top", "left eye bottom", "left pupil",
    "right eye outer", "right eye inner", "right eye top", "right eye bottom", "right pupil",
    "left brow outer", "left brow middle", "left brow inner",
    "right brow outer", "right brow middle", "right brow inner",
    "nose", "mouth left", "mouth right", "upper lip", "lower lip",
    "chin", "left jaw", "right jaw", "left lower jaw", "right lower jaw",
)  # fmt: skip
"""Left is the picture's left. The lips' points are on their inner edges: they meet where a mouth is closed."""

_EYE_X, _EYE_Y, _HEAD_Y, _HEAD_RX, _HEAD_RY, _CHIN = 13.5, 63.0, 62.0, 29.5, 34.5, 0.16

# Mood -> left corner, upper lip, lower lip of the mouths that features.draw_mouth draws; they are symmetric.
_MOUTHS: dict[str, tuple[Point, float, float]] = {
    "neutral": ((56, 83), 83, 83),
    "smiling": ((53, 80), 86.4, 86.4),
    "winking": ((53, 80), 86.4, 86.4),
    "laughing": ((51.5, 79), 80.1, 91.4),
    "sad": ((54.5, 87), 81.4, 81.4),
    "sleepy": ((59.6, 84.5), 82.9, 86.5),
    "surprised": ((58.4, 85), 80.2, 90.2),
    "angry": ((54, 87.5), 80.75, 88.25),
}


class _PartPen(Pen):
    """Writes the number of the part in place of each colour."""

    def polygon(self, points: Sequence[Point], fill: Colour | int) -> None:
        super().polygon(points, PARTS.index(self.part))

    def ellipse(self, cx: float, cy: float, rx: float, ry: float, fill: Colour | int) -> None:
        super().ellipse(cx, cy, rx, ry, PARTS.index(self.part))

    def stroke(self, points: Sequence[Point], width: float, fill: Colour | int) -> None:
        super().stroke(points, width, PARTS.index(self.part))


def part_map(avatar: Avatar, size: int = 128, mouth: Mouth | None = None) -> Image.Image:
    """L picture of size x size pixels whose values count in PARTS."""
    # A pixel shows what its middle shows of a drawing twice as large.
    large = Image.new("L", (2 * size, 2 * size), 0)
    draw_person(_PartPen(large), avatar, mouth)
    return large.resize((size, size), Image.Resampling.NEAREST)


def landmarks(avatar: Avatar, size: int = 128, mouth: Mouth | None = None) -> list[Point]:
    """Pixel coordinates (x, y) of LANDMARKS in a picture of size x size pixels, hidden ones too."""
    pose = pose_of(avatar)
    points = [*_eye(avatar, -1, pose.gaze), *_eye(avatar, 1, pose.gaze), *_brow(avatar, -1), *_brow(avatar, 1)]
    points.append((64.0, 73.9))
    points += _mouth(avatar, mouth)
    rx, diagonal = _HEAD_RX + pose.width, math.sqrt(0.5)
    low = rx * diagonal * (1 - _CHIN * diagonal**1.5)
    points += [(64, _HEAD_Y + _HEAD_RY), (64 - rx, _HEAD_Y), (64 + rx, _HEAD_Y)]
    points += [(64 + s * low, _HEAD_Y + _HEAD_RY * diagonal) for s in (-1, 1)]
    return _placed(avatar, size, points)


def face_box(avatar: Avatar, size: int = 128) -> tuple[float, float, float, float]:
    """Left, top, right, bottom in pixels of the head without hair, ears and hat."""
    rx = _HEAD_RX + pose_of(avatar).width
    around = [(math.cos(2 * math.pi * i / 32), math.sin(2 * math.pi * i / 32)) for i in range(32)]
    outline = [(64 + rx * c * (1 - _CHIN * max(s, 0.0) ** 1.5), _HEAD_Y + _HEAD_RY * s) for c, s in around]
    x, y = zip(*_placed(avatar, size, outline), strict=True)
    return min(x), min(y), max(x), max(y)


def _placed(avatar: Avatar, size: int, points: Sequence[Point]) -> list[Point]:
    pen = Pen(Image.new("L", (size, size)))
    place_head(pen, pose_of(avatar), avatar.age)
    return pen.at(points)


def _eye(avatar: Avatar, side: int, gaze: float) -> list[Point]:
    """Outer and inner corner, top, bottom, pupil."""
    x = 64 + side * _EYE_X
    if avatar.mood == "winking" and side == 1:
        lid = (x, _EYE_Y + 3.75)
        return [(x + side * 7, _EYE_Y), (x - side * 7, _EYE_Y), lid, lid, lid]
    wide = (1.15 if avatar.mood == "surprised" else 1.0) * (1.2 if avatar.age == "child" else 1.0)
    r = 7.4 * wide
    top = _EYE_Y if avatar.mood == "sleepy" else _EYE_Y - r
    pupil = (x + gaze, _EYE_Y + 0.8)
    return [(x + side * r, _EYE_Y), (x - side * r, _EYE_Y), (x, top), (x, _EYE_Y + r), pupil]


def _brow(avatar: Avatar, side: int) -> list[Point]:
    """Outer end, middle, inner end, as features.draw_eyes draws the brow."""
    x, mood = 64 + side * _EYE_X, avatar.mood
    inner, outer = x - side * 6.5, x + side * 7.5
    top = 51.5 + {"surprised": -6.0, "laughing": -2.0, "angry": 2.2}.get(mood, 0.0)
    slant = {"angry": 4.6, "sad": -4.6}.get(mood, -0.2)
    bend = 0.0 if mood in ("angry", "sad") else -2.4
    start, end = (inner, top + slant * 0.6), (outer, top + 0.8 - slant * 0.45)
    middle = (
        (start[0] + end[0]) / 8 + 3 * (2 * x - side * 6.5 + side * 7.5 + side * 4 - side * 5) / 8,
        (start[1] + end[1]) / 8 + 3 * 2 * (top + bend) / 8,
    )
    return [end, middle, start]


def _mouth(avatar: Avatar, mouth: Mouth | None) -> list[Point]:
    """Left and right corner, upper and lower lip."""
    if mouth is None:
        (x, y), upper, lower = _MOUTHS[avatar.mood]
    else:
        x, y = 64 - mouth.width / 2, mouth.middle
        half = mouth.opening / 2 if mouth.opening >= 1 else 0.0
        upper, lower = y - half, y + half
    return [(x, y), (128 - x, y), (64, upper), (64, lower)]
