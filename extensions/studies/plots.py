"""Results as SVG: points with intervals, curves of exposures; page, file and report show the same."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

WIDTH, ROW, TOP, BOTTOM, LEFT, RIGHT = 720, 38, 34, 40, 200, 90
_STYLE = (
    "<style>"
    "svg{font:13px system-ui,-apple-system,'Segoe UI','Noto Sans SC','PingFang SC',sans-serif;"
    "--ink:#22231f;--quiet:#63635c;--line:#d9d9d2;--accent:#147a65}"
    "@media(prefers-color-scheme:dark){svg:not([data-scheme=light])"
    "{--ink:#e9e9e4;--quiet:#a5a59d;--line:#3b3c39;--accent:#46b296}}"
    "svg[data-scheme=dark]{--ink:#e9e9e4;--quiet:#a5a59d;--line:#3b3c39;--accent:#46b296}"
    "text{fill:var(--ink)}.quiet{fill:var(--quiet)}.line{stroke:var(--line)}"
    ".mark{stroke:var(--quiet);stroke-dasharray:3 3}"
    ".bar{stroke:var(--accent);stroke-width:2.5;stroke-linecap:round}.dot{fill:var(--accent)}"
    ".curve{fill:none;stroke:var(--accent);stroke-opacity:.45;stroke-width:1.5}"
    "</style>"
)


WORDS: Mapping[str, Mapping[str, str]] = {
    "en": {},
    "zh-CN": {
        "Exposure (ms)": "显示时间（毫秒）",
        "All generated": "全部生成图片",
        "All answers": "全部回答",
        "Generated taken for real": "把生成的当成真实的",
        "Real taken for generated": "把真实的当成生成的",
        "Wrong answers (%)": "错误回答（%）",
        "Preferred (%)": "被选比例（%）",
        "No answers yet": "还没有回答",
    },
}
"""What stands in a plot, by language; English is its own key."""


@dataclass(frozen=True)
class Point:
    """A value with its interval; ``low`` and ``high`` are None where there is none."""

    name: str
    value: float
    low: float | None = None
    high: float | None = None


def plot(results: dict[str, Any], language: str = "en") -> str:
    """The plot that tells most of a study's results: an SVG document, with words where there is nothing to draw yet.
    ``language``: one of ``WORDS``.
    """
    words = WORDS[language]

    def t(text: str) -> str:
        return words.get(text, text)

    if (time := results.get("time")) and (curves := [one["exposures"] for one in time["each"] if one["exposures"]]):
        return curve_plot(t("Exposure (ms)"), curves, time["threshold_ms"]["value"])
    if realism := results.get("realism"):
        several = len(realism["sets"]) > 1
        rows = [(t("All generated" if several else "All answers"), realism["error"])]
        rows += [(one["name"], one["error"]) for one in realism["sets"] if several]
        if "fake_error" in realism:
            rows.append((t("Generated taken for real"), realism["fake_error"]))
            rows.append((t("Real taken for generated"), realism["real_error"]))
        points = [point for name, one in rows if (point := _point(name, one, 100))]
        return point_plot(t("Wrong answers (%)"), points, marks=(50.0,), at_least=(0.0, 60.0))
    if told := results.get("preference"):
        if "strengths" in told:
            points = [point for one in told["strengths"] if (point := _point(one["name"], one["elo"]))]
            points.sort(key=lambda one: -one.value)
            return point_plot("Elo", points, marks=(0.0,))
        shares = zip(told["names"], told["share"], strict=True)
        points = [point for name, one in shares if (point := _point(name, one, 100))]
        return point_plot(t("Preferred (%)"), points, marks=(50.0,), at_least=(0.0, 100.0))
    return _document(80, '<text x="24" y="44" class="quiet">' + t("No answers yet") + "</text>")


def chart(results: dict[str, Any]) -> dict[str, Any] | None:
    """The same as data of a plot artifact: a series a set with one point, or the mean exposure trial by trial; None
    where there is nothing to draw.
    """
    if (time := results.get("time")) and (curves := [one["exposures"] for one in time["each"] if one["exposures"]]):
        trials = range(max(len(curve) for curve in curves))
        there = [[curve[trial] for curve in curves if trial < len(curve)] for trial in trials]
        points = [[trial + 1, sum(met) / len(met), min(met), max(met)] for trial, met in enumerate(there)]
        return {"x": "Trial", "y": "Exposure (ms)", "series": [{"name": "", "points": points, "line": True}]}
    rows: list[tuple[str, dict[str, Any]]] = []
    title, scale = "Wrong answers (%)", 100.0
    if realism := results.get("realism"):
        rows = [(one["name"], one["error"]) for one in realism["sets"]]
    elif told := results.get("preference"):
        rows = list(zip(told["names"], told["share"], strict=True))
        title = "Preferred (%)"
        if "strengths" in told:
            rows, title, scale = [(one["name"], one["elo"]) for one in told["strengths"]], "Elo", 1.0
    shown = [point for name, one in rows if (point := _point(name, one, scale))]
    series = [
        {"name": one.name, "points": [[place + 1, *(v for v in (one.value, one.low, one.high) if v is not None)]]}
        for place, one in enumerate(shown)
    ]
    return {"x": "Set", "y": title, "series": series} if series else None


def _point(name: str, told: dict[str, Any], scale: float = 1.0) -> Point | None:
    if told["value"] is None:
        return None
    low, high = (None if told[key] is None else told[key] * scale for key in ("low", "high"))
    return Point(name, told["value"] * scale, low, high)


def point_plot(
    title: str, points: Sequence[Point], *, marks: Sequence[float] = (), at_least: tuple[float, float] | None = None
) -> str:
    """Points in rows, each with its interval, over one axis. ``marks``: values to draw a dashed line at."""
    met = [value for one in points for value in (one.value, one.low, one.high) if value is not None]
    ticks = axis([*met, *marks, *(at_least or ())])
    height = TOP + ROW * len(points) + BOTTOM
    x = _scale(ticks[0], ticks[-1], LEFT, WIDTH - RIGHT)
    parts = [_text(LEFT, 18, title, "quiet")]
    bottom = height - BOTTOM + 6
    for tick in ticks:
        parts.append(f'<line class="line" x1="{x(tick):.1f}" x2="{x(tick):.1f}" y1="{TOP - 6}" y2="{bottom}"/>')
        parts.append(_text(x(tick), bottom + 18, _number(tick), "quiet", "middle"))
    for mark in marks:
        parts.append(f'<line class="mark" x1="{x(mark):.1f}" x2="{x(mark):.1f}" y1="{TOP - 6}" y2="{bottom}"/>')
    for place, one in enumerate(points):
        y = TOP + ROW * place + ROW / 2
        shown = one.name if len(one.name) <= 26 else one.name[:25] + "…"
        parts.append(_text(LEFT - 14, y + 4, shown, "", "end"))
        if one.low is not None and one.high is not None:
            parts.append(f'<line class="bar" x1="{x(one.low):.1f}" x2="{x(one.high):.1f}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<circle class="dot" cx="{x(one.value):.1f}" cy="{y:.1f}" r="5.5"/>')
        parts.append(_text(WIDTH - RIGHT + 16, y + 4, _number(one.value, ".1f")))
    return _document(height, "".join(parts))


def curve_plot(title: str, curves: Sequence[Sequence[float]], mark: float | None) -> str:
    """One curve a rater, trial by trial, with the threshold of all as a dashed line."""
    height, left, right = 320, 64, 24
    ticks = axis([0, *(value for curve in curves for value in curve)])
    longest = max(2, *(len(curve) for curve in curves))
    across = axis([0, longest])
    y = _scale(ticks[0], ticks[-1], height - BOTTOM, TOP)
    x = _scale(0, across[-1], left, WIDTH - right)
    parts = [_text(left, 18, title, "quiet")]
    for tick in ticks:
        parts.append(f'<line class="line" x1="{left}" x2="{WIDTH - right}" y1="{y(tick):.1f}" y2="{y(tick):.1f}"/>')
        parts.append(_text(left - 10, y(tick) + 4, f"{tick:g}", "quiet", "end"))
    parts += [_text(x(tick), height - BOTTOM + 20, f"{tick:g}", "quiet", "middle") for tick in across]
    for curve in curves:
        places = " ".join(f"{x(place + 1):.1f},{y(value):.1f}" for place, value in enumerate(curve))
        parts.append(f'<polyline class="curve" points="{places}"/>')
    if mark is not None:
        parts.append(f'<line class="mark" x1="{left}" x2="{WIDTH - right}" y1="{y(mark):.1f}" y2="{y(mark):.1f}"/>')
        parts.append(_text(WIDTH - right, y(mark) - 6, f"{mark:.0f} ms", "", "end"))
    return _document(height, "".join(parts))


def _number(value: float, form: str = "g") -> str:
    return format(value, form).replace("-", "\u2212")


def axis(values: Sequence[float]) -> list[float]:
    """Round ticks around ``values``: steps of 1, 2 or 5 times a power of ten."""
    low, high = min(values), max(values)
    span = (high - low) or max(1.0, abs(high))
    power = 10 ** math.floor(math.log10(span / 4))
    step = next(power * factor for factor in (1, 2, 5, 10) if span / (power * factor) <= 5)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(step * tick, 10) for tick in range(first, max(last, first + 1) + 1)]


def _scale(low: float, high: float, begin: float, end: float) -> Any:
    return lambda value: begin + (value - low) / (high - low) * (end - begin)


def _text(x: float, y: float, words: str, name: str = "", anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{name}" text-anchor="{anchor}">{html.escape(words)}</text>'


def _document(height: float, body: str) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:g}" width="{WIDTH}" height="{height:g}" '
        f'role="img">{_STYLE}{body}</svg>\n'
    )
