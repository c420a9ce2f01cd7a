"""Drawing world: hair behind and in front of the head, and what sits on it."""

from __future__ import annotations

from .attributes import Avatar
from .palette import INK, SKINS, WHITE
from .pen import Colour, Pen, Point, curve, mix

Curves = tuple[tuple[Point, Point, Point], ...]

_CURLS_BACK: list[tuple[float, float, float]] = [
    (-33, 64, 11),
    (-36, 51, 12),
    (-31, 37, 13),
    (-19, 27, 13),
    (0, 23, 14),
    (19, 27, 13),
    (31, 37, 13),
    (36, 51, 12),
    (33, 64, 11),
    (-31, 75, 9),
    (31, 75, 9),
]
_CURLS_FRONT: list[tuple[float, float, float]] = [
    (-25, 44, 8.5),
    (-17, 36.5, 9),
    (-6, 33.5, 9),
    (6, 33.5, 9),
    (17, 36.5, 9),
    (25, 44, 8.5),
]


def draw_hair_back(pen: Pen, avatar: Avatar, hair: Colour) -> None:
    """The part of the hair that hangs behind face and shoulders."""
    style, dark = avatar.hair_style, mix(hair, INK, 0.22)
    if style == "long":
        pen.polygon(
            curve(
                (64, 23),
                ((22, 22), (25, 62), (26, 80)),
                ((27, 96), (16, 108), (19, 118)),
                ((34, 126), (94, 126), (109, 118)),
                ((112, 108), (101, 96), (102, 80)),
                ((103, 62), (106, 22), (64, 23)),
            ),
            hair,
        )
        pen.polygon(curve((42, 70), ((36, 100), (50, 118), (64, 118)), ((78, 118), (92, 100), (86, 70))), dark)
    elif style == "bob":
        pen.polygon(
            curve(
                (64, 24),
                ((24, 22), (24, 60), (23, 82)),
                ((23, 93), (30, 95), (42, 94)),
                ((54, 92), (74, 92), (86, 94)),
                ((98, 95), (105, 93), (105, 82)),
                ((104, 60), (104, 22), (64, 24)),
            ),
            hair,
        )
        pen.polygon(curve((40, 70), ((38, 92), (50, 91), (64, 91)), ((78, 91), (90, 92), (88, 70))), dark)
    elif style == "curly":
        for x, y, r in _CURLS_BACK:
            pen.ellipse(64 + x, y, r, r, hair)
    elif style == "pigtails":
        for s in (-1, 1):
            pen.polygon(
                curve(
                    (64 + s * 30, 55),
                    ((64 + s * 42, 46), (64 + s * 54, 54), (64 + s * 53, 70)),
                    ((64 + s * 52, 84), (64 + s * 47, 92), (64 + s * 41, 99)),
                    ((64 + s * 42, 88), (64 + s * 36, 74), (64 + s * 30, 55)),
                ),
                hair,
            )
            pen.stroke(curve((64 + s * 42, 60), ((64 + s * 47, 66), (64 + s * 47, 76), (64 + s * 44.5, 86))), 1.8, dark)


def draw_hair_front(pen: Pen, avatar: Avatar, hair: Colour, width: float) -> None:
    """The hair over the forehead: one fringe for each style."""
    style = avatar.hair_style
    dark, light = mix(hair, INK, 0.22), mix(hair, WHITE, 0.28)
    w = 31.0 + width
    left, right = 64 - w, 64 + w
    if style == "bald":
        pen.polygon(
            curve((48, 38), ((54, 32), (62, 31), (66, 32)), ((60, 34), (54, 37), (50, 42))),
            mix(SKINS[avatar.skin], WHITE, 0.42),
        )
        return
    if style == "curly":
        for x, y, r in _CURLS_FRONT:
            pen.ellipse(64 + x, y, r, r, hair)
        for x, y, _ in _CURLS_FRONT[::2]:
            pen.stroke(
                curve((64 + x - 4, y + 1), ((64 + x - 4, y - 4), (64 + x + 1, y - 5), (64 + x + 3, y - 3))), 1.6, light
            )
        return
    crown = ((left - 1.5, 34), (42, 23.5), (64, 23.5)), ((86, 23.5), (right + 1.5, 34), (right, 60))
    pen.polygon(curve((left, 60), *crown, *_fringe(style, left, right)), hair)
    if style in ("long", "bob"):
        low = 86 if style == "long" else 80
        for s in (-1, 1):
            x = 64 + s * w
            pen.polygon(
                curve(
                    (x - s * 1, 50),
                    ((x - s * 6, 60), (x - s * 4, 72), (x - s * 3, low)),
                    ((x + s * 5, 80), (x + s * 5, 60), (x - s * 1, 50)),
                ),
                hair,
            )
    pen.stroke(curve((43, 37), ((47, 31), (55, 28.5), (62, 28.5))), 2.6, light)
    if style == "pigtails":
        for s in (-1, 1):
            pen.ellipse(64 + s * 34.5, 56, 4, 4, (236, 72, 96) if avatar.hair_colour != "pink" else (90, 120, 230))
        pen.stroke([(64, 25), (64, 33)], 1.4, dark)


