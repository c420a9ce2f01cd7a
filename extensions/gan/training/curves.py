"""Beside training: the lines of its log -> a picture and a plot of them, written on the way."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from PIL import Image, ImageDraw, ImageFont

Row = Mapping[str, Any]
_GROUND, _INK, _RULE = (255, 255, 255), (40, 40, 48), (226, 226, 232)
_COLOURS = ((44, 98, 190), (206, 92, 40), (46, 140, 87), (140, 70, 160), (120, 120, 120))
_WIDTH, _PANEL, _LEFT, _RIGHT, _TOP, _BOTTOM = 720, 210, 64, 14, 26, 24
_MOST_POINTS = 400


def panels(rows: Sequence[Row]) -> list[tuple[str, dict[str, list[tuple[int, float]]]]]:
    """(title, series) of what belongs together: losses, logits, then each other number that was logged."""
    names = list(dict.fromkeys(name for row in rows for name in row if name not in ("step", "pictures")))
    groups: dict[str, list[str]] = {}
    for name in names:
        stem, _, rest = name.partition("_")
        groups.setdefault(stem if rest and stem in ("loss", "logits") else name, []).append(name)
    told = []
    for title, members in groups.items():
        series = {name: points for name in members if (points := _points(rows, name))}
        if series:
            told.append((title, series))
    return told


def _points(rows: Sequence[Row], name: str) -> list[tuple[int, float]]:
    found = [(int(row["step"]), float(row[name])) for row in rows if name in row and math.isfinite(row[name])]
    every = max(1, len(found) // _MOST_POINTS)
    return found[::every]


def plot(rows: Sequence[Row], title: str) -> dict[str, Any] | None:
    """The panel called ``title`` as the data of a plot; None where there is none."""
    for name, series in panels(rows):
        if name == title:
            lines = [{"name": one, "line": True, "points": [list(p) for p in points]} for one, points in series.items()]
            return {"x": "step", "y": title, "series": lines}
    return None


def drawn(rows: Sequence[Row], only: Sequence[str] = ()) -> Image.Image:
    """All panels below one another, or those named."""
    told = [panel for panel in panels(rows) if not only or panel[0] in only]
    sheet = Image.new("RGB", (_WIDTH, max(1, len(told)) * _PANEL), _GROUND)
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(11)
    for place, (title, series) in enumerate(told):
        _panel(pen, font, place * _PANEL, title, series)
    return sheet


def _panel(
    pen: ImageDraw.ImageDraw, font: Any, top: int, title: str, series: Mapping[str, Sequence[tuple[int, float]]]
) -> None:
    values = sorted(y for points in series.values() for _, y in points)
    trimmed = values[: math.ceil(0.99 * len(values))] if len(values) > 50 else values
    low, high = min(0.0, trimmed[0]), trimmed[-1]  # one early peak does not flatten all that follows
    high = high if high > low else low + 1
    last = max(1, max(points[-1][0] for points in series.values()))
    width, height = _WIDTH - _LEFT - _RIGHT, _PANEL - _TOP - _BOTTOM

    def place(step: float, value: float) -> tuple[float, float]:
        shown = min(max(value, low), high)
        return _LEFT + width * step / last, top + _TOP + height * (high - shown) / (high - low)

    for i in range(5):
        value, step = low + (high - low) * i / 4, last * i / 4
        x, y = place(step, value)
        pen.line([(_LEFT, y), (_WIDTH - _RIGHT, y)], fill=_RULE)
        pen.text((_LEFT - 6, y), f"{value:.3g}", fill=_INK, anchor="rm", font=font)
        pen.text((x, top + _PANEL - _BOTTOM + 5), f"{step:.0f}", fill=_INK, anchor="mt", font=font)
    at = float(_LEFT)
    for (name, points), colour in zip(series.items(), _COLOURS * 4, strict=False):
        words = name.replace("_", " ")
        pen.text((at, top + 6), words, fill=colour, font=font)
        at += font.getlength(words) + 16
        line = [place(step, value) for step, value in points]
        if len(line) == 1:
            pen.ellipse([(line[0][0] - 2, line[0][1] - 2), (line[0][0] + 2, line[0][1] + 2)], fill=colour)
        else:
            pen.line(line, fill=colour, width=2, joint="curve")
