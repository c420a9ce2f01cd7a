"""Drawing world: the trees and animals of a scene, each on its own ground point."""

from __future__ import annotations

from .palette import INK, WHITE
from .pen import Colour, Pen, curve, mix
from .scene_light import Light

_BARK: Colour = (122, 82, 58)
_CROWNS: dict[str, tuple[Colour, Colour]] = {
    "spring": ((250, 182, 208), (255, 214, 228)),
    "summer": ((52, 140, 74), (92, 176, 92)),
    "autumn": ((222, 104, 46), (246, 154, 62)),
}


def draw_trees(pen: Pen, kind: str, light: Light, season: str, places: tuple[tuple[float, float, float], ...]) -> None:
    """Trees of one kind at (x, base, height) each."""
    part = {"round": _round_tree, "pine": _pine, "palm": _palm}.get(kind)
    for x, base, height in places if part else ():
        pen.ellipse(x, base, height * 0.34, height * 0.07, mix(light.on(light.ground), light.on((30, 50, 70)), 0.28))
        part(pen, light, season, x, base, height)  # type: ignore[misc]


def _round_tree(pen: Pen, light: Light, season: str, x: float, base: float, h: float) -> None:
    bark = light.on(_BARK)
    pen.polygon(
        [(x - h * 0.06, base - h * 0.55), (x + h * 0.06, base - h * 0.55), (x + h * 0.09, base), (x - h * 0.09, base)],
        bark,
    )
    if season == "winter":
        for dx, dy, wide in (
            (-0.26, -0.92, 0.07),
            (0.28, -0.88, 0.07),
            (0.02, -1.0, 0.07),
            (-0.36, -0.66, 0.055),
            (0.37, -0.62, 0.055),
        ):
            root = (x, base - h * (0.4 if wide < 0.06 else 0.5))
            pen.stroke([root, (x + dx * h, base + dy * h)], wide * h, bark)
            pen.stroke(
                [(x + dx * h * 0.6, base + (dy * 0.6 - 0.2) * h), (x + dx * h * 0.3, base + (dy - 0.04) * h)],
                0.04 * h,
                bark,
            )
            pen.ellipse(x + dx * h, base + dy * h - 0.5, 0.075 * h, 0.05 * h, light.on((246, 250, 255)))
        return
    dark, pale = (light.on(c) for c in _CROWNS[season])
    for dx, dy, r in ((-0.2, -0.58, 0.23), (0.2, -0.58, 0.23), (0, -0.76, 0.27)):
        pen.ellipse(x + dx * h, base + dy * h, r * h, r * h, dark)
    for dx, dy, r in ((-0.23, -0.62, 0.14), (-0.04, -0.82, 0.17), (0.16, -0.63, 0.12)):
        pen.ellipse(x + dx * h, base + dy * h, r * h, r * h, pale)


def _pine(pen: Pen, light: Light, season: str, x: float, base: float, h: float) -> None:
    dark = light.on((34, 104, 84))
    pen.box(x - 0.05 * h, base - 0.16 * h, x + 0.05 * h, base, light.on(_BARK))
    for low, high, r in ((0.12, 0.52, 0.31), (0.34, 0.76, 0.25), (0.58, 1.04, 0.18)):
        y, top = base - low * h, base - high * h
        pen.polygon([(x - r * h, y), (x, top), (x + r * h, y)], dark)
        pen.polygon([(x - r * h, y), (x, top), (x - r * 0.2 * h, y)], mix(dark, light.on((120, 196, 130)), 0.32))
        if season == "winter":
            drop = (y - top) * 0.5
            half = r * h * 0.5
            edge = [(x, top - 0.6), (x + half, top + drop), (x + half * 0.3, top + drop * 0.85)]
            edge += [(x - half * 0.2, top + drop * 1.15), (x - half, top + drop)]
            pen.polygon(edge, light.on((246, 250, 255)))


def _palm(pen: Pen, light: Light, season: str, x: float, base: float, h: float) -> None:
    bark = light.on((168, 120, 78))
    top = (x + 0.12 * h, base - 0.78 * h)
    pen.stroke(curve((x, base), ((x - 0.02 * h, base - 0.3 * h), (x + 0.02 * h, base - 0.6 * h), top)), 0.09 * h, bark)
    leaf = light.on((60, 156, 92) if season != "autumn" else (150, 160, 72))
    if season == "winter":
        leaf = mix(leaf, light.on((246, 250, 255)), 0.3)
    for i, (dx, dy) in enumerate(
        ((-0.44, 0.1), (0.44, 0.12), (-0.4, -0.16), (0.42, -0.14), (-0.14, -0.28), (0.18, -0.28))
    ):
        tip = (top[0] + dx * h, top[1] + dy * h)
        up = (top[0] + dx * 0.5 * h, top[1] + (dy * 0.4 - 0.22) * h)
        low = (top[0] + dx * 0.4 * h, top[1] + (dy * 0.5 - 0.04) * h)
        pen.polygon(curve(top, (up, up, tip), (low, low, top)), mix(leaf, INK if i % 2 else WHITE, 0.12))
    for dx in (-0.05, 0.06):
        pen.ellipse(top[0] + dx * h, top[1] + 0.05 * h, 0.055 * h, 0.055 * h, mix(bark, INK, 0.3))


