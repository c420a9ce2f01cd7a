"""Draws a grid: pictures at their own size between the labels of their columns and rows, on a light ground."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw

from .lettering import Lettering, system_fonts

GROUND, INK, FAINT = (255, 255, 255), (38, 38, 42), (128, 128, 136)
FAILED_GROUND, FAILED_INK, EMPTY_GROUND = (251, 238, 236), (146, 44, 36), (243, 243, 245)
_MOST_EDGE_PX = 16_000
"""WebP holds no longer edge."""
_TEXT_SHARE = 18
"""A label's letters are one in so many of a cell's edge high."""
_TEXT_MIN_PX, _TEXT_MAX_PX = 12, 44
_COLUMN_LINES, _ROW_LINES = 4, 8
_ROW_WIDTH_SHARE, _ROW_WIDTH_MIN_PX = 0.6, 96

Place = tuple[int, int]
"""(column, row)."""


@dataclass(frozen=True)
class Tile:
    """What a cell shows: a picture that ``open`` reads, or ``words``, which are of a failure where ``failed``."""

    open: Callable[[], Image.Image] | None = None
    words: str = ""
    failed: bool = False
    faint: bool = False
    foot: Sequence[str] = ()
    """Lines below the cell, such as its scores; ``Look.foot_lines`` of them are shown."""


@dataclass(frozen=True)
class Headings:
    """The labels of one grid; no labels, no bands for them."""

    title: str = ""
    x_name: str = ""
    x_labels: Sequence[str] = ()
    y_name: str = ""
    y_labels: Sequence[str] = ()


@dataclass(frozen=True)
class Look:
    """``cell``: width and height in pixels of a cell; ``margin``: pixels between two."""

    cell: tuple[int, int]
    margin: int
    foot_lines: int = 0
    """Below each cell."""


def fit_cell(
    size: tuple[int, int], columns: int, rows: int, *, longest: int, margin: int, most_pixels: int
) -> tuple[int, int]:
    """The size of a cell: that of the pictures, at most ``longest`` (0: any), and such that the grid stays within
    ``most_pixels``, labels aside.
    """
    width, height = size
    scale = min(1.0, longest / max(size)) if longest else 1.0
    room_x, room_y = _MOST_EDGE_PX / 1.2 - margin * columns, _MOST_EDGE_PX / 1.2 - margin * rows
    scale = min(scale, room_x / (width * columns), room_y / (height * rows))
    scale = min(scale, math.sqrt(most_pixels / (width * columns * height * rows)))
    return max(8, int(width * scale)), max(8, int(height * scale))


class Grid:
    """The layout of a grid of ``columns`` x ``rows`` cells, from which it is drawn; ``box`` tells where a cell is."""

    def __init__(self, columns: int, rows: int, headings: Headings, look: Look) -> None:
        self._headings = headings
        self._look = look
        edge = min(look.cell)
        self._text = Lettering(min(max(edge // _TEXT_SHARE, _TEXT_MIN_PX), _TEXT_MAX_PX), system_fonts())
        self._pad = self._text.size_px
        self._foot = look.foot_lines * self._text.line_px + (self._pad // 2 if look.foot_lines else 0)
        self._columns, self._rows = columns, rows
        self._column_lines = [
            self._lines(text, place, look.cell[0], _COLUMN_LINES) for place, text in enumerate(headings.x_labels)
        ]
        widest = max((self._text.width(text) for text in (*headings.y_labels, headings.y_name)), default=0.0)
        most = max(_ROW_WIDTH_MIN_PX, int(look.cell[0] * _ROW_WIDTH_SHARE))
        self._row_width = min(math.ceil(widest), most) if headings.y_labels else 0
        fits = max(1, look.cell[1] // self._text.line_px)
        self._row_lines = [
            self._lines(text, place, self._row_width, min(_ROW_LINES, fits))
            for place, text in enumerate(headings.y_labels)
        ]
        self._left = self._pad + (self._row_width + self._pad if self._row_width else 0)
        self._top = self._pad + self._header_px()
        if not (headings.title or headings.x_labels or headings.y_labels):
            self._left = self._top = self._pad = look.margin

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the whole picture in pixels."""
        right, bottom = self.box((self._columns - 1, self._rows - 1))[2:]
        return right + self._pad, bottom + self._foot + self._pad

    def box(self, place: Place) -> tuple[int, int, int, int]:
        """Left, top, right and bottom of a cell."""
        (width, height), margin = self._look.cell, self._look.margin
        left = self._left + place[0] * (width + margin)
        top = self._top + place[1] * (height + self._foot + margin)
        return left, top, left + width, top + height

    def draw(self, tiles: Mapping[Place, Tile]) -> Image.Image:
        """RGB. A place without a tile is left empty."""
        canvas = Image.new("RGB", self.size, GROUND)
        draw = ImageDraw.Draw(canvas)
        self._draw_headings(draw)
        for y in range(self._rows):
            for x in range(self._columns):
                tile = tiles.get((x, y), Tile())
                self._draw_tile(canvas, draw, self.box((x, y)), tile)
                self._draw_foot(draw, self.box((x, y)), tile)
        return canvas

    def _lines(self, text: str, place: int, width_px: int, most: int) -> list[str]:
        return self._text.wrapped(self._text.readable(text, f"#{place + 1}"), max(width_px, self._text.size_px), most)

    def _header_px(self) -> int:
        line = self._text.line_px
        title = line + self._pad // 2 if self._headings.title else 0
        names = line if self._headings.x_name or self._headings.y_name else 0
        labels = max((len(lines) for lines in self._column_lines), default=0) * line
        return title + names + labels + (self._pad // 2 if names or labels else 0)

    def _draw_headings(self, draw: ImageDraw.ImageDraw) -> None:
        text, line, top = self._text, self._text.line_px, self._pad
        across = self.box((self._columns - 1, 0))[2] - self._left
        if self._headings.title:
            self._put(draw, self._headings.title, self._left, top, across, INK, 0.0)
            top += line + self._pad // 2
        if self._headings.x_name:
            self._put(draw, self._headings.x_name, self._left, top, across, FAINT, 0.5)
        if self._headings.y_name:
            at = self._top - self._pad // 2 - line
            self._put(draw, self._headings.y_name, self._pad, at, self._row_width, FAINT, 1.0)
        for x, lines in enumerate(self._column_lines):
            left, cell_top, right, _ = self.box((x, 0))
            first = cell_top - self._pad // 2 - len(lines) * line
            for number, words in enumerate(lines):
                text.draw(draw, left + (right - left - text.width(words)) / 2, first + number * line, words, INK)
        for y, lines in enumerate(self._row_lines):
            _, cell_top, _, bottom = self.box((0, y))
            first = (cell_top + bottom - len(lines) * line) // 2
            for number, words in enumerate(lines):
                left = self._pad + self._row_width - text.width(words)
                text.draw(draw, left, first + number * line, words, INK)

    def _put(
        self,
        draw: ImageDraw.ImageDraw,
        words: str,
        left: int,
        top: int,
        width: int,
        ink: tuple[int, int, int],
        at: float,
    ) -> None:
        """One line within ``width``; ``at``: 0 at its left, 1 at its right."""
        line = "".join(self._text.wrapped(self._text.readable(words, ""), width, 1))
        self._text.draw(draw, left + (width - self._text.width(line)) * at, top, line, ink)

    def _draw_foot(self, draw: ImageDraw.ImageDraw, box: tuple[int, int, int, int], tile: Tile) -> None:
        left, _, right, bottom = box
        for number, words in enumerate(tile.foot[: self._look.foot_lines]):
            top = bottom + self._pad // 4 + number * self._text.line_px
            self._put(draw, words, left, top, right - left, INK, 0.5)

    def _draw_tile(
        self, canvas: Image.Image, draw: ImageDraw.ImageDraw, box: tuple[int, int, int, int], tile: Tile
    ) -> None:
        left, top, right, bottom = box
        if tile.open is not None:
            with tile.open() as met:
                picture = flattened(met, (right - left, bottom - top))
            at = (left + (right - left - picture.width) // 2, top + (bottom - top - picture.height) // 2)
            canvas.paste(picture, at)
            return
        draw.rectangle((left, top, right - 1, bottom - 1), FAILED_GROUND if tile.failed else EMPTY_GROUND)
        ink = FAILED_INK if tile.failed else FAINT if tile.faint else INK
        pad, line = self._pad // 2, self._text.line_px
        lines = max(1, (bottom - top - 2 * pad) // line)
        words = self._text.wrapped(self._text.readable(tile.words, ""), max(8, right - left - 2 * pad), lines)
        first = (top + bottom - len(words) * line) // 2
        for number, one in enumerate(words):
            self._text.draw(draw, (left + right - self._text.width(one)) / 2, first + number * line, one, ink)


def flattened(picture: Image.Image, most: tuple[int, int]) -> Image.Image:
    """RGB on white, made smaller where it is larger than ``most``; pixels are untouched where it is not."""
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        rgba = picture.convert("RGBA")
        plain = Image.new("RGB", picture.size, GROUND)
        plain.paste(rgba, mask=rgba.getchannel("A"))
    else:
        plain = picture.convert("RGB")
    scale = min(1.0, most[0] / plain.width, most[1] / plain.height)
    if scale == 1.0:
        return plain
    size = (max(1, round(plain.width * scale)), max(1, round(plain.height * scale)))
    return plain.resize(size, Image.Resampling.LANCZOS)


def beside(grids: Sequence[Image.Image]) -> Image.Image:
    """Several grids of one size as one picture, in the arrangement nearest to a square."""
    width, height = grids[0].size
    columns = min(
        range(1, len(grids) + 1), key=lambda count: _unevenness(width * count, height * math.ceil(len(grids) / count))
    )
    canvas = Image.new("RGB", (width * columns, height * math.ceil(len(grids) / columns)), GROUND)
    for place, grid in enumerate(grids):
        canvas.paste(grid, (place % columns * width, place // columns * height))
    return canvas


def _unevenness(width: int, height: int) -> float:
    return abs(math.log(width / height))
