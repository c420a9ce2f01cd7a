"""Beside training: a stage's JSONL log -> a PNG of its loss, written on the way."""

from __future__ import annotations

import json
import os
from pathlib import Path

from PIL import Image, ImageDraw

_WIDTH, _HEIGHT = 640, 360
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 16, 28, 32
_INK, _RULE, _LINE = (40, 40, 48), (222, 222, 230), (44, 98, 190)
_RULES = 4


def save_curve(log: Path, target: Path) -> None:
    """Draw the loss over the steps of `log` (one JSON object a line, with `stage`, `step` and `loss`)."""
    rows = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    if not rows:
        return
    image = draw_curve(rows[-1]["stage"], [(int(r["step"]), float(r["loss"])) for r in rows])
    temporary = target.with_name(f"{target.name}.tmp{os.getpid()}")
    image.save(temporary, format="PNG")
    os.replace(temporary, target)


def draw_curve(title: str, points: list[tuple[int, float]]) -> Image.Image:
    """A line plot of (step, loss) with linear axes; the loss axis begins at zero or at the lowest negative loss."""
    image = Image.new("RGB", (_WIDTH, _HEIGHT), (255, 255, 255))
    pen = ImageDraw.Draw(image)
    last = max(step for step, _ in points)
    low, high = min(0.0, *(y for _, y in points)), max(y for _, y in points)
    high = high if high > low else low + 1

    def place(step: float, loss: float) -> tuple[float, float]:
        x = _LEFT + (_WIDTH - _LEFT - _RIGHT) * step / max(1, last)
        return x, _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * (loss - low) / (high - low)

    for i in range(_RULES + 1):
        loss, step = low + (high - low) * i / _RULES, last * i / _RULES
        x, y = place(step, loss)
        pen.line([(_LEFT, y), (_WIDTH - _RIGHT, y)], fill=_RULE)
        pen.text((_LEFT - 6, y), f"{loss:.3g}", fill=_INK, anchor="rm")
        pen.text((x, _HEIGHT - _BOTTOM + 6), f"{step:.0f}", fill=_INK, anchor="mt")
    pen.text((_LEFT, 8), f"{title}: loss at each step", fill=_INK)
    line = [place(step, loss) for step, loss in sorted(points)]
    if len(line) == 1:
        pen.point(line, fill=_LINE)
    else:
        pen.line(line, fill=_LINE, width=2, joint="curve")
    return image
