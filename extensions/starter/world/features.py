"""Drawing world: the face's features (eyes, brows, mouth, beard, eyewear), drawn bold enough for an 8x autoencoder."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .attributes import Avatar
from .palette import EYES, INK, SKINS, WHITE
from .pen import Colour, Pen, curve, mix

_EYE_X, _EYE_Y = 13.5, 63.0
_MOUTH = (120, 34, 44)
_LIP = (168, 58, 62)
_ELDER_BROW: Colour = (206, 208, 214)


@dataclass(frozen=True)
class Mouth:
    """A speaking mouth, in world units: the distance of its corners, and of its lips' inner edges."""

    width: float
    opening: float

    @property
    def middle(self) -> float:
        """Where its centre is: an opening mouth goes down with the jaw."""
        return 82.5 + 0.5 * self.opening


def draw_eyes(pen: Pen, avatar: Avatar, hair: Colour, gaze: float) -> None:
    """Eyes and brows; the mood moves lids and brows."""
    mood, iris = avatar.mood, EYES[avatar.eyes]
    wide = (1.15 if mood == "surprised" else 1.0) * (1.2 if avatar.age == "child" else 1.0)
    brow = _ELDER_BROW if avatar.age == "elder" else mix(hair, INK, 0.35)
    brow_width = 4.0 if avatar.age == "elder" else 2.6
    for s in (-1, 1):
        x = 64 + s * _EYE_X
        pen.part = "eye"
        if mood == "winking" and s == 1:
            pen.stroke(curve((x - 7, _EYE_Y), ((x - 4, _EYE_Y + 5), (x + 4, _EYE_Y + 5), (x + 7, _EYE_Y))), 2.8, INK)
        else:
            _draw_open_eye(pen, x, wide, gaze, iris, mix(INK, brow, 0.3))
            if mood == "sleepy":
                _draw_heavy_lid(pen, x, wide, SKINS[avatar.skin])
        inner, outer = x - s * 6.5, x + s * 7.5
        lift = {"surprised": -6.0, "laughing": -2.0, "angry": 2.2}.get(mood, 0.0)
        slant = {"angry": 4.6, "sad": -4.6}.get(mood, -0.2)
        bend = 0.0 if mood in ("angry", "sad") else -2.4
        top = 51.5 + lift
        pen.part = "brow"
        pen.stroke(
            curve(
                (inner, top + slant * 0.6),
                ((inner + s * 4, top + bend), (outer - s * 5, top + bend), (outer, top + 0.8 - slant * 0.45)),
            ),
            brow_width,
            brow,
        )


def _draw_open_eye(pen: Pen, x: float, wide: float, gaze: float, iris: Colour, rim: Colour) -> None:
    pen.ellipse(x, _EYE_Y, 7.4 * wide, 7.4 * wide, rim)
    pen.ellipse(x, _EYE_Y + 0.7, 6.7 * wide, 6.7 * wide, WHITE)
    pen.ellipse(x + gaze, _EYE_Y + 0.8, 4.7, 4.9, iris)
    pen.ellipse(x + gaze, _EYE_Y + 0.8, 2.3, 2.5, INK)
    pen.ellipse(x + gaze + 1.6, _EYE_Y - 1.2, 1.5, 1.5, WHITE)


def _draw_heavy_lid(pen: Pen, x: float, wide: float, skin: Colour) -> None:
    """An upper lid that covers half of the eye; the lower half of the iris stays in sight."""
    r, lid = 7.6 * wide, mix(skin, (110, 40, 50), 0.22)
    pen.polygon(
        curve((x - r, _EYE_Y), ((x - r, _EYE_Y - 10 * wide), (x + r, _EYE_Y - 10 * wide), (x + r, _EYE_Y))), lid
    )
    pen.stroke([(x - r, _EYE_Y), (x + r, _EYE_Y)], 2.2, INK)


