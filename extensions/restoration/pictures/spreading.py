"""Beside arrays: painted colours spread over a picture, to where its lightness changes (Levin, Lischinski and
Weiss, Colorization using Optimization, 2004).

Here it is not the colours that spread but how far they are from those that are there already, and a weak pull to zero
lets them fade: what no hint reaches stays as it was.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, diags
from scipy.sparse.linalg import spsolve

from .arrays import Pixels

_HINT, _REST = 10.0, 1e-5
"""How much a hint and a place without one hold on to what they have, beside neighbours of one lightness, whose weight
is 1: a change reaches some 300 pixels. These and the next were the best of six pairs on held-out drawings.
"""
_EDGE = 0.02
"""A difference of lightness, of 0..1, that parts neighbours."""


def spread(lightness: Pixels, marked: NDArray[np.bool_], changes: Pixels) -> Pixels:
    """``changes`` float32 [H,W,C], known where ``marked`` [H,W], at every place. ``lightness``: [H,W] in 0..1."""
    height, width = lightness.shape
    places = np.arange(height * width).reshape(height, width)
    pairs = [(places[:, :-1], places[:, 1:]), (places[:-1], places[1:])]
    one = np.concatenate([first.ravel() for first, _ in pairs])
    other = np.concatenate([second.ravel() for _, second in pairs])
    flat = lightness.astype(np.float64).ravel()
    alike = np.exp(-(((flat[one] - flat[other]) / _EDGE) ** 2)) + 1e-6
    size = (flat.size, flat.size)
    joined = coo_matrix((np.r_[alike, alike], (np.r_[one, other], np.r_[other, one])), shape=size)
    held = np.where(marked.ravel(), _HINT, _REST)
    system = (diags(np.asarray(joined.sum(axis=1)).ravel() + held) - joined).tocsc()
    wanted = changes.reshape(flat.size, -1) * (held * marked.ravel())[:, None]
    found = np.asarray(spsolve(system, wanted))
    return found.reshape(changes.shape).astype(np.float32)
