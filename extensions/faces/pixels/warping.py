"""Faces into the shape of others: smooth warps that take landmarks to landmarks (thin plates, Bookstein 1989)."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import RBFInterpolator

from extensions.faces.finding.face import Face, similarity

Pixels = NDArray[np.uint8]
RIGID = ("left pupil", "right pupil", "nose", "left jaw", "right jaw")
"""What an expression does not move: pupils and ears stay, the chin goes with the jaw."""
SHAPE = (*RIGID, "chin", "left lower jaw", "right lower jaw")
"""What a face's shape is, whatever it expresses."""
_EYES = tuple(f"{s} eye {p}" for s in ("left", "right") for p in ("top", "bottom")) + tuple(
    f"{s} brow {p}" for s in ("left", "right") for p in ("outer", "middle", "inner")
)
_MOUTH = ("mouth left", "mouth right")
_GRID = 48
_SMOOTHING = 0.5


def into_place(source: Pixels, theirs: Face, ours: Face, size: tuple[int, int]) -> Pixels:
    """The other picture, warped so that its face has the place and shape of ``ours``, and its own expression.

    uint8 [H,W,3], or [H,W] of a mask, of ``size``.
    """
    goal, start = (np.array([face.landmarks[n] for n in SHAPE]) for face in (ours, theirs))
    turn, shift = similarity(goal, start)
    # Thin plates over the similarity: far from the face nothing but that is left.
    rest = start - (goal @ turn.T + shift)
    return _remapped(source, goal, rest, size, turn, shift)


def moved(picture: Pixels, points: NDArray[np.float64], shifts: NDArray[np.float64]) -> Pixels:
    """The picture with what is at ``points`` [N,2] moved by ``shifts`` [N,2], and all between them smoothly."""
    size = (picture.shape[1], picture.shape[0])
    return _remapped(picture, points + shifts, -shifts, size, np.eye(2), np.zeros(2))


def expression_shifts(
    ours: Face, theirs: Face, *, eyes: bool, mouth: bool, strength: float
) -> tuple[Mapping[str, NDArray[np.float64]], float]:
    """How far each landmark of ``ours`` moves to have the other's expression, and the gap of the lips then, in pixels.

    Both are compared where what no expression moves lies on one another.
    """
    turn, shift = similarity(*(np.array([face.landmarks[n] for n in RIGID]) for face in (theirs, ours)))
    mapped = {name: turn @ np.array(place) + shift for name, place in theirs.landmarks.items()}
    names = (_EYES if eyes else ()) + (_MOUTH if mouth else ())
    shifts = {name: strength * (mapped[name] - ours.point(name)) for name in names}
    own, other = (
        float(np.linalg.norm(np.array(marks["lower lip"]) - np.array(marks["upper lip"])))
        for marks in (ours.landmarks, mapped)
    )
    return shifts, max(0.0, own + strength * (other - own)) if mouth else own


def still_points(face: Face) -> NDArray[np.float64]:
    """Points [N,2] that stay where they are: what no expression moves, and a ring about the face."""
    left, top, right, bottom = face.box
    x, y = (left + right) / 2, (top + bottom) / 2
    turns = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    ring = np.stack([x + 0.75 * face.width * np.cos(turns), y + 0.75 * face.height * np.sin(turns)], 1)
    return np.concatenate([ring, np.array([face.landmarks[n] for n in RIGID])])


def _remapped(
    picture: Pixels,
    points: NDArray[np.float64],
    rest: NDArray[np.float64],
    size: tuple[int, int],
    turn: NDArray[np.float64],
    shift: NDArray[np.float64],
) -> Pixels:
    width, height = size
    points, rest = _apart(points, rest)
    plates = RBFInterpolator(points, rest, kernel="thin_plate_spline", smoothing=_SMOOTHING, degree=1)
    low, high = points.min(0), points.max(0)
    reach = np.maximum(high - low, 1) * 0.25
    low, high = low - reach, high + reach
    xs, ys = np.linspace(low[0], high[0], _GRID), np.linspace(low[1], high[1], _GRID)
    grid = np.stack(np.meshgrid(xs, ys), -1)
    field = plates(grid.reshape(-1, 2)).reshape(_GRID, _GRID, 2)
    # Falls to nothing at the edge of the grid, so that the warp has no seam there.
    edge = np.minimum.outer(_hill(_GRID), _hill(_GRID))
    field = (field * edge[..., None]).astype(np.float32)
    yy, xx = np.mgrid[:height, :width].astype(np.float32)
    at_x = ((xx - low[0]) / (high[0] - low[0]) * (_GRID - 1)).astype(np.float32)
    at_y = ((yy - low[1]) / (high[1] - low[1]) * (_GRID - 1)).astype(np.float32)
    fine = cv2.remap(field, at_x, at_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    from_x = turn[0, 0] * xx + turn[0, 1] * yy + shift[0] + fine[..., 0]
    from_y = turn[1, 0] * xx + turn[1, 1] * yy + shift[1] + fine[..., 1]
    maps = from_x.astype(np.float32), from_y.astype(np.float32)
    return np.asarray(cv2.remap(picture, *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.uint8)


def _apart(points: NDArray[np.float64], rest: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """One of points that lie on one another, as lips that are closed: two would tear the warp."""
    kept: list[int] = []
    for i, point in enumerate(points):
        if all(np.abs(point - points[j]).max() > 0.5 for j in kept):
            kept.append(i)
    return points[kept], rest[kept]


def _hill(count: int) -> NDArray[np.float64]:
    steps = np.minimum(np.arange(count), np.arange(count)[::-1]) / (0.2 * count)
    hill: NDArray[np.float64] = np.clip(steps, 0, 1)
    return hill
