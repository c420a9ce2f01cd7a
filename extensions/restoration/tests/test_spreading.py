"""Painted colours spread within what has one lightness, and fade to nothing where no hint reaches."""

from __future__ import annotations

import numpy as np

from extensions.restoration.pictures.spreading import spread


def test_a_hint_fills_its_own_side_of_an_edge() -> None:
    lightness = np.full((24, 40), 0.3, np.float32)
    lightness[:, 20:] = 0.8
    marked = np.zeros(lightness.shape, np.bool_)
    marked[10:13, 5:8] = True
    changes = np.where(marked[..., None], np.float32([0.4, -0.2]), np.float32(0))
    found = spread(lightness, marked, changes)
    assert found.shape == (24, 40, 2)
    np.testing.assert_allclose(found[marked], changes[marked], atol=0.01)
    np.testing.assert_allclose(found[:, :20], np.broadcast_to(np.float32([0.4, -0.2]), (24, 20, 2)), atol=0.02)
    assert np.abs(found[:, 21:]).max() < 0.05
    assert not spread(lightness, np.zeros_like(marked), changes).any()
