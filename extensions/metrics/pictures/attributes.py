"""What was asked of pictures and what a judge sees in them -> accuracy by attribute, its mean, who is drawn worse."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from extensions.metrics.sets.interval import CONFIDENCE, Estimate, share

_RESAMPLES = 2000
_LEAST = 8
"""Pictures of a group, and of those beside it, below which nothing is said of it."""


@dataclass(frozen=True)
class Judged:
    """One picture: attribute -> value that was asked for, and that the judge sees."""

    asked: Mapping[str, str]
    seen: Mapping[str, str]

    @property
    def right(self) -> dict[str, bool]:
        """Of each attribute that was asked for."""
        return {name: self.seen[name] == value for name, value in self.asked.items()}

    @property
    def accuracy(self) -> float | None:
        """The share that is right; None where nothing was asked."""
        return sum(self.right.values()) / len(self.asked) if self.asked else None

    @property
    def wrong(self) -> list[str]:
        """In words: ``avatar.hat: crown asked, none seen``."""
        rows = sorted(self.asked.items())
        return [f"{name}: {value} asked, {self.seen[name]} seen" for name, value in rows if self.seen[name] != value]


def by_attribute(pictures: Sequence[Judged]) -> dict[str, tuple[Estimate, int]]:
    """Attribute -> the share of pictures that show what was asked, with Wilson's interval, and of how many."""
    hits: dict[str, list[bool]] = {}
    for picture in pictures:
        for name, right in picture.right.items():
            hits.setdefault(name, []).append(right)
    return {
        n: (share(sum(found), len(found), "Wilson, over pictures"), len(found)) for n, found in sorted(hits.items())
    }


def mean_of_attributes(pictures: Sequence[Judged], seed: int) -> Estimate:
    """The mean over attributes of their shares, each attribute counting the same; its interval is a bootstrap over
    pictures (Efron 1979), since one picture's attributes stand and fall together. Raises ValueError where nothing was
    asked.
    """
    told = [picture for picture in pictures if picture.asked]
    names = sorted({name for picture in told for name in picture.asked})
    if not names:
        raise ValueError("nothing was asked of any picture")
    right = np.array([[picture.right.get(name, False) for name in names] for picture in told], np.float64)
    asked = np.array([[name in picture.asked for name in names] for picture in told], np.float64)
    drawn = np.random.default_rng(seed).multinomial(len(told), np.full(len(told), 1 / len(told)), _RESAMPLES)
    hits, counts = drawn @ right, drawn @ asked
    shares = np.divide(hits, counts, out=np.zeros_like(hits), where=counts > 0)
    low, high = np.percentile(shares.sum(axis=1) / (counts > 0).sum(axis=1), (2.5, 97.5))
    value = float((right.sum(axis=0) / asked.sum(axis=0)).mean())
    return Estimate(value, float(low), float(high), f"bootstrap over {len(told)} pictures")


@dataclass(frozen=True)
class Group:
    """Pictures that were asked to show one value of one attribute, beside those asked for another value of it."""

    attribute: str
    value: str
    count: int
    accuracy: float
    """Of everything else that was asked of them."""
    others: float
    """The same of the pictures beside."""
    difference: Estimate

    @property
    def worse(self) -> bool:
        """Whether the whole interval lies below 0."""
        return self.difference.high < 0


def groups(pictures: Sequence[Judged]) -> list[Group]:
    """Which groups are drawn worse, and how much: the largest loss first.

    A picture counts with the share that is right of what was asked beside the group's own attribute: whether *another*
    attribute suffers, not whether this one is hard. Welch's interval of the difference of means (1947), at 95% for all
    groups together (Bonferroni), so that one in twenty tables, not one in twenty rows, is wrong.
    """
    found: dict[tuple[str, str], list[tuple[np.ndarray, np.ndarray]]] = {}
    for name in sorted({name for picture in pictures for name in picture.asked}):
        rest = [(one.asked[name], _without(one, name)) for one in pictures if name in one.asked and len(one.asked) > 1]
        for value in sorted({value for value, _ in rest}):
            inside = np.array([score for its, score in rest if its == value])
            beside = np.array([score for its, score in rest if its != value])
            if min(len(inside), len(beside)) >= _LEAST:
                found[name, value] = [(inside, beside)]
    confidence = 1 - (1 - CONFIDENCE) / max(1, len(found))
    told = [
        Group(name, value, len(a), float(a.mean()), float(b.mean()), _difference(a, b, confidence))
        for (name, value), [(a, b)] in found.items()
    ]
    return sorted(told, key=lambda group: (group.difference.value, group.attribute, group.value))


def _without(picture: Judged, name: str) -> float:
    rest = [right for other, right in picture.right.items() if other != name]
    return sum(rest) / len(rest)


def _difference(a: np.ndarray, b: np.ndarray, confidence: float) -> Estimate:
    value = float(a.mean() - b.mean())
    parts = [float(x.var(ddof=1)) / len(x) for x in (a, b)]
    error = math.sqrt(sum(parts))
    if not error:
        return Estimate(value, value, value, "none: all pictures of both have the same")
    freedom = sum(parts) ** 2 / sum(part**2 / (len(x) - 1) for part, x in zip(parts, (a, b), strict=True))
    width = float(stats.t.ppf(0.5 + confidence / 2, freedom)) * error
    return Estimate(value, value - width, value + width, "Welch, at 95% for all groups together")
