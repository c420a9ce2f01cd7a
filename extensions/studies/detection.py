"""Below ``analysis``: how well people tell real from generated, by signal detection theory and exact tests.

The signal is a real picture. Hits are real pictures called real, false alarms generated ones called real.
"""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np

from .bootstrap import Array

_NORMAL = NormalDist()


def z(probabilities: Array | float) -> Array:
    """The standard normal quantile, elementwise."""
    flat = np.atleast_1d(np.asarray(probabilities, dtype=np.float64))
    return np.array([_NORMAL.inv_cdf(one) for one in flat.ravel()]).reshape(flat.shape)


def smoothed(count: Array | float, trials: Array | float) -> Array:
    """Rates that are never 0 or 1: (count + 0.5) / (trials + 1), the log-linear correction (Hautus 1995)."""
    return (np.asarray(count, dtype=np.float64) + 0.5) / (np.asarray(trials, dtype=np.float64) + 1.0)


def d_prime(counts: Array) -> Array:
    """Sensitivity d' = z(H) - z(F). ``counts``: [n, 4], hits, real trials, false alarms, generated trials -> [n]."""
    hits, real, alarms, generated = np.asarray(counts, dtype=np.float64).T
    return z(smoothed(hits, real)) - z(smoothed(alarms, generated))


def criterion(counts: Array) -> Array:
    """Bias c = -(z(H) + z(F)) / 2: above 0, people lean to "generated"; below, to "real". Counts as in ``d_prime``."""
    hits, real, alarms, generated = np.asarray(counts, dtype=np.float64).T
    return -(z(smoothed(hits, real)) + z(smoothed(alarms, generated))) / 2


def d_prime_two_choice(counts: Array) -> Array:
    """d' of a two-alternative forced choice: (z(H) - z(F)) / sqrt 2, free of a leaning to one side (Macmillan and
    Creelman). Hits: left chosen where the real one was left; false alarms: left chosen where it was right.
    """
    return d_prime(counts) / math.sqrt(2)


def error_rate(counts: Array) -> Array:
    """[n, 2], wrong answers and trials -> [n]; NaN without trials."""
    wrong, trials = np.asarray(counts, dtype=np.float64).T
    return np.divide(wrong, trials, out=np.full(wrong.shape, np.nan), where=trials > 0)


def balanced_error(counts: Array) -> Array:
    """The mean of the error rates on real and on generated pictures, so that neither counts more for being shown more
    often; counts as in ``d_prime``.
    """
    hits, real, alarms, generated = np.asarray(counts, dtype=np.float64).T
    missed = error_rate(np.column_stack([real - hits, real]))
    return (missed + error_rate(np.column_stack([alarms, generated]))) / 2


def binomial_p(successes: int, trials: int) -> float:
    """The exact two-sided probability of a result at least as far from one half, if the true rate were one half."""
    if not 0 <= successes <= trials:
        raise ValueError(f"binomial_p: expected 0 to {trials} successes, got {successes}")
    tail, term = 0, 1
    for k in range(min(successes, trials - successes) + 1):
        tail += term
        term = term * (trials - k) // (k + 1)
    return min(1.0, 2 * _ratio(tail, trials))


def _ratio(numerator: int, power: int) -> float:
    """numerator / 2**power, also where neither fits a float."""
    shift = max(0, numerator.bit_length() - 64)
    return math.ldexp(float(numerator >> shift), shift - power)
