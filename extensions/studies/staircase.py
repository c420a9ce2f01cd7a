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
    blocks: int = 1
    """Staircases that a rater goes down one after the other, each from ``start_ms`` on."""

    def __post_init__(self) -> None:
        if not 0 < self.lowest_ms <= self.start_ms <= self.highest_ms or self.down_ms < 1 or self.up_ms < 1:
            raise ValueError(f"expected 0 < lowest <= start <= highest and steps from 1 ms on, got {self}")
        if self.blocks < 1:
            raise ValueError(f"expected one staircase or more, got {self.blocks}")

    @property
    def target(self) -> float:
        """The share of right answers that it comes to rest at."""
        return self.up_ms / (self.up_ms + self.down_ms)

    def after(self, exposure_ms: int, correct: bool) -> int:
        """The exposure that follows."""
        step = -self.down_ms if correct else self.up_ms
        return min(self.highest_ms, max(self.lowest_ms, exposure_ms + step))

    def next_ms(self, answers: Iterable[bool], trials: int = 0) -> int:
        """The exposure after all of ``answers``, of ``trials`` in all blocks together."""
        length = self.block_trials(trials)
        exposure = self.start_ms
        for place, correct in enumerate(answers, start=1):
            begins = self.blocks > 1 and length and place % length == 0
            exposure = self.start_ms if begins else self.after(exposure, correct)
        return exposure

    def block_trials(self, trials: int) -> int:
        """How many of ``trials`` a block has; the last one may have fewer."""
        return -(-trials // self.blocks)

    def split(self, exposures: Sequence[int], trials: int) -> list[Sequence[int]]:
        """``exposures`` of a rater as those of each block; blocks that were not begun are left out."""
        length = self.block_trials(trials) or len(exposures) or 1
        return [exposures[start : start + length] for start in range(0, len(exposures), length)]

    def at_bound(self, exposures: Sequence[int]) -> float | None:
        """The share of the settled ``exposures`` that could not go on: with many, the threshold lies beyond the range.
        None where it has not settled.
        """
        rest = settled(exposures)
        return sum(one in (self.lowest_ms, self.highest_ms) for one in rest) / len(rest) if rest else None


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
