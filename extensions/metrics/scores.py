"""Which scores there are: features of two sets -> named numbers with interval and floor."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch

from .sets.blocks import CPU
from .sets.classes import inception_score
from .sets.frechet import Check, Limit, Moments, Reference, at_infinity, moments, with_interval
from .sets.interval import Estimate, Features
from .sets.kernel import cmmd, kernel_distance
from .sets.manifold import density_coverage, precision_recall

Better = Literal["lower", "higher", "near real"]
FRECHET, MANIFOLD_K, COVERAGE_K = "fd", 3, 5
_SMALLEST_FOR_A_LINE = 16
_SMALLEST_TO_HALVE = 2 * (COVERAGE_K + 2)
"""Each half has neighbours enough for every score."""
CMMD_SIZE = 336


@dataclass(frozen=True)
class Side:
    """One set: features float32 [N,D] and logits of each head, or moments alone."""

    features: Features | None
    logits: Sequence[Features] = ()
    known: Moments | None = None

    @property
    def count(self) -> int:
        """N; 0 where a file of statistics did not say it."""
        return len(self.features) if self.features is not None else self.known.count if self.known else 0

    def moments(self) -> Moments:
        if self.known is not None:
            return self.known
        if self.features is None:
            raise ValueError("a side has features or moments")
        return moments(self.features)


@dataclass(frozen=True)
class Named:
    """What the network's part in a name is: FID's own network has the short names."""

    network: str
    title: str
    resize: str
    size: int

    @property
    def own(self) -> str:
        """What follows a score's name that was published with another network."""
        return f"-{self.title}"

    def frechet(self) -> str:
        if self.network != "metrics.inception":
            return f"FD{self.own}"
        return "FID" if self.resize == "tensorflow" else f"FID ({self.resize})"

    def kernel(self) -> str:
        return self.frechet().replace("FID", "KID") if self.network == "metrics.inception" else f"KD{self.own}"

    def classes(self) -> str:
        return "IS" if self.network == "metrics.inception" and self.resize == "tensorflow" else f"IS{self.own}"

    def mmd(self) -> str:
        return "CMMD" if self.network == "metrics.clip" and self.size == CMMD_SIZE else f"CMMD{self.own}"

    def manifold(self, name: str) -> str:
        return name if self.network == "metrics.vgg16" else f"{name}{self.own}"


@dataclass(frozen=True)
class Score:
    """One number. ``reference`` is the same score of real pictures against real ones (of the real ones, for the
    inception score): the floor, or the ceiling.
    """

    key: str
    name: str
    estimate: Estimate
    better: Better
    reference: float | None = None
    further: Mapping[str, Any] = field(default_factory=dict)

    def row(self) -> dict[str, Any]:
        """As a table has it."""
        ends = {"low": self.estimate.low, "high": self.estimate.high}
        kept = {name: value if np.isfinite(value) else None for name, value in ends.items()}
        row = {"key": self.key, "score": self.name, "value": self.estimate.value, **kept}
        row |= {"real_vs_real": self.reference, "better": self.better, "interval": self.estimate.way}
        return {**row, **self.further}


