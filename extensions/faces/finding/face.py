"""What finding a face leaves: its box, landmarks and parts, and how these are written as JSON and read back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from extensions.faces.vocabulary import LANDMARKS, PARTS, USUAL

Box = tuple[float, float, float, float]
Point = tuple[float, float]
Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Face:
    """One face of a picture, all in the picture's pixels."""

    box: Box
    """Left, top, right, bottom of the head without hair and ears."""
    score: float = 1.0
    landmarks: Mapping[str, Point] = field(default_factory=dict)
    """By the names of ``vocabulary.LANDMARKS``."""
    parts: Pixels | None = None
    """uint8 [H,W] over the whole picture, counting in ``vocabulary.PARTS``; None where nothing tells them."""
    by: str = ""
    """Who found it."""
    estimated: frozenset[str] = frozenset()
    """Landmarks that were placed as they usually lie, not seen."""

    @property
    def width(self) -> float:
        return self.box[2] - self.box[0]

    @property
    def height(self) -> float:
        return self.box[3] - self.box[1]

    def point(self, name: str) -> NDArray[np.float64]:
        """(x, y) of a landmark. Raises KeyError."""
        return np.array(self.landmarks[name], np.float64)

    def completed(self) -> Face:
        """With every landmark: what is missing is placed as in a usual face, turned and scaled to the known ones."""
        missing = [name for name in LANDMARKS if name not in self.landmarks]
        if not missing:
            return self
        known = [name for name in LANDMARKS if name in self.landmarks]
        left, top, right, bottom = self.box
        corner, size = np.array([left, top]), np.array([right - left, bottom - top])
        usual = {name: corner + size * USUAL[name] for name in LANDMARKS}
        if len(known) >= 2:
            turn, shift = similarity(np.array([usual[n] for n in known]), np.array([self.landmarks[n] for n in known]))
            usual = {name: turn @ point + shift for name, point in usual.items()}
        placed = {name: (float(usual[name][0]), float(usual[name][1])) for name in missing}
        return replace(self, landmarks={**self.landmarks, **placed}, estimated=frozenset(missing))

    def told(self) -> dict[str, Any]:
        """As JSON; parts as shares of the picture."""
        row: dict[str, Any] = {"box": [round(v, 2) for v in self.box], "score": round(self.score, 4), "by": self.by}
        row["landmarks"] = {name: [round(x, 2), round(y, 2)] for name, (x, y) in self.landmarks.items()}
        if self.estimated:
            row["estimated"] = sorted(self.estimated)
        if self.parts is not None:
            shares = np.bincount(self.parts.ravel(), minlength=len(PARTS)) / self.parts.size
            row["parts"] = {name: round(float(s), 5) for name, s in zip(PARTS, shares, strict=True) if s > 0}
        return row


def read_face(row: Mapping[str, Any], size: tuple[int, int]) -> Face:
    """A face as ``told`` writes it, or less of it: a box or at least two landmarks. ``size``: the picture's.

    Raises ValueError that says what is wrong.
    """
    points = row.get("landmarks") or {}
    if not isinstance(points, Mapping):
        raise ValueError('expected landmarks as {"nose": [x, y], ...}')
    estimated = row.get("estimated") or ()
    landmarks = {str(name): _point(str(name), value, size) for name, value in points.items() if name not in estimated}
    unknown = [name for name in landmarks if name not in USUAL]
    if unknown:
        raise ValueError(f"unknown landmark {unknown[0]!r}: expected one of {', '.join(LANDMARKS)}")
    box = row.get("box")
    if box is None and len(landmarks) >= 2:
        return Face(_box_about(landmarks), landmarks=landmarks, by="given").completed()
    numbers = [_number(v) for v in box] if isinstance(box, Sequence) and not isinstance(box, str) else []
    if len(numbers) != 4:
        raise ValueError("expected a box as [left, top, right, bottom] in pixels, or two landmarks")
    left, top, right, bottom = numbers
    if not (left + 2 <= right and top + 2 <= bottom):
        raise ValueError(f"expected a box of two pixels at least; got {numbers}")
    if (
        right <= 0
        or bottom <= 0
        or left >= size[0]
        or top >= size[1]
        or max(right - left, bottom - top) > 4 * max(size)
    ):
        raise ValueError(f"the box {numbers} lies outside of the picture of {size[0]} x {size[1]}")
    return Face((left, top, right, bottom), landmarks=landmarks, by="given").completed()


def similarity(
    source: NDArray[np.float64], goal: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The turn with one scale, [2,2], and the shift [2] that bring points [N,2] nearest to others (Umeyama 1991)."""
    a, b = source - source.mean(0), goal - goal.mean(0)
    norm = max(float((a**2).sum()), 1e-9)
    c, s = float((a * b).sum()) / norm, float((a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum()) / norm
    turn = np.array([[c, -s], [s, c]])
    return turn, goal.mean(0) - turn @ source.mean(0)


def _box_about(landmarks: Mapping[str, Point]) -> Box:
    names = list(landmarks)
    turn, shift = similarity(np.array([USUAL[n] for n in names]), np.array([landmarks[n] for n in names]))
    corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) @ turn.T + shift
    (left, top), (right, bottom) = corners.min(0), corners.max(0)
    return float(left), float(top), float(right), float(bottom)


def _point(name: str, value: Any, size: tuple[int, int]) -> Point:
    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) != 2:
        raise ValueError(f"expected landmark {name!r} as [x, y]; got {value!r}")
    x, y = _number(value[0]), _number(value[1])
    if not (-size[0] <= x <= 2 * size[0] and -size[1] <= y <= 2 * size[1]):
        raise ValueError(f"landmark {name!r} at {x:g}, {y:g} lies far outside of the picture")
    return x, y


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not np.isfinite(value):
        raise ValueError(f"expected a number; got {value!r}")
    return float(value)
