"""Drawing world: the colours behind the attributes' names, as RGB in 0..255."""

from __future__ import annotations

from .pen import Colour

WHITE: Colour = (255, 255, 255)
INK: Colour = (36, 30, 44)

SKINS: dict[str, Colour] = {
    "light": (255, 220, 194),
    "tan": (233, 180, 136),
    "brown": (188, 128, 86),
    "dark": (126, 82, 62),
}
HAIR: dict[str, Colour] = {
    "black": (40, 36, 46),
    "brown": (92, 50, 28),
    "blond": (242, 202, 92),
    "red": (204, 72, 32),
    "grey": (158, 162, 172),
    "blue": (58, 106, 220),
    "pink": (244, 112, 176),
    "green": (52, 160, 92),
}
EYES: dict[str, Colour] = {"brown": (122, 66, 26), "blue": (44, 128, 232), "green": (40, 158, 80)}
CLOTHES: dict[str, Colour] = {
    "red": (214, 52, 56),
    "orange": (244, 140, 44),
    "yellow": (250, 208, 60),
    "green": (62, 158, 86),
    "blue": (52, 104, 208),
    "purple": (132, 76, 186),
    "white": (246, 246, 248),
    "black": (48, 46, 56),
}
BACKGROUNDS: dict[str, Colour] = {
    "blue": (124, 182, 244),
    "green": (142, 212, 152),
    "yellow": (252, 222, 112),
    "pink": (252, 172, 200),
    "purple": (186, 152, 236),
    "orange": (252, 178, 108),
    "grey": (180, 186, 194),
    "white": (244, 243, 240),
}
