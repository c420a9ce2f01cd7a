"""Drawing world: garments, accessories, marks of age and light, drawn over the plain avatar."""

from __future__ import annotations

from PIL import Image

from .attributes import Avatar
from .palette import INK, WHITE
from .pen import Colour, Pen, curve, mix

_GOLD: Colour = (250, 196, 48)
_SCARF, _SCARF_DARK = (226, 84, 96), (178, 52, 72)
# Light multiplies a picture by these shares of red, green and blue: little, so that colours keep their names.
_LIGHT = {"warm": (1.0, 0.95, 0.86), "night": (0.90, 0.92, 1.0)}
_STARS = ((12, 14, 1.5), (27, 26, 1.0), (9, 40, 1.0), (36, 9, 1.1), (92, 9, 1.2), (118, 46, 1.2), (8, 66, 1.3))


def draw_sky(pen: Pen, lighting: str) -> None:
    """A low sun in warm light; stars and a moon at night: behind the person."""
    if lighting == "warm":
        pen.ellipse(110, 18, 15, 15, (255, 214, 120))
        pen.ellipse(110, 18, 10.5, 10.5, (255, 240, 176))
    elif lighting == "night":
        pen.ellipse(111, 17, 11, 11, (60, 62, 96))
        pen.ellipse(111, 17, 9.6, 9.6, (255, 248, 214))
        pen.ellipse(115, 14.5, 8.4, 8.4, (60, 62, 96))
        for x, y, r in _STARS:
            pen.ellipse(x, y, r + 0.9, r + 0.9, (60, 62, 96))
            pen.ellipse(x, y, r, r, (255, 248, 214))


def light(image: Image.Image, lighting: str) -> Image.Image:
    """RGB -> RGB under this light."""
    if lighting not in _LIGHT:
        return image
    return image.point([round(v * share) for share in _LIGHT[lighting] for v in range(256)])


def draw_garment(pen: Pen, kind: str, cloth: Colour) -> None:
    """What makes the clothes more than a shirt, in the clothes' colour."""
    if kind == "striped sweater":
        pale = mix(cloth, WHITE if sum(cloth) < 560 else INK, 0.5)
        for y in (113.5, 121.5):
            pen.stroke(curve((30, y + 1), ((46, y + 4), (82, y + 4), (98, y + 1))), 2.8, pale)
        pen.stroke(curve((50, 104), ((53, 117), (75, 117), (78, 104))), 4.2, mix(cloth, INK, 0.3))
    elif kind == "overalls":
        # White overalls show over a dark shirt, all others over a cream one.
        under = (250, 236, 206) if min(cloth) < 200 else (96, 150, 196)
        pen.polygon([(26, 107), (46, 104), (46, 132), (17, 132)], under)
        pen.polygon([(102, 107), (82, 104), (82, 132), (111, 132)], under)
        for s in (-1, 1):
            pen.stroke([(64 + s * 22, 103), (64 + s * 17, 120)], 5.6, mix(cloth, INK, 0.15))
            pen.ellipse(64 + s * 17, 118.5, 2.6, 2.6, _GOLD)
    elif kind == "suit":
        edge = mix(cloth, INK if sum(cloth) > 200 else WHITE, 0.3)
        pen.polygon([(51, 104), (77, 104), (64, 130)], (252, 252, 254))
        pen.polygon([(61, 109), (67, 109), (68.5, 126), (64, 132), (59.5, 126)], (150, 34, 62))
        for s in (-1, 1):
            pen.polygon([(64 + s * 13, 102), (64 + s * 24, 105), (64 + s * 20, 115), (64, 132)], edge)


def draw_marks_of_age(pen: Pen, age: str, skin: Colour) -> None:
    """A child's freckles and round cheeks; an elder's lines on the forehead and beside eyes and mouth."""
    if age == "child":
        for s in (-1, 1):
            pen.ellipse(64 + s * 20, 77, 6.4, 5.0, mix(skin, (255, 70, 84), 0.42))
            for x, y in ((14.5, 74), (18.5, 72.2), (18, 76.2), (22.5, 74.6)):
                pen.ellipse(64 + s * x, y, 1.15, 1.15, mix(skin, (116, 44, 20), 0.6))
    elif age == "elder":
        line = mix(skin, (80, 30, 20), 0.5)
        for y, reach in ((43.0, 9.0), (47.0, 11.0)):
            pen.stroke(
                curve((64 - reach, y), ((64 - reach / 2, y - 1.6), (64 + reach / 2, y - 1.6), (64 + reach, y))),
                1.4,
                line,
            )
        for s in (-1, 1):
            pen.stroke(
                curve((64 + s * 10.5, 75.5), ((64 + s * 16, 78), (64 + s * 18, 83), (64 + s * 17, 89))), 1.7, line
            )
            pen.stroke(curve((64 + s * 8, 73), ((64 + s * 11, 75), (64 + s * 17, 75), (64 + s * 20, 72.6))), 1.4, line)
            for y in (-3, 3):
                pen.stroke([(64 + s * 23.5, 66 + y * 0.4), (64 + s * 27.5, 66 + y)], 1.4, line)


def draw_neckwear(pen: Pen, kind: str) -> None:
    """Scarf or bow tie, below the chin."""
    if kind == "scarf":
        pen.polygon([(70, 108), (83, 107), (88, 131), (74, 132)], _SCARF_DARK)
        pen.polygon(
            curve(
                (43, 102),
                ((50, 112), (78, 112), (85, 102)),
                ((90, 108), (88, 115), (84, 117)),
                ((72, 122), (56, 122), (44, 117)),
                ((40, 115), (38, 108), (43, 102)),
            ),
            _SCARF,
        )
        pen.stroke(curve((47, 110.5), ((56, 116), (72, 116), (81, 110.5))), 1.7, _SCARF_DARK)
    elif kind == "bow tie":
        for s in (-1, 1):
            pen.polygon(
                curve(
                    (64, 109),
                    ((64 + s * 6, 103), (64 + s * 13, 100), (64 + s * 15, 104)),
                    ((64 + s * 16, 109), (64 + s * 16, 112), (64 + s * 14, 116)),
                    ((64 + s * 11, 118), (64 + s * 6, 114), (64, 109)),
                ),
                _SCARF,
            )
        pen.ellipse(64, 109.2, 3.5, 4, _SCARF_DARK)


def draw_headwear(pen: Pen, avatar: Avatar, width: float) -> None:
    """Earrings or headphones, over the hair so that they always show."""
    ear = 31.5 + width
    if avatar.accessory == "earrings":
        for s in (-1, 1):
            pen.ellipse(64 + s * ear, 79.5, 3.9, 4.9, mix(_GOLD, INK, 0.4))
            pen.ellipse(64 + s * ear, 79.5, 2.9, 3.9, _GOLD)
    elif avatar.accessory == "headphones":
        pen.stroke(curve((64 - ear, 60), ((64 - ear - 2, 10), (64 + ear + 2, 10), (64 + ear, 60))), 4.2, (70, 66, 84))
        for s in (-1, 1):
            pen.ellipse(64 + s * (ear + 1.5), 65, 7.5, 11, (70, 66, 84))
            pen.ellipse(64 + s * (ear + 2.5), 65, 4.4, 7.4, (88, 196, 204))
