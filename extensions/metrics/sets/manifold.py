"""Scores of what lies within what: precision and recall, density and coverage, and nearest neighbours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .blocks import CPU, each_table
from .frechet import Check, _nothing
from .interval import Estimate, Features, of_means, share


def radii(features: Features, k: int, device: torch.device = CPU, check: Check = _nothing) -> Features:
    """float [N,D] -> float64 [N]: squared distance of each to its k-th nearest other, k < N."""
    found = np.zeros(len(features))

    def use(span: slice, table: Tensor) -> None:
        own = torch.arange(span.start, span.stop, device=table.device)
        table[torch.arange(len(own), device=table.device), own] = torch.inf
        found[span] = table.kthvalue(k, 1).values.cpu().numpy()

    each_table(features, features, use, device, check)
    return found


@dataclass(frozen=True)
class Manifold:
    """A set and the squared radius of the ball around each of its members: to its k-th nearest neighbour."""

    features: Features
    radii: Features
    k: int

    @staticmethod
    def of(features: Features, k: int, device: torch.device = CPU, check: Check = _nothing) -> Manifold:
        return Manifold(features, radii(features, k, device, check), k)


class Membership(NamedTuple):
    """Of points float [M,D] against a manifold of N balls."""

    balls: NDArray[np.int64]
    """[M]: how many balls each point lies in."""
    reached: NDArray[np.bool_]
    """[N]: whether a ball holds a point."""


def membership(points: Features, manifold: Manifold, device: torch.device = CPU, check: Check = _nothing) -> Membership:
    """A point on the edge of a ball lies in it (``<=``, Kynkaanniemi et al. 2019, equation 1)."""
    balls = np.zeros(len(points), np.int64)
    reached = np.zeros(len(manifold.features), bool)

    def use(span: slice, table: Tensor) -> None:
        inside = table <= torch.from_numpy(manifold.radii).to(table.device)
        balls[span] = inside.sum(1).cpu().numpy()
        reached[:] |= inside.any(0).cpu().numpy()

    each_table(points, manifold.features, use, device, check)
    return Membership(balls, reached)


@dataclass(frozen=True)
class PrecisionRecall:
    """Kynkaanniemi et al. 2019, *Improved precision and recall*, section 2."""

    precision: Estimate
    """Share of generated pictures within the real ones' manifold."""
    recall: Estimate
    """Share of real pictures within the generated ones' manifold."""


def precision_recall(
    real: Features, made: Features, k: int = 3, device: torch.device = CPU, check: Check = _nothing
) -> PrecisionRecall:
    """Of float [N,D] and float [M,D], k < N, M."""
    within = membership(made, Manifold.of(real, k, device, check), device, check).balls > 0
    covered = membership(real, Manifold.of(made, k, device, check), device, check).balls > 0
    return PrecisionRecall(
        share(int(within.sum()), len(within), "Wilson, over generated pictures"),
        share(int(covered.sum()), len(covered), "Wilson, over real pictures"),
    )


@dataclass(frozen=True)
class DensityCoverage:
    """Naeem et al. 2020, *Reliable fidelity and diversity metrics*, equations 3 and 4."""

    density: Estimate
    """Mean number of real balls that a generated picture lies in, over k: 1 for a perfect generator, and not bounded
    by it.
    """
    coverage: Estimate
    """Share of real pictures whose ball holds a generated one."""


def density_coverage(
    real: Features, made: Features, k: int = 5, device: torch.device = CPU, check: Check = _nothing
) -> DensityCoverage:
    """Of float [N,D] and float [M,D], k < N. A perfect generator of as many pictures covers 1 - 1/2^k in expectation
    (section 3.2).
    """
    told = membership(made, Manifold.of(real, k, device, check), device, check)
    return DensityCoverage(
        of_means(told.balls / k, way="Student, over generated pictures"),
        share(int(told.reached.sum()), len(real), "Wilson, over real pictures"),
    )


@dataclass(frozen=True)
class Neighbours:
    """Of each generated picture: the nearest real one, and how near it is for a picture of this world."""

    nearest: NDArray[np.int64]
    """[M] rows of the real set."""
    distance: Features
    """[M]"""
    ratio: Features
    """[M]: over the distance of that real picture to its own nearest; far below 1: a copy, or nearly."""


def neighbours(real: Features, made: Features, device: torch.device = CPU, check: Check = _nothing) -> Neighbours:
    """Of float [N,D] and float [M,D], N >= 2. The ratio is that of the authenticity score (Alaa et al. 2022, section
    4.3): a generated picture nearer to a real one than any other real picture is suspect.
    """
    nearest = np.zeros(len(made), np.int64)
    squared = np.zeros(len(made))

    def use(span: slice, table: Tensor) -> None:
        found = table.min(1)
        nearest[span], squared[span] = found.indices.cpu().numpy(), found.values.cpu().numpy()

    each_table(made, real, use, device, check)
    own = radii(real, 1, device, check)
    # Products leave about 1e-16 of the squares: below it two rows are one.
    exact = np.square(made.astype(np.float64) - real[nearest].astype(np.float64)).sum(1)
    scale = np.sqrt(np.maximum(own[nearest], np.finfo(np.float64).tiny))
    return Neighbours(nearest, np.sqrt(exact), np.sqrt(exact) / scale)
