"""Below the rater's routes: how long the next picture is shown, by the answers before it (HYPE-time).

A weighted up-down staircase (Kaernbach 1991): after a right answer the next exposure is shorter by ``down_ms``, after a
wrong one longer by ``up_ms``. It comes to rest where p * down = (1 - p) * up: with 10 and 30 ms at 75% right answers,
the threshold of HYPE (Zhou et al. 2019), whose start of 500 ms and range of 100 to 1000 ms are the defaults.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

MASKS = 4
MASK_MS = 30
"""After each exposure, so many masks are shown for so long each: no afterimage goes on telling."""


@dataclass(frozen=True)
class Staircase:
    """The rule, in ms."""

    start_ms: int = 500
    down_ms: int = 10
    up_ms: int = 30
    lowest_ms: int = 100
    highest_ms: int = 1000

    def __post_init__(self) -> None:
        if not 0 < self.lowest_ms <= self.start_ms <= self.highest_ms or self.down_ms < 1 or self.up_ms < 1:
            raise ValueError(f"expected 0 < lowest <= start <= highest and steps from 1 ms on, got {self}")

    @property
    def target(self) -> float:
        """The share of right answers that it comes to rest at."""
        return self.up_ms / (self.up_ms + self.down_ms)

    def after(self, exposure_ms: int, correct: bool) -> int:
        """The exposure that follows."""
        step = -self.down_ms if correct else self.up_ms
        return min(self.highest_ms, max(self.lowest_ms, exposure_ms + step))

    def next_ms(self, answers: Iterable[bool]) -> int:
        """The exposure after all of ``answers``."""
        exposure = self.start_ms
        for correct in answers:
            exposure = self.after(exposure, correct)
        return exposure


def settled(exposures: Sequence[int]) -> Sequence[int]:
    """The exposures from the second turn of the staircase on: those before are its way down from the start."""
    turns = [
        place
        for place in range(1, len(exposures) - 1)
        if (exposures[place] - exposures[place - 1]) * (exposures[place + 1] - exposures[place]) < 0
    ]
    return exposures[turns[1] :] if len(turns) > 1 else ()


def threshold_ms(exposures: Sequence[int]) -> float | None:
    """Where the staircase rests: the mean of ``settled`` exposures; None where it has not turned twice."""
    rest = settled(exposures)
    return sum(rest) / len(rest) if rest else None


def modal_ms(exposures: Sequence[int]) -> float | None:
    """HYPE's own figure: the exposure met most often; the mean of several that are. None without any."""
    met = Counter(exposures)
    if not met:
        return None
    most = max(met.values())
    modes = [exposure for exposure, times in met.items() if times == most]
    return sum(modes) / len(modes)
