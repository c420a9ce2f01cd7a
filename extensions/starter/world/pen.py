"""Drawing world: a pen over Pillow that works in 128-unit coordinates at any supersampled size."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from PIL import Image, ImageDraw

Point = tuple[float, float]
Colour = tuple[int, int, int]

_CIRCLE = [(math.cos(2 * math.pi * i / 56), math.sin(2 * math.pi * i / 56)) for i in range(56)]
_BEZIER_STEPS = 13
_BEZIER = []
for _i in range(1, _BEZIER_STEPS + 1):
    _t = _i / _BEZIER_STEPS
    _BEZIER.append(((1 - _t) ** 3, 3 * _t * (1 - _t) ** 2, 3 * _t * _t * (1 - _t), _t**3))


def mix(a: Colour, b: Colour, amount: float) -> Colour:
    """Colour `a` moved towards `b` by amount in 0..1."""
    return tuple(round(x + (y - x) * amount) for x, y in zip(a, b, strict=True))  # type: ignore[return-value]


def curve(start: Point, *segments: tuple[Point, Point, Point]) -> list[Point]:
    """Points along cubic Bezier segments (control, control, end) that begin at `start`."""
    points = [start]
    x0, y0 = start
    for (x1, y1), (x2, y2), (x3, y3) in segments:
        points += [(a * x0 + b * x1 + c * x2 + d * x3, a * y0 + b * y1 + c * y2 + d * y3) for a, b, c, d in _BEZIER]
        x0, y0 = x3, y3
    return points


class Pen:
    """Filled shapes in world units, mapped by an origin and a zoom about it so that a pose moves the whole head.

    `part` names what is being drawn: whoever draws sets it, and a pen that marks parts in place of colours reads it.
    """

    def __init__(self, image: Image.Image, units: float = 128.0) -> None:
        self._draw = ImageDraw.Draw(image)
        self._scale = image.width / units
        self._zoom, self._dx, self._dy, self._cx, self._cy = 1.0, 0.0, 0.0, 64.0, 64.0
        self._cos, self._sin = 1.0, 0.0
        self.part = ""

    def place(self, dx: float = 0.0, dy: float = 0.0, zoom: float = 1.0, tilt: float = 0.0) -> None:
        """Shift by (dx, dy) units, zoom, and turn by `tilt` radians about the neck all that is drawn from now."""
        self._dx, self._dy, self._zoom, self._cx, self._cy = dx, dy, zoom, 64.0, 92.0
        self._cos, self._sin = math.cos(tilt), math.sin(tilt)

    def at(self, points: Iterable[Point]) -> list[Point]:
        """World units -> pixels, as the pen is placed now."""
        return self._map(points)

    def _map(self, points: Iterable[Point]) -> list[Point]:
        k, z = self._scale, self._zoom * self._scale
        ox, oy = (self._cx + self._dx) * k, (self._cy + self._dy) * k
        c, s, cx, cy = self._cos * z, self._sin * z, self._cx, self._cy
        return [(ox + (x - cx) * c - (y - cy) * s, oy + (x - cx) * s + (y - cy) * c) for x, y in points]

    def polygon(self, points: Sequence[Point], fill: Colour | int) -> None:
        self._draw.polygon(self._map(points), fill=fill)

    def box(self, left: float, top: float, right: float, bottom: float, fill: Colour | int) -> None:
        self.polygon([(left, top), (right, top), (right, bottom), (left, bottom)], fill)

    def ellipse(self, cx: float, cy: float, rx: float, ry: float, fill: Colour | int) -> None:
        if self._sin == 0.0 or rx == ry:
            ((x, y),) = self._map([(cx, cy)])
            z = self._zoom * self._scale
            self._draw.ellipse((x - rx * z, y - ry * z, x + rx * z, y + ry * z), fill=fill)
        else:
            self.polygon([(cx + rx * c, cy + ry * s) for c, s in _CIRCLE], fill)

    def egg(self, cx: float, cy: float, rx: float, ry: float, chin: float, fill: Colour | int) -> None:
        """An ellipse whose lower half narrows by the share `chin`: a head."""
        self.polygon([(cx + rx * c * (1 - chin * max(s, 0.0) ** 1.5), cy + ry * s) for c, s in _CIRCLE], fill)

    def stroke(self, points: Sequence[Point], width: float, fill: Colour | int) -> None:
        """A line with round caps and joints, width in units."""
        mapped = self._map(points)
        w = max(1, round(width * self._zoom * self._scale))
        self._draw.line(mapped, fill=fill, width=w, joint="curve")
        r = w / 2
        for x, y in (mapped[0], mapped[-1]):
            self._draw.ellipse((x - r, y - r, x + r, y + r), fill=fill)

    def ring(self, cx: float, cy: float, rx: float, ry: float, width: float, fill: Colour | int) -> None:
        """An ellipse's outline, width in units, centred on the radius."""
        points = [(cx + rx * c, cy + ry * s) for c, s in _CIRCLE]
        self.stroke([*points, points[0], points[1]], width, fill)
