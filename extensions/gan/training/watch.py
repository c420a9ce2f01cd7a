"""Beside training: numbers as they come -> early words on what goes wrong."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Mapping
from typing import Any

_HISTORY = 50
_EXPLODED = 20.0
_ALIKE = 0.25
_FALLEN = 0.4


class Watch:
    """Each kind of trouble is told once, again only after a run goes on."""

    def __init__(self) -> None:
        self._losses: dict[str, list[float]] = {}
        self._told: set[str] = set()
        self._most: dict[str, float] = {}

    def losses(self, row: Mapping[str, Any]) -> Iterator[str]:
        """Of a line of the log: its numbers named ``loss_...``. A loss that is no number is for whoever trains."""
        for name, value in row.items():
            if not name.startswith("loss") or not math.isfinite(value):
                continue
            seen = self._losses.setdefault(name, [])
            usual = statistics.median(abs(old) for old in seen) if len(seen) >= 5 else math.inf
            if abs(value) > 10 and abs(value) > _EXPLODED * max(usual, 0.5):
                yield from self._once(
                    name,
                    f"Step {row.get('step')}: {name.replace('_', ' ')} is {value:.3g}, its usual size {usual:.3g}. "
                    "Training may be diverging: lower the learning rate, or raise gamma of R1.",
                )
            seen.append(value)
            del seen[:-_HISTORY]

    def diversity(self, step: int, what: str, value: float, real: float) -> Iterator[str]:
        """Of the fixed pictures, ``what`` they differ in; ``real``: as much as pictures of the data differ."""
        most = self._most[what] = max(self._most.get(what, 0.0), value)
        share = value / max(real, 1e-12)
        if share < _ALIKE and most > 0 and (value < _FALLEN * most or step > 0):
            yield from self._once(
                what,
                f"Step {step}: the pictures differ in {what} by {share:.0%} of what those of the data do. The "
                "generator may be collapsing to few pictures: R1, a lower learning rate or augmentation help.",
            )

    def _once(self, key: str, words: str) -> Iterator[str]:
        if key not in self._told:
            self._told.add(key)
            yield words
