"""Below ``analysis``: which of several models people prefer, as strengths of the Bradley-Terry model (1952).

P(i is preferred to j) = 1 / (1 + exp(beta_j - beta_i)), fitted by maximum likelihood; a tie counts as half a win for
either. Only differences of strengths mean anything: their mean is set to 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from webui.api import LifelikeError

from .bootstrap import REPLICATES, Array, draws, percentiles

ELO = 400 / math.log(10)
"""Elo points of one unit of beta."""
_STEPS = 200
_TOLERANCE = 1e-9


class NotConnected(LifelikeError):
    """The comparisons do not reach from every model to every other, so that strengths have no finite value."""


@dataclass(frozen=True)
class Strengths:
    """Of the models, in their order."""

    beta: tuple[float, ...]
    errors: tuple[float, ...]
    """Standard errors of ``beta`` by the observed information, as if each answer came from another rater."""
    intervals: tuple[tuple[float, float] | None, ...]
    """2.5 and 97.5% over samples of raters; None for fewer than two raters."""
    unbounded: float
    """The share of these samples that had no finite strengths, and are not in the intervals."""

    @property
    def elo(self) -> tuple[float, ...]:
        return tuple(ELO * one for one in self.beta)


def reach(wins: Array) -> NDArray[np.bool_]:
    """bool [..., m, m]: whether a chain of wins leads from one model to another. ``wins``: [..., m, m]."""
    models = wins.shape[-1]
    steps: NDArray[np.bool_] = (wins > 0) | np.eye(models, dtype=bool)
    for _ in range(max(1, models.bit_length())):
        steps = (steps.astype(np.int64) @ steps.astype(np.int64)) > 0
    return steps


def check_connected(wins: Array, names: Sequence[str]) -> None:
    """Raises NotConnected, which names the parts, unless chains of wins lead from every model to every other: the
    condition for finite strengths (Ford 1957).
    """
    compared = _groups(reach(wins + wins.T), names)
    if len(compared) > 1:
        parts = " | ".join(", ".join(part) for part in compared)
        raise NotConnected(
            f"the comparisons fall into {len(compared)} parts that were never compared with each other: {parts}.",
            hint="Strengths are relative: gather answers that compare a model of each part with one of another.",
        )
    chains = reach(wins)
    parts_ = _groups(chains & chains.T, names)
    if len(parts_) > 1:
        top = next(part for part in parts_ if not wins[:, _at(part, names)][_rest(part, names)].any())
        rest = [name for name in names if name not in top]
        raise NotConnected(
            f"{', '.join(top)} never lost to {', '.join(rest)}: no finite strength is large enough.",
            hint="Gather more answers, or read the shares of preferences alone.",
        )


def _groups(same: NDArray[np.bool_], names: Sequence[str]) -> list[list[str]]:
    seen: set[int] = set()
    groups = []
    for first in range(len(names)):
        if first not in seen:
            members = [int(one) for one in np.flatnonzero(same[first])]
            seen.update(members)
            groups.append([names[one] for one in members])
    return groups


def _at(part: Sequence[str], names: Sequence[str]) -> list[int]:
    return [place for place, name in enumerate(names) if name in part]


def _rest(part: Sequence[str], names: Sequence[str]) -> list[int]:
    return [place for place, name in enumerate(names) if name not in part]


def fit(wins: Array) -> Array:
    """beta, [..., m], mean 0, of ``wins`` [..., m, m], how often the first was preferred to the second. Newton's method
    on the concave likelihood, its steps bounded. Every matrix must be connected as ``check_connected`` says. Raises
    ValueError where one does not converge.
    """
    games = wins + np.swapaxes(wins, -1, -2)
    models = wins.shape[-1]
    beta = np.zeros(wins.shape[:-1])
    for _ in range(_STEPS):
        gradient, information = _derivatives(wins, games, beta)
        if np.abs(gradient).max(initial=0.0) <= _TOLERANCE * max(1.0, float(games.max(initial=0.0))):
            return beta - beta.mean(-1, keepdims=True)
        # The information is singular along (1, ..., 1), which changes no probability.
        step = np.linalg.solve(information + 1 / models, gradient[..., None])[..., 0]
        beta = beta + step / np.maximum(1.0, np.abs(step).max(-1, keepdims=True))
    raise ValueError(f"fit: no maximum of the likelihood within {_STEPS} steps")


def _derivatives(wins: Array, games: Array, beta: Array) -> tuple[Array, Array]:
    """Gradient [..., m] and observed information [..., m, m] of the log likelihood."""
    preferred = 1 / (1 + np.exp(beta[..., None, :] - beta[..., :, None]))
    gradient = (wins - games * preferred).sum(-1)
    weights = games * preferred * np.swapaxes(preferred, -1, -2)
    information = np.eye(beta.shape[-1]) * weights.sum(-1)[..., None] - weights
    return gradient, information


def strengths(by_rater: Array, names: Sequence[str], *, replicates: int = REPLICATES, seed: int = 0) -> Strengths:
    """``by_rater``: [raters, m, m], wins of the first over the second in each rater's answers. Raises NotConnected."""
    wins = by_rater.sum(0)
    check_connected(wins, names)
    beta = fit(wins)
    _, information = _derivatives(wins, wins + wins.T, beta)
    variances = np.diag(np.linalg.pinv(information))
    intervals: list[tuple[float, float] | None] = [None] * len(names)
    unbounded = 0.0
    if len(by_rater) > 1:
        samples = np.tensordot(draws(len(by_rater), replicates, seed), by_rater, axes=1)
        finite = reach(samples).all((-1, -2))
        unbounded = 1 - float(finite.mean())
        if finite.any():
            drawn = fit(samples[finite])
            intervals = [percentiles(drawn[:, place]) for place in range(len(names))]
    return Strengths(
        tuple(float(one) for one in beta),
        tuple(float(math.sqrt(max(0.0, one))) for one in variances),
        tuple(intervals),
        unbounded,
    )