def draw_mouth(pen: Pen, avatar: Avatar, skin: Colour, mouth: Mouth | None = None) -> None:
    """The mood's mouth, or a speaking one; a beard leaves skin around it and deep skin gets a lighter lip, so that it
    stays readable.
    """
    mood = avatar.mood
    lip = {"brown": (130, 34, 44), "dark": (226, 120, 116)}.get(avatar.skin, _LIP)
    if avatar.beard == "beard":
        pen.part = "skin"
        pen.ellipse(64, 84.5, 13.5, 9.0, skin)
    pen.part = "mouth"
    if mouth is not None:
        _draw_speaking(pen, mouth, lip)
    elif mood in ("smiling", "winking"):
        pen.stroke(curve((53, 80), ((57, 88.5), (71, 88.5), (75, 80))), 3.4, lip)
    elif mood == "laughing":
        pen.polygon(
            curve((51.5, 79), ((58, 80.5), (70, 80.5), (76.5, 79)), ((76, 95.5), (52, 95.5), (51.5, 79))), _MOUTH
        )
        pen.polygon(
            curve((53.5, 80), ((58, 81.2), (70, 81.2), (74.5, 80)), ((73.5, 85.5), (54.5, 85.5), (53.5, 80))), WHITE
        )
        pen.ellipse(64, 89.2, 5.2, 2.3, (232, 96, 104))
    elif mood == "sad":
        pen.stroke(curve((54.5, 87), ((58, 79.5), (70, 79.5), (73.5, 87))), 3.4, lip)
    elif mood == "sleepy":
        pen.ellipse(64, 84.5, 4.4, 3.2, lip)
        pen.ellipse(64, 84.7, 2.6, 1.8, _MOUTH)
    elif mood == "surprised":
        pen.ellipse(64, 85, 5.6, 6.8, lip)
        pen.ellipse(64, 85.2, 3.9, 5.0, _MOUTH)
    elif mood == "angry":
        pen.polygon(
            curve((54, 87.5), ((54, 78.5), (74, 78.5), (74, 87.5)), ((70, 88.5), (58, 88.5), (54, 87.5))), _MOUTH
        )
        pen.polygon(
            curve((56, 85.6), ((57, 79.8), (71, 79.8), (72, 85.6)), ((69, 86.4), (59, 86.4), (56, 85.6))), WHITE
        )
        pen.stroke([(57, 83.4), (71, 83.4)], 0.9, mix(WHITE, _MOUTH, 0.5))
    else:
        pen.stroke([(56, 83), (72, 83)], 3.4, lip)


def _draw_speaking(pen: Pen, mouth: Mouth, lip: Colour) -> None:
    """Lips about an opening with teeth and tongue in it; a line where it is closed."""
    rx, ry, y = mouth.width / 2, mouth.opening / 2, mouth.middle
    if mouth.opening < 1:
        pen.stroke([(64 - rx, y), (64 + rx, y)], 3.4, lip)
        return
    pen.ellipse(64, y, rx, ry + 1.7, lip)
    pen.ellipse(64, y, max(1.0, rx - 1.5), ry, _MOUTH)
    if mouth.opening > 4:
        pen.ellipse(64, y - 0.7 * ry, 0.55 * rx, 0.22 * ry, WHITE)
        pen.ellipse(64, y + 0.6 * ry, 0.45 * rx, 0.3 * ry, (232, 96, 104))


def draw_beard(pen: Pen, kind: str, hair: Colour, width: float) -> None:
    """A full beard along the jaw, or a mustache; in the hair's colour."""
    shade = mix(hair, INK, 0.16)
    rx = 29.5 + width
    if kind == "beard":
        outline = [
            (64 + (rx + 0.8) * math.cos(a) * (1 - 0.10 * math.sin(a) ** 1.5), 64 + 36.5 * math.sin(a))
            for a in (math.pi * i / 24 for i in range(25))
        ]
        cheek = curve(
            (64 - rx - 0.5, 64),
            ((42, 78), (46, 77), (54, 76.5)),
            ((60, 74.5), (68, 74.5), (74, 76.5)),
            ((82, 77), (86, 78), (64 + rx + 0.5, 64)),
        )
        pen.polygon([*outline, *cheek], shade)
        pen.polygon(
            curve((46, 88), ((52, 101), (76, 101), (82, 88)), ((76, 96), (52, 96), (46, 88))), mix(shade, WHITE, 0.12)
        )
    else:
        for s in (-1, 1):
            pen.polygon(
                curve(
                    (64, 75.2),
                    ((64 + s * 5, 73.2), (64 + s * 12, 75), (64 + s * 16.5, 81.5)),
                    ((64 + s * 11, 81.5), (64 + s * 4, 81), (64, 78.6)),
                ),
                shade,
            )


def draw_eyewear(pen: Pen, kind: str) -> None:
    """Bold round glasses, or dark sunglasses with a glint."""
    if kind == "none":
        return
    pen.stroke([(53 + 4, 61), (64, 59.6), (75 - 4, 61)], 2.6, INK)
    for s in (-1, 1):
        x = 64 + s * _EYE_X
        pen.stroke([(x + s * 11, 60), (64 + s * 31, 61.5)], 2.6, INK)
        if kind == "glasses":
            pen.ring(x, _EYE_Y, 11.3, 11.3, 2.7, INK)
            continue
        lens = curve(
            (x - 11.5, 55),
            ((x - 4, 53.4), (x + 4, 53.4), (x + 11.5, 55)),
            ((x + 14, 66), (x + 8, 74.5), (x, 74.5)),
            ((x - 8, 74.5), (x - 14, 66), (x - 11.5, 55)),
        )
        pen.polygon(lens, INK)
        pen.polygon([(x - 7, 57.5), (x - 1.5, 57.2), (x - 6.2, 68), (x - 8.6, 65)], mix(INK, (150, 170, 220), 0.55))
