"""Plots of a sweep's scores on one sheet: each score over the first axis and over time, on any canvas."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from PIL import Image

from .canvas import Canvas, PictureCanvas, SvgCanvas
from .series import Line, Panel, axis_ticks

WIDTH, HEIGHT = 470, 340
"""Of a panel in pixels."""
LEFT, RIGHT, TOP, BOTTOM = 66, 18, 58, 46
INKS = ("s0", "s1", "s2", "s3", "s4", "s5")
MOST_NAMED = 12
"""Marks of a panel that are labelled where they stand; more would hide each other."""
_LINE = 17


def sheet_size(rows: Sequence[Sequence[Panel]]) -> tuple[int, int]:
    """Width and height in pixels."""
    return max(map(len, rows)) * WIDTH, len(rows) * HEIGHT


def draw_sheet(rows: Sequence[Sequence[Panel]], canvas: Canvas) -> None:
    """A row a score, panels side by side."""
    for y, row in enumerate(rows):
        for x, panel in enumerate(row):
            _Drawn(panel, canvas, x * WIDTH, y * HEIGHT).draw()


def as_svg(rows: Sequence[Sequence[Panel]]) -> str:
    """A document of its own, light or dark as its reader is; values show where one points."""
    canvas = SvgCanvas(sheet_size(rows))
    draw_sheet(rows, canvas)
    return canvas.svg


def as_picture(rows: Sequence[Sequence[Panel]], *, dark: bool = False) -> Image.Image:
    """RGB, twice the size of the SVG."""
    canvas = PictureCanvas(sheet_size(rows), dark=dark)
    draw_sheet(rows, canvas)
    return canvas.image


@dataclass
class _Drawn:
    panel: Panel
    canvas: Canvas
    left: float
    top: float

    def draw(self) -> None:
        self._scales()
        self._names()
        self._axes()
        for place, line in enumerate(self.panel.lines):
            self._line(line, "quiet" if line.dashed else INKS[place % len(INKS)])
        if self.panel.named:
            self._labels(self.panel.lines[0], self.panel.lines[-1])

    def _scales(self) -> None:
        marks = [mark for line in self.panel.lines for mark in line.marks]
        values = [v for m in marks for v in (m.number.value, m.number.low, m.number.high) if v is not None]
        self.y_ticks = axis_ticks(values)
        self.y = _scale(self.y_ticks[0], self.y_ticks[-1], self.top + HEIGHT - BOTTOM, self.top + TOP)
        if self.panel.ticks:
            places = [place for place, _ in self.panel.ticks]
            self.x_ticks = list(self.panel.ticks)
            low, high = min(places) - 0.5, max(places) + 0.5
        else:
            met = [mark.x for mark in marks]
            ticks = axis_ticks([0.0, *met] if min(met) >= 0 and min(met) < 0.5 * max(met) else met)
            self.x_ticks = [(tick, f"{tick:g}") for tick in ticks]
            low, high = ticks[0], ticks[-1]
        self.x = _scale(low, high, self.left + LEFT, self.left + WIDTH - RIGHT)

    def _names(self) -> None:
        """The title, and below it what the colours are."""
        self.canvas.text((self.left + 14, self.top + 22), self.panel.title, "ink")
        x = self.left + 14
        named = [(place, line) for place, line in enumerate(self.panel.lines) if line.name]
        for place, line in named if len(self.panel.lines) > 1 else ():
            ink = "quiet" if line.dashed else INKS[place % len(INKS)]
            words = line.name if len(line.name) <= 34 else line.name[:33] + "..."
            if x + 24 + self.canvas.width(words) > self.left + WIDTH:
                break
            y = self.top + 38
            if line.joined:
                self.canvas.line([(x, y), (x + 16, y)], ink, 2, dashed=line.dashed)
            else:
                self.canvas.dot((x + 8, y), ink, 4, "")
            self.canvas.text((x + 22, y + 4), words, "quiet")
            x += 40 + self.canvas.width(words)

    def _axes(self) -> None:
        right, bottom = self.left + WIDTH - RIGHT, self.top + HEIGHT - BOTTOM
        for tick in self.y_ticks:
            self.canvas.line([(self.left + LEFT, self.y(tick)), (right, self.y(tick))], "rule")
            self.canvas.text((self.left + LEFT - 8, self.y(tick) + 4), f"{tick:g}", "quiet", "end")
        end = -math.inf
        for place, words in self.x_ticks:
            shown = words if len(words) <= 16 else words[:15] + "..."
            half = self.canvas.width(shown) / 2
            if self.x(place) - half < end:
                continue  # it would lie on the one before
            self.canvas.text((self.x(place), bottom + 18), shown, "quiet", "middle")
            end = self.x(place) + half + 6
        self.canvas.text(((self.left + LEFT + right) / 2, bottom + 38), self.panel.x_title, "ink", "middle")
        middle = (self.top + TOP + bottom) / 2
        self.canvas.text((self.left + 16, middle), self.panel.y_title, "ink", "middle", upright=True)

    def _line(self, line: Line, ink: str) -> None:
        places = [(self.x(mark.x), self.y(mark.number.value)) for mark in line.marks]
        if line.joined and len(places) > 1:
            self.canvas.line(places, ink, 1.5 if line.dashed else 2, dashed=line.dashed)
        for mark, at in zip(line.marks, places, strict=True):
            low, high = mark.number.low, mark.number.high
            if low is not None and high is not None and not line.dashed:
                self.canvas.line([(at[0], self.y(low)), (at[0], self.y(high))], ink, 1.5)
            if not line.dashed or len(places) == 1:
                self.canvas.dot(at, ink, 4.5, mark.words)

    def _labels(self, front: Line, everyone: Line) -> None:
        """Those of the front, right or left of their marks, or above, where they hide nothing."""
        taken = [(self.y(m.number.value), self.x(m.x) - 6, self.x(m.x) + 6) for m in everyone.marks]
        for mark in front.marks[:MOST_NAMED]:
            x, y = self.x(mark.x), self.y(mark.number.value)
            words = mark.label if len(mark.label) <= 28 else mark.label[:27] + "..."
            wide = self.canvas.width(words)
            for begin, line in ((x + 9, y), (x - 9 - wide, y), (x + 9, y - _LINE), (x - 9 - wide, y - _LINE)):
                within = self.left + LEFT <= begin and begin + wide <= self.left + WIDTH
                if within and not any(
                    abs(line - other) < _LINE and begin < last and first < begin + wide for other, first, last in taken
                ):
                    taken.append((line, begin, begin + wide))
                    self.canvas.text((begin, line + 4), words, "ink")
                    break


def _scale(low: float, high: float, begin: float, end: float) -> Callable[[float], float]:
    return lambda value: begin + (value - low) / (high - low) * (end - begin)
