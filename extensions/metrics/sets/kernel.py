"""Kernel distances of two sets of features: KID's cubic kernel over subsets, and CMMD's Gaussian over all pairs."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .blocks import CPU, exact_device, load, spans
from .frechet import Check, _nothing
from .interval import Estimate, Features, jackknife, of_means

_GROUPS = 20
CMMD_SIGMA = 10.0
CMMD_SCALE = 1000.0


def unbiased_mmd(real: Features, made: Features) -> float:
    """The unbiased squared maximum mean discrepancy of float [N,D] and float [M,D] with the kernel (x.y / D + 1)^3
    (Gretton et al. 2012, equation 3; kernel of Binkowski et al. 2018, section 4).
    """
    x, y = np.asarray(real, np.float64), np.asarray(made, np.float64)
    d, n, m = x.shape[1], len(x), len(y)
    xx, yy, xy = ((a @ b.T / d + 1) ** 3 for a, b in ((x, x), (y, y), (x, y)))
    within = (xx.sum() - np.trace(xx)) / (n * (n - 1)) + (yy.sum() - np.trace(yy)) / (m * (m - 1))
    return float(within - 2 * xy.mean())


@dataclass(frozen=True)
class KernelDistance:
    """``spread`` is the standard deviation over subsets, which papers print; it is no interval of the mean."""

    estimate: Estimate
    spread: float
    subsets: int
    subset_size: int


def kernel_distance(
    real: Features,
    made: Features,
    *,
    subsets: int = 100,
    subset_size: int = 1000,
    seed: int = 0,
    check: Check = _nothing,
) -> KernelDistance:
    """KID (Binkowski et al. 2018): the mean of the unbiased MMD over random subsets of both sets.

    Subsets are drawn as torch-fidelity draws them, generated first. The interval is Student's over as many blocks
    without overlap as there are groups (the B-test's estimator, Zaremba et al. 2013): unbiased, independent, and with
    no less variance than the mean over subsets.
    """
    size = min(subset_size, len(real), len(made))
    rng = np.random.RandomState(seed)
    values = []
    for _ in range(subsets):
        check()
        rows = rng.choice(len(made), size, replace=False), rng.choice(len(real), size, replace=False)
        values.append(unbiased_mmd(real[np.sort(rows[1])], made[np.sort(rows[0])]))
    groups = min(_GROUPS, len(real) // 2, len(made) // 2)
    shuffled = (
        np.random.default_rng(seed).permutation(len(real)),
        np.random.default_rng(seed + 1).permutation(len(made)),
    )
    blocks = [
        unbiased_mmd(real[np.sort(shuffled[0][g::groups])], made[np.sort(shuffled[1][g::groups])])
        for g in range(groups)
    ]
    way = f"Student, over {groups} blocks without overlap"
    return KernelDistance(of_means(blocks, float(np.mean(values)), way), float(np.std(values)), subsets, size)


def _group_sums(a: Tensor, b: Tensor, groups: tuple[int, int], sigma: float, check: Check) -> Features:
    """The sums of exp(-|x - y|^2 / 2 sigma^2) over rows of groups g::groups, float64 [groups of a, groups of b]."""
    sums = torch.zeros(groups, dtype=torch.float64, device=a.device)
    b_squared = b.square().sum(1)
    column_group = torch.arange(len(b), device=a.device) % groups[1]
    for span in spans(len(a), len(b)):
        check()
        rows = a[span]
        squared = torch.addmm(b_squared[None], rows, b.T, alpha=-2).add_(rows.square().sum(1, keepdim=True))
        kernel = squared.clamp_(min=0).mul_(-0.5 / sigma**2).exp_()
        by_column = torch.zeros((len(rows), groups[1]), dtype=torch.float64, device=a.device)
        by_column.index_add_(1, column_group, kernel)
        sums.index_add_(0, torch.arange(span.start, span.stop, device=a.device) % groups[0], by_column)
    return sums.cpu().numpy()


def cmmd(real: Features, made: Features, device: torch.device = CPU, check: Check = _nothing) -> Estimate:
    """1000 times the biased squared MMD of embeddings float [N,D], [M,D] made unit length, Gaussian kernel of sigma 10
    (Jayasumana et al. 2024, *Rethinking FID*, section 5 and its published code).

    Sums over groups of pairs are kept, so that the jackknife costs no further pass.
    """
    device = exact_device(device)
    x, y = (rows / rows.norm(dim=1, keepdim=True) for rows in (load(real, device), load(made, device)))
    g = min(_GROUPS, len(made) // 2)
    xx = float(_group_sums(x, x, (1, 1), CMMD_SIGMA, check)[0, 0]) / len(x) ** 2
    xy = _group_sums(x, y, (1, g), CMMD_SIGMA, check)[0]
    yy = _group_sums(y, y, (g, g), CMMD_SIGMA, check)
    sizes = np.bincount(np.arange(len(y)) % g)

    def without(group: int | None) -> float:
        gone = np.zeros(g) if group is None else np.eye(g)[group]
        keep = 1 - gone
        count = float(sizes @ keep)
        return xx + float(keep @ yy @ keep) / count**2 - 2 * float(xy @ keep) / (len(x) * count)

    return jackknife(without(None), [without(group) for group in range(g)], (0.0, math.inf)).times(CMMD_SCALE)