def _fringe(style: str, left: float, right: float) -> Curves:
    """The hairline from the right temple to the left one, as Bezier segments."""
    if style == "short":
        return (
            ((right - 3, 57), (right - 5, 48), (right - 9, 44)),
            ((72, 47), (52, 45), (46, 37.5)),
            ((42, 44), (left + 5, 48), (left, 60)),
        )
    if style == "long":
        return ((right - 4, 54), (right - 12, 42), (70, 34)), ((62, 46), (left + 8, 48), (left, 66))
    if style == "bob":
        return (
            ((right - 2, 56), (right - 4, 52), (right - 5, 47)),
            ((76, 49.5), (52, 49.5), (left + 5, 47)),
            ((left + 4, 52), (left + 2, 56), (left, 60)),
        )
    return ((right - 4, 52), (right - 14, 46), (64, 33)), ((left + 14, 46), (left + 4, 52), (left, 60))


def draw_hat(pen: Pen, kind: str) -> None:
    """What is worn on the head; each hat has its own colours, so that its name alone says how it looks."""
    if kind in _HATS:
        _HATS[kind](pen)


def _cap(pen: Pen) -> None:
    red, dark = (224, 56, 58), (170, 34, 46)
    pen.polygon(curve((31, 46), ((29, 12), (99, 12), (97, 46)), ((84, 41), (44, 41), (31, 46))), red)
    pen.polygon(
        curve(
            (29, 45),
            ((38, 36), (90, 36), (99, 45)),
            ((106, 51), (92, 51.5), (64, 49)),
            ((36, 51.5), (22, 51), (29, 45)),
        ),
        dark,
    )
    pen.ellipse(64, 32, 7, 6.4, WHITE)
    pen.ellipse(64, 20.4, 2.8, 2, dark)


def _beanie(pen: Pen) -> None:
    teal, dark, light = (38, 148, 152), (26, 108, 118), (84, 190, 188)
    pen.ellipse(64, 15, 8, 8, WHITE)
    pen.polygon(curve((31, 43), ((30, 8), (98, 8), (97, 43))), teal)
    for x, bend in ((48, -5), (64, 0), (80, 5)):
        pen.stroke([(x, 36), (64 + (x - 64) * 0.72 - bend * 0.1, 21)], 2.0, light)
    pen.polygon(
        curve(
            (29, 38),
            ((40, 33), (88, 33), (99, 38)),
            ((101, 42), (101, 45), (99, 48)),
            ((88, 43), (40, 43), (29, 48)),
            ((27, 45), (27, 42), (29, 38)),
        ),
        dark,
    )


def _top_hat(pen: Pen) -> None:
    felt, band = (44, 40, 54), (206, 54, 70)
    pen.polygon(
        curve(
            (41, 40),
            ((43, 28), (42, 16), (39, 5)),
            ((50, 2), (78, 2), (89, 5)),
            ((86, 16), (85, 28), (87, 40)),
            ((78, 43), (50, 43), (41, 40)),
        ),
        felt,
    )
    pen.polygon(
        curve(
            (41.8, 32),
            ((52, 35), (76, 35), (86.2, 32)),
            ((86.6, 35), (87, 39), (87, 41)),
            ((76, 44), (52, 44), (41, 41)),
        ),
        band,
    )
    pen.polygon(
        curve(
            (24, 39),
            ((40, 46), (88, 46), (104, 39)),
            ((105, 48), (84, 50), (64, 50)),
            ((44, 50), (23, 48), (24, 39)),
        ),
        felt,
    )
    pen.stroke([(47.5, 10), (49, 28)], 2.2, mix(felt, WHITE, 0.3))


def _crown(pen: Pen) -> None:
    gold, dark = (250, 196, 48), (214, 142, 28)
    pen.polygon([(36, 42), (32, 14), (46, 27), (54, 9), (64, 24), (74, 9), (82, 27), (96, 14), (92, 42)], gold)
    pen.polygon(
        curve((36, 36), ((48, 39), (80, 39), (92, 36)), ((92, 38), (92, 42), (92, 44)), ((80, 47), (48, 47), (36, 44))),
        dark,
    )
    for x, y in ((32, 14), (54, 9), (74, 9), (96, 14)):
        pen.ellipse(x, y, 3, 3, gold)
    pen.ellipse(64, 40.6, 3.6, 3.2, (222, 54, 84))
    for x in (46, 82):
        pen.ellipse(x, 39.6, 2.6, 2.4, (64, 132, 230))


_HATS = {"cap": _cap, "beanie": _beanie, "top hat": _top_hat, "crown": _crown}
