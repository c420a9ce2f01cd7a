"""An edited picture into the picture it came from: colours matched, edges feathered or gradients kept.

What lies outside of the mask stays as it was, to the bit.
"""

from __future__ import annotations

import cv2
import numpy as np
import scipy.sparse
import scipy.sparse.linalg
from numpy.typing import NDArray

from .regions import Mask, feathered, grown

Pixels = NDArray[np.uint8]
_LEAST_FIT = 64
"""Fewer pixels outside of the mask tell nothing of the colours."""
_SOLVED_PX = 200_000
"""Masks with more pixels are solved at half of the sides, and again."""


def blend(before: Pixels, edited: Pixels, mask: Mask, *, way: str, feather: float, match: bool) -> Pixels:
    """uint8 [H,W,3] twice and a mask [H,W] in 0..1 -> uint8 [H,W,3].

    ``way``: "feather" mixes by the mask, softened within itself over ``feather`` pixels; "poisson" keeps the edited
    gradients and the picture's colours at the mask's edge (Perez et al. 2003); "hard" replaces.
    Raises ValueError for another way or other shapes.
    """
    if before.shape != edited.shape or mask.shape != before.shape[:2]:
        raise ValueError(f"shapes differ: picture {before.shape}, edited {edited.shape}, mask {mask.shape}")
    if not (mask > 0).any():
        return before.copy()
    source = matched(edited, before, mask) if match else edited.astype(np.float32)
    if way == "poisson":
        source = membrane(before.astype(np.float32), source, mask > 0)
        share = (mask > 0).astype(np.float32)
    elif way == "feather":
        share = feathered(mask, feather)
    elif way == "hard":
        share = mask
    else:
        raise ValueError(f"expected feather, poisson or hard; got {way!r}")
    mixed = before + share[..., None] * (source - before)
    result = mixed.round().clip(0, 255).astype(np.uint8)
    return np.where((mask > 0)[..., None], result, before)


def matched(edited: Pixels, before: Pixels, mask: Mask) -> NDArray[np.float32]:
    """``edited`` with the gain and offset of each channel that bring it nearest to ``before`` outside of the mask,
    where the edit should have changed nothing: float32 [H,W,3].
    """
    outside = grown(mask, 2) <= 0
    values = edited.astype(np.float32)
    if int(outside.sum()) < _LEAST_FIT:
        return values
    for channel in range(3):
        x, y = values[outside, channel], before[outside, channel].astype(np.float32)
        # Half of what differs most is an edit that reached beyond the mask, not a colour cast.
        away = np.abs(x - y)
        close = away <= np.median(away) + 1
        x, y = x[close], y[close]
        spread = float(x.var())
        # Flat surroundings tell an offset alone.
        gain = float(np.clip(((x - x.mean()) * (y - y.mean())).mean() / spread, 0.7, 1.4)) if spread > 25 else 1.0
        values[..., channel] = (values[..., channel] - x.mean()) * gain + y.mean()
    return values


def truly_changed(before: Pixels, edited: Pixels, mask: Mask, least: float, reach: int, match: bool = True) -> Mask:
    """The part of a mask where an edit differs from the picture by ``least`` of 255 and more, and ``reach`` pixels
    about it: what a model only drew again, a little otherwise, is left out. All of the mask where nothing differs.
    """
    if least <= 0:
        return mask
    source = matched(edited, before, mask) if match else edited.astype(np.float32)
    away = np.abs(source - before).max(2)
    edge = 2 * max(1, reach // 2) + 1
    seen = (cv2.blur(away, (edge, edge)) >= least) & (mask > 0)
    # Specks are noise.
    kernel = np.ones((edge, edge), np.uint8)
    seen = cv2.morphologyEx(seen.astype(np.uint8), cv2.MORPH_OPEN, kernel)
    if not seen.any():
        return mask
    return mask * grown(seen.astype(np.float32), reach)


def membrane(
    before: NDArray[np.float32], source: NDArray[np.float32], inside: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """``source`` plus the smooth correction that meets ``before`` around the mask: Poisson's equation with the source's
    gradients is Laplace's for the difference (Perez et al. 2003, equation 4).
    """
    around = cv2.dilate(inside.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool) & ~inside
    if not around.any():
        return source
    difference = before - source
    if int(inside.sum()) > _SOLVED_PX:
        return source + _coarse(difference, inside)
    return source + harmonic(difference, inside)


def _coarse(difference: NDArray[np.float32], inside: NDArray[np.bool_]) -> NDArray[np.float32]:
    """The correction at half of the sides: it is smooth away from the edge, where it is exact again."""
    height, width = inside.shape
    size = (max(1, width // 2), max(1, height // 2))
    known = (~inside).astype(np.float32)
    weight = cv2.resize(known, size, interpolation=cv2.INTER_AREA)
    small = cv2.resize(difference * known[..., None], size, interpolation=cv2.INTER_AREA)
    small = small / np.maximum(weight, 1e-6)[..., None]
    within = weight < 1e-6
    solved = _coarse(small, within) if int(within.sum()) > _SOLVED_PX else harmonic(small, within)
    full = cv2.resize(solved, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.where(inside[..., None], full, difference).astype(np.float32)


def harmonic(values: NDArray[np.float32], inside: NDArray[np.bool_]) -> NDArray[np.float32]:
    """``values`` [H,W,C] with what is ``inside`` replaced by the harmonic function of what is around it; nothing flows
    over the picture's own edge.
    """
    result = values.astype(np.float32).copy()
    height, width = inside.shape
    count = int(inside.sum())
    if not count:
        return result
    number = np.full(inside.shape, -1, np.int64)
    number[inside] = np.arange(count)
    rows, columns = np.nonzero(inside)
    degree, right = np.zeros(count), np.zeros((count, values.shape[2]))
    i, j = [], []
    for dy, dx in ((0, 1), (0, -1), (1, 0), (-1, 0)):
        y, x = rows + dy, columns + dx
        there = (y >= 0) & (y < height) & (x >= 0) & (x < width)
        degree += there
        own = np.nonzero(there)[0]
        y, x = y[there], x[there]
        unknown = inside[y, x]
        i.append(own[unknown])
        j.append(number[y[unknown], x[unknown]])
        np.add.at(right, own[~unknown], values[y[~unknown], x[~unknown]])
    places = np.concatenate(i), np.concatenate(j)
    neighbours = scipy.sparse.coo_matrix((-np.ones(len(places[0])), places), shape=(count, count))
    # A grain more than the degree, so that an island without surroundings is solvable too.
    matrix = (neighbours.tocsc() + scipy.sparse.diags(degree + 1e-9)).tocsc()
    solve = scipy.sparse.linalg.factorized(matrix)
    for channel in range(values.shape[2]):
        result[inside, channel] = solve(right[:, channel])
    return result
