"""The inception score: logits of a classifier on generated pictures -> how sure and how varied it is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import log_softmax

from .interval import Estimate, Features, of_means


@dataclass(frozen=True)
class InceptionScore:
    """``spread`` is the standard deviation over splits, which papers print."""

    estimate: Estimate
    spread: float
    splits: int


def inception_score(heads: Sequence[Features], *, splits: int = 10, seed: int | None = 2020) -> InceptionScore:
    """exp E KL(p(y|x) || p(y)) as the mean over splits (Salimans et al. 2016, section 4).

    ``heads``: logits float [N,C] of each classification; of several, the mean of their divergences is taken, so that
    the score is the geometric mean of theirs. Pictures are put in the order that ``seed`` draws, as torch-fidelity
    does; None leaves them as they are. It is bounded by C and by the size of a split.
    """
    n = len(heads[0])
    splits = min(splits, n)
    order = np.arange(n) if seed is None else np.random.RandomState(seed).permutation(n)
    logs = [log_softmax(np.asarray(logits, np.float64)[order], axis=1) for logits in heads]
    scores = []
    for i in range(splits):
        part = slice(i * n // splits, (i + 1) * n // splits)
        scores.append(math.exp(float(np.mean([_divergence(log[part]) for log in logs]))))
    estimate = of_means(scores, way=f"Student, over {splits} splits")
    return InceptionScore(estimate, float(np.std(scores)), splits)


def _divergence(log_p: Features) -> float:
    """The mean of KL(p || mean p)."""
    p = np.exp(log_p)
    with np.errstate(divide="ignore"):
        log_mean = np.log(p.mean(0))
    return float(np.where(p > 0, p * (log_p - np.where(np.isfinite(log_mean), log_mean, 0.0)), 0.0).sum(1).mean())
