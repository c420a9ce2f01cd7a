"""Small drawings of a report as SVG text: intervals on a line, bars, histograms; the page's style colours them."""

from __future__ import annotations

import math
from collections.abc import Sequence

WIDTH, HEIGHT, PAD = 200, 20, 6


def _frame(body: str, label: str, width: int = WIDTH, height: int = HEIGHT) -> str:
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    return f'<svg {size} role="img" aria-label="{label}">{body}</svg>'


def on_line(
    value: float, low: float | None, high: float | None, mark: float | None, span: tuple[float, float] | None = None
) -> str:
    """A point with its interval, and a tick at ``mark`` (the floor, or 0); ``span`` is what the line shows."""
    known = [one for one in (value, low, high, mark) if one is not None and math.isfinite(one)]
    least, most = span or (min(known), max(known))
    room = (most - least) * 0.06 or abs(most) or 1.0
    least, most = least - room, most + room

    def at(x: float) -> str:
        return f"{PAD + (WIDTH - 2 * PAD) * (min(max(x, least), most) - least) / (most - least):.1f}"

    middle = HEIGHT / 2
    parts = [f'<line class="rule" x1="{PAD}" x2="{WIDTH - PAD}" y1="{middle}" y2="{middle}"/>']
    if mark is not None and math.isfinite(mark):
        parts.append(f'<line class="mark" x1="{at(mark)}" x2="{at(mark)}" y1="2" y2="{HEIGHT - 2}"/>')
    if low is not None and high is not None:
        parts.append(f'<line class="ink wide" x1="{at(low)}" x2="{at(high)}" y1="{middle}" y2="{middle}"/>')
    parts.append(f'<circle class="dot" cx="{at(value)}" cy="{middle}" r="4"/>')
    return _frame("".join(parts), f"{value:.4g}")


def bar(value: float, low: float, high: float) -> str:
    """A share of 0..1 as a bar with its interval."""

    def at(x: float) -> float:
        return PAD + (WIDTH - 2 * PAD) * min(max(x, 0.0), 1.0)

    middle = HEIGHT / 2
    body = (
        f'<rect class="ground" x="{PAD}" y="4" width="{WIDTH - 2 * PAD}" height="{HEIGHT - 8}" rx="3"/>'
        f'<rect class="fill" x="{PAD}" y="4" width="{at(value) - PAD:.1f}" height="{HEIGHT - 8}" rx="3"/>'
        f'<line class="ink" x1="{at(low):.1f}" x2="{at(high):.1f}" y1="{middle}" y2="{middle}"/>'
    )
    return _frame(body, f"{value:.1%}")


def histogram(points: Sequence[Sequence[float]], width: int = 320, height: int = 120) -> str:
    """(centre, count) pairs of bars of one width, with the ends of the axis below."""
    most = max((count for _, count in points), default=0) or 1
    step = (width - 2 * PAD) / len(points)
    bars = [
        f'<rect class="fill" x="{PAD + place * step:.1f}" y="{(height - 24) * (1 - count / most) + 4:.1f}" '
        f'width="{max(1.0, step - 1):.1f}" height="{(height - 24) * count / most:.1f}"/>'
        for place, (_, count) in enumerate(points)
    ]
    foot, first, last = height - 4, f"{points[0][0]:.4g}", f"{points[-1][0]:.4g}"
    ends = f'<text x="{PAD}" y="{foot}">{first}</text>'
    ends += f'<text x="{width - PAD}" y="{foot}" text-anchor="end">{last}</text>'
    return _frame("".join(bars) + ends, "histogram", width, height)
