"""Two papers that a chart is drawn on with the same calls: SVG that is light or dark as its reader is, and pixels."""

from __future__ import annotations

import html
import itertools
from collections.abc import Sequence
from typing import Protocol

from PIL import Image, ImageDraw

from extensions.sweep.lettering import Lettering, system_fonts

Point = tuple[float, float]
LIGHT = {
    "ground": "#ffffff",
    "ink": "#26262a",
    "quiet": "#67676f",
    "rule": "#dcdce2",
    "s0": "#147a65",
    "s1": "#b4530f",
    "s2": "#5b55c9",
    "s3": "#a8326e",
    "s4": "#5f7a12",
    "s5": "#1f6fb4",
}
DARK = {
    "ground": "#17181a",
    "ink": "#ececea",
    "quiet": "#a5a5ab",
    "rule": "#3a3b40",
    "s0": "#4bbd9f",
    "s1": "#f0954f",
    "s2": "#a49df5",
    "s3": "#ee82b4",
    "s4": "#abc64d",
    "s5": "#6db4ee",
}
"""Colours by what is drawn with them, light and dark; s0 to s5 are of lines."""
FONT_PX = 13
_READERS_FONT = 1.15
"""How much wider than ours the reader's font may be."""


class Canvas(Protocol):
    """Places in pixels from the left top corner; ``ink`` is a key of ``LIGHT``."""

    def line(self, points: Sequence[Point], ink: str, width: float = 1.0, *, dashed: bool = False) -> None: ...
    def dot(self, at: Point, ink: str, radius: float, words: str) -> None: ...
    def text(self, at: Point, words: str, ink: str, anchor: str = "start", *, upright: bool = False) -> None:
        """``at`` is on the base line, at its start, middle or end; ``upright``: turned to be read from below."""

    def width(self, words: str) -> float: ...


class SvgCanvas:
    """``svg`` is the finished document."""

    def __init__(self, size: tuple[int, int]) -> None:
        self._size, self._parts = size, [f'<rect class="ground" width="{size[0]}" height="{size[1]}"/>']
        self._measure = PictureCanvas((1, 1))

    def line(self, points: Sequence[Point], ink: str, width: float = 1.0, *, dashed: bool = False) -> None:
        places = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        dash = ' stroke-dasharray="5 4"' if dashed else ""
        self._parts.append(f'<polyline class="l {ink}" points="{places}" stroke-width="{width:g}"{dash}/>')

    def dot(self, at: Point, ink: str, radius: float, words: str) -> None:
        title = f"<title>{html.escape(words)}</title>" if words else ""
        self._parts.append(f'<circle class="{ink}" cx="{at[0]:.1f}" cy="{at[1]:.1f}" r="{radius:g}">{title}</circle>')

    def text(self, at: Point, words: str, ink: str, anchor: str = "start", *, upright: bool = False) -> None:
        turned = f' transform="rotate(-90 {at[0]:.1f} {at[1]:.1f})"' if upright else ""
        place = f'x="{at[0]:.1f}" y="{at[1]:.1f}" text-anchor="{anchor}"{turned}'
        self._parts.append(f'<text class="{ink}" {place}>{html.escape(words)}</text>')

    def width(self, words: str) -> float:
        return self._measure.width(words) * _READERS_FONT

    @property
    def svg(self) -> str:
        width, height = self._size
        frame = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img"'
        body = "".join(self._parts)
        return f'<svg xmlns="http://www.w3.org/2000/svg" {frame}>{_style()}{body}</svg>\n'


def _style() -> str:
    def rules(colours: dict[str, str]) -> str:
        return "".join(
            f".{name}{{fill:{value}}}.l.{name}{{stroke:{value};fill:none}}" for name, value in colours.items()
        )

    font = f"svg{{font:{FONT_PX}px system-ui,-apple-system,'Segoe UI','Noto Sans SC','PingFang SC',sans-serif}}"
    return f"<style>{font}{rules(LIGHT)}@media(prefers-color-scheme:dark){{{rules(DARK)}}}</style>"


class PictureCanvas:
    """``image`` is what was drawn, ``scale`` times as large, smooth by being drawn larger still."""

    _SMOOTH = 2

    def __init__(self, size: tuple[int, int], scale: int = 2, *, dark: bool = False) -> None:
        self._colours = DARK if dark else LIGHT
        self._by = scale * self._SMOOTH
        self._size = (size[0] * scale, size[1] * scale)
        self._image = Image.new("RGB", (size[0] * self._by, size[1] * self._by), self._colours["ground"])
        self._draw = ImageDraw.Draw(self._image)
        self._letters = Lettering(FONT_PX * self._by, system_fonts())

    def line(self, points: Sequence[Point], ink: str, width: float = 1.0, *, dashed: bool = False) -> None:
        colour, thick = self._colours[ink], max(1, round(width * self._by))
        for (x1, y1), (x2, y2) in itertools.pairwise(points):
            pieces = _dashes((x1, y1), (x2, y2)) if dashed else [((x1, y1), (x2, y2))]
            for begin, end in pieces:
                self._draw.line([self._at(begin), self._at(end)], fill=colour, width=thick)

    def dot(self, at: Point, ink: str, radius: float, words: str) -> None:
        (x, y), r = self._at(at), radius * self._by
        self._draw.ellipse((x - r, y - r, x + r, y + r), fill=self._colours[ink])

    def text(self, at: Point, words: str, ink: str, anchor: str = "start", *, upright: bool = False) -> None:
        wide = self._letters.width(words)
        back = {"start": 0.0, "middle": 0.5, "end": 1.0}[anchor] * wide
        x, y = self._at(at)
        rise = self._letters.size_px
        colour = _rgb(self._colours[ink])
        if not upright:
            self._letters.draw(self._draw, x - back, int(y - rise), words, colour)
            return
        strip = Image.new("L", (int(wide) + 4, self._letters.line_px + 4), 0)
        self._letters.draw(ImageDraw.Draw(strip), 0, 0, words, 255)
        turned = strip.rotate(90, expand=True)
        self._image.paste(Image.new("RGB", turned.size, colour), (int(x - rise), int(y - turned.height + back)), turned)

    def width(self, words: str) -> float:
        return self._letters.width(words) / self._by

    def _at(self, point: Point) -> tuple[float, float]:
        return point[0] * self._by, point[1] * self._by

    @property
    def image(self) -> Image.Image:
        return self._image.resize(self._size, Image.Resampling.LANCZOS)


def _rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def _dashes(begin: Point, end: Point, on: float = 5.0, off: float = 4.0) -> list[tuple[Point, Point]]:
    (x1, y1), (x2, y2) = begin, end
    length = ((x2 - x1) ** 2 + (y2 - y1) ** 2) ** 0.5
    found = []
    at = 0.0
    while at < length:
        a, b = at / length, min(at + on, length) / length
        found.append(((x1 + (x2 - x1) * a, y1 + (y2 - y1) * a), (x1 + (x2 - x1) * b, y1 + (y2 - y1) * b)))
        at += on + off
    return found