@dataclass
class Computing:
    """What all formulas are given."""

    real: Side
    made: Side
    named: Named
    seed: int = 0
    device: torch.device = CPU
    check: Check = lambda: None
    kid_subsets: int = 100
    kid_subset_size: int = 1000
    splits: int = 10
    limit: Limit | None = None
    """The line of FID-infinity, when it was asked for."""

    def __post_init__(self) -> None:
        self._reference: Reference | None = None
        self._halves: tuple[Features, Features] | None = None

    @property
    def reference(self) -> Reference:
        """The real side of Frechet distances."""
        if self._reference is None:
            self._reference = Reference(self.real.moments())
        return self._reference

    @property
    def halves(self) -> tuple[Features, Features] | None:
        """Real pictures against real ones: (the rest, as many as were generated, or half); None of statistics."""
        if self.real.features is None or self.real.count < _SMALLEST_TO_HALVE:
            return None
        if self._halves is None:
            order = np.random.default_rng(self.seed).permutation(self.real.count)
            count = min(self.made.count or self.real.count // 2, self.real.count // 2)
            rows = np.sort(order[count:]), np.sort(order[:count])
            self._halves = np.asarray(self.real.features)[rows[0]], np.asarray(self.real.features)[rows[1]]
        return self._halves

    def floor(self, score: Callable[[Features, Features], float]) -> float | None:
        """``score`` of real pictures against others."""
        return None if self.halves is None else score(*self.halves)

    def both(self) -> tuple[Features, Features]:
        """Raises ValueError where a side has no pictures."""
        if self.real.features is None or self.made.features is None:
            raise ValueError("statistics alone do not have it")
        return self.real.features, self.made.features


def _frechet(c: Computing) -> Iterator[Score]:
    if c.made.features is None:
        value = c.reference.distance(c.made.moments())
        estimate = Estimate(value, -np.inf, np.inf, "none: the generated side is statistics alone")
    else:
        estimate = with_interval(c.reference, c.made.features, c.check)
    floor = c.floor(lambda a, b: Reference(moments(a)).distance(moments(b)))
    yield Score(FRECHET, c.named.frechet(), estimate, "lower", floor)


def _limit(c: Computing) -> Iterator[Score]:
    if c.made.features is None:
        raise ValueError("statistics alone do not have it")
    c.limit = at_infinity(c.reference, c.made.features, c.seed, c.check)
    further = {"line_sizes": list(c.limit.sizes), "line_values": list(c.limit.values)}
    floor = None
    if c.halves is not None and min(map(len, c.halves)) >= _SMALLEST_FOR_A_LINE:
        real, other = c.halves
        floor = at_infinity(Reference(moments(real)), other, c.seed, c.check, interval=False).estimate.value
    yield Score("fd_infinity", f"{c.named.frechet()} at infinity", c.limit.estimate, "lower", floor, further)


def _kernel(c: Computing) -> Iterator[Score]:
    said: dict[str, Any] = {"subsets": c.kid_subsets, "subset_size": c.kid_subset_size, "seed": c.seed}
    told = kernel_distance(*c.both(), **said, check=c.check)
    floor = c.floor(lambda a, b: kernel_distance(a, b, **{**said, "subsets": 10}, check=c.check).estimate.value)
    further = {"deviation_over_subsets": told.spread, "subsets": told.subsets, "subset_size": told.subset_size}
    yield Score("kd", c.named.kernel(), told.estimate, "lower", floor, further)


def _classes(c: Computing) -> Iterator[Score]:
    if not c.made.logits:
        raise ValueError(f"{c.named.title} tells no classes")
    told = inception_score(c.made.logits, splits=c.splits, seed=c.seed)
    real = inception_score(c.real.logits, splits=c.splits, seed=c.seed).estimate.value if c.real.logits else None
    further = {"deviation_over_splits": told.spread, "splits": told.splits, "heads": len(c.made.logits)}
    yield Score("inception_score", c.named.classes(), told.estimate, "higher", real, further)


def _precision(c: Computing) -> Iterator[Score]:
    told = precision_recall(*c.both(), MANIFOLD_K, c.device, c.check)
    halves = c.halves
    floor = precision_recall(*halves, MANIFOLD_K, c.device, c.check) if halves is not None else None
    for key, estimate in (("precision", told.precision), ("recall", told.recall)):
        reference = getattr(floor, key).value if floor is not None else None
        yield Score(key, c.named.manifold(key.capitalize()), estimate, "higher", reference, {"k": MANIFOLD_K})


def _density(c: Computing) -> Iterator[Score]:
    told = density_coverage(*c.both(), COVERAGE_K, c.device, c.check)
    halves = c.halves
    floor = density_coverage(*halves, COVERAGE_K, c.device, c.check) if halves is not None else None
    for key, estimate in (("density", told.density), ("coverage", told.coverage)):
        reference = getattr(floor, key).value if floor is not None else None
        yield Score(key, c.named.manifold(key.capitalize()), estimate, "near real", reference, {"k": COVERAGE_K})


def _cmmd(c: Computing) -> Iterator[Score]:
    told = cmmd(*c.both(), c.device, c.check)
    floor = c.floor(lambda a, b: cmmd(a, b, c.device, c.check).value)
    yield Score("cmmd", c.named.mmd(), told, "lower", floor)


@dataclass(frozen=True)
class Formula:
    """One entry of the menu."""

    title: str
    compute: Callable[[Computing], Iterator[Score]]
    smallest: int = 8
    """Pictures a side without which it is not defined."""


FORMULAS: Mapping[str, Formula] = {
    FRECHET: Formula("Frechet distance", _frechet),
    "fd_infinity": Formula("Frechet distance at infinity", _limit, 64),
    "kd": Formula("Kernel distance", _kernel),
    "inception_score": Formula("Inception score", _classes, 10),
    "precision_recall": Formula("Precision and recall", _precision),
    "density_coverage": Formula("Density and coverage", _density),
    "cmmd": Formula("CMMD", _cmmd),
}
"""Computed from features alone, in this order."""


def warnings_of(c: Computing, dim: int) -> Iterator[str]:
    """What a reader of the numbers must know."""
    for name, count in (("real", c.real.count), ("generated", c.made.count)):
        if 0 < count < 10 * dim:
            yield (
                f"{count} {name} pictures are few for {dim} features: expected at least {10 * dim}. "
                "The Frechet distance is too high by about what real against real is."
            )
    if c.halves is not None and len(c.halves[1]) < c.made.count:
        yield (
            f"Real against real is of {len(c.halves[1])} pictures, since there are only {c.real.count} real ones; "
            "it is higher than it would be for as many as were generated."
        )