def draw_animal(pen: Pen, kind: str, light: Light, x: float, base: float) -> None:
    """An animal that sits or stands on (x, base) and looks out of the picture."""
    part = {"sheep": _sheep, "cat": _cat, "rabbit": _rabbit}.get(kind)
    if part is not None:
        pen.ellipse(x, base, 10, 1.8, mix(light.on(light.ground), light.on((30, 50, 70)), 0.28))
        part(pen, light, x, base)


def _eyes(pen: Pen, x: float, y: float, apart: float) -> None:
    for s in (-1, 1):
        pen.ellipse(x + s * apart, y, 1.05, 1.25, INK)


def _sheep(pen: Pen, light: Light, x: float, base: float) -> None:
    wool, rim, face = light.on_wall((255, 252, 246)), light.on_wall((214, 208, 214)), light.on_wall((92, 78, 88))
    for dx in (-6.0, -3.0, 4.0, 7.0):
        pen.stroke([(x + dx, base - 5), (x + dx, base - 0.8)], 1.9, face)
    for grow, tone in ((0.9, rim), (0.0, wool)):
        for dx, dy, r in ((-7, -8, 4.5), (-3, -11.5, 4.8), (3, -12, 4.8), (7.5, -8.5, 4.5), (0, -7, 5.5)):
            pen.ellipse(x + dx, base + dy, r + grow, r + grow, tone)
    pen.ellipse(x - 9.5, base - 12, 4.0, 4.9, face)
    for s in (-1, 1):
        pen.ellipse(x - 9.5 + s * 4.2, base - 13.8, 2.2, 1.2, face)
        pen.ellipse(x - 9.5 + s * 1.5, base - 12.5, 1.1, 1.3, WHITE)
        pen.ellipse(x - 9.5 + s * 1.4, base - 12.3, 0.6, 0.8, INK)
    pen.ellipse(x - 9.5, base - 16.4, 3.0, 2.0, wool)


def _cat(pen: Pen, light: Light, x: float, base: float) -> None:
    fur, pale = light.on_wall((242, 152, 66)), light.on_wall((255, 230, 194))
    dark = mix(fur, INK, 0.3)
    pen.stroke(curve((x + 5, base - 2), ((x + 14, base - 1), (x + 13, base - 9), (x + 10, base - 12))), 2.8, dark)
    pen.ellipse(x, base - 6, 6.2, 6.4, fur)
    pen.ellipse(x, base - 4.4, 3.4, 4.2, pale)
    for s in (-1, 1):
        pen.polygon([(x + s * 6.6, base - 22.6), (x + s * 1.4, base - 18.5), (x + s * 6.2, base - 14.5)], fur)
        pen.ellipse(x + s * 3, base - 1.2, 2.3, 1.6, pale)
    pen.ellipse(x, base - 14.6, 7.2, 6.0, fur)
    pen.ellipse(x, base - 12.6, 3.2, 2.4, pale)
    for dx in (-2.2, 0, 2.2):
        pen.stroke([(x + dx, base - 20.2), (x + dx * 0.9, base - 18)], 0.9, dark)
    _eyes(pen, x, base - 15, 3.0)
    pen.ellipse(x, base - 13.2, 0.9, 0.7, (206, 90, 96))


def _rabbit(pen: Pen, light: Light, x: float, base: float) -> None:
    fur, pale = light.on_wall((196, 176, 166)), light.on_wall((255, 246, 240))
    pink, rim = light.on_wall((246, 176, 184)), mix(light.on_wall((196, 176, 166)), INK, 0.25)
    for s in (-1, 1):
        pen.ellipse(x + s * 3.2, base - 22.5, 2.4, 6.6, rim)
        pen.ellipse(x + s * 3.2, base - 22.3, 1.8, 6.0, fur)
        pen.ellipse(x + s * 3.2, base - 22, 0.9, 4.4, pink)
    pen.ellipse(x + 6.2, base - 3.6, 2.6, 2.6, pale)
    pen.ellipse(x, base - 5.8, 6.2, 6.0, fur)
    pen.ellipse(x, base - 4.6, 3.4, 4.0, pale)
    pen.ellipse(x, base - 13.4, 5.8, 5.2, fur)
    for s in (-1, 1):
        pen.ellipse(x + s * 3.2, base - 0.9, 2.5, 1.5, pale)
        pen.ellipse(x + s * 3.9, base - 12, 1.2, 0.8, pink)
    _eyes(pen, x, base - 14, 2.5)
    pen.ellipse(x, base - 11.8, 0.9, 0.7, (206, 90, 110))
