"""How a portrait moves: what the motion extractor reads -> implicit key points, and one motion taken over by another
face. NumPy alone; every formula is of LivePortrait (Guo et al. 2024, arXiv 2407.03168).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from extensions.faces.finding.face import Face

Values = NDArray[np.float64]
POINTS = 21
_BINS, _BIN_DEG, _FIRST_DEG = 66, 3.0, -97.5
"""An angle is the mean of 66 bins of three degrees, weighed by their softmax."""
_WHOLE_POINTS = (1, 2, 6, *range(11, 21))
_PARTLY = {3: (1,), 4: (1,), 5: (2,), 8: (2,), 9: (1, 2)}
"""Of an expression: key points that move with it, and coordinates of others. The rest tells one face's shape from
another's, and stays.
"""
EYE_POINTS, MOUTH_POINTS = (1, 2, 11, 13, 15, 16, 18), (6, 12, 14, 17, 19, 20)
"""Lids, gaze and brows; lips and jaw: as the published code drives them alone, with the two points of the brows."""


@dataclass(frozen=True)
class Motion:
    """One face's implicit key points, and what moves them."""

    points: Values
    """[21,3]: of the person, without pose and expression (canonical)."""
    expression: Values
    """[21,3]."""
    rotation: Values
    """[3,3], for rows: ``points @ rotation``."""
    scale: float
    shift: Values
    """[3]; its depth is not used."""

    def placed(self) -> Values:
        """[21,3]: where the key points are, ``s (x_c R + expression) + t`` (equation 2)."""
        move = self.shift * (1.0, 1.0, 0.0)
        placed: Values = self.scale * (self.points @ self.rotation + self.expression) + move
        return placed

    def turned(self, pitch: float, yaw: float, roll: float) -> Motion:
        """The head turned further by angles in degrees."""
        return replace(self, rotation=rotation_of(pitch, yaw, roll) @ self.rotation)


@dataclass(frozen=True)
class Transfer:
    """What is taken over from another face, and how."""

    relative: bool = False
    """Whether the other's change against its own rest is added, or its state replaces ours."""
    eyes: bool = True
    mouth: bool = True
    pose: bool = False


def degrees(read: NDArray[np.floating]) -> float:
    """An angle of the motion extractor: the logits of 66 bins, or degrees already. Raises ValueError."""
    flat = np.asarray(read, np.float64).reshape(-1)
    if flat.size == 1:
        return float(flat[0])
    if flat.size != _BINS:
        raise ValueError(f"expected {_BINS} bins of an angle, or degrees; got {flat.size} numbers")
    weights = np.exp(flat - flat.max())
    return float((weights * np.arange(_BINS)).sum() / weights.sum() * _BIN_DEG + _FIRST_DEG)


def rotation_of(pitch: float, yaw: float, roll: float) -> Values:
    """[3,3] for rows of points: about x, then y, then z, by angles in degrees."""
    (sx, sy, sz), (cx, cy, cz) = (f(np.radians([pitch, yaw, roll])) for f in (np.sin, np.cos))
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    turned: Values = (about_z @ about_y @ about_x).T
    return turned


def motion_of(read: Mapping[str, NDArray[np.floating]]) -> Motion:
    """What was read, by ``pitch``, ``yaw``, ``roll``, ``t``, ``exp``, ``scale`` and ``kp``. Raises ValueError."""
    sizes = {"t": 3, "exp": 3 * POINTS, "scale": 1, "kp": 3 * POINTS}
    flat = {name: np.asarray(read[name], np.float64).reshape(-1) for name in sizes}
    for name, size in sizes.items():
        if flat[name].size != size or not np.isfinite(flat[name]).all():
            raise ValueError(f"expected {size} numbers as {name}; got {flat[name].size}")
    return Motion(
        points=flat["kp"].reshape(POINTS, 3),
        expression=flat["exp"].reshape(POINTS, 3),
        rotation=rotation_of(*(degrees(read[name]) for name in ("pitch", "yaw", "roll"))),
        scale=float(flat["scale"][0]),
        shift=flat["t"],
    )


def taken_over(ours: Motion, theirs: Motion, how: Transfer, rest: Motion | None = None) -> Motion:
    """Our face with the other's expression and, where wanted, its pose.

    ``rest``: the other face at rest, from which relative motion is measured, as a film's first frame is in the paper.
    Without one, a face at rest has no expression and looks straight ahead.
    """
    calm = np.zeros_like(ours.expression) if rest is None else rest.expression
    wanted = ours.expression + theirs.expression - calm if how.relative else theirs.expression
    expression = np.where(_moved(how), wanted, ours.expression)
    if not how.pose:
        return replace(ours, expression=expression)
    if not how.relative:
        return replace(ours, expression=expression, rotation=theirs.rotation)
    if rest is None:
        return replace(ours, expression=expression, rotation=theirs.rotation @ ours.rotation)
    return replace(
        ours,
        expression=expression,
        rotation=theirs.rotation @ rest.rotation.T @ ours.rotation,
        scale=ours.scale * theirs.scale / max(rest.scale, 1e-6),
        shift=ours.shift + theirs.shift - rest.shift,
    )


def _moved(how: Transfer) -> NDArray[np.bool_]:
    """[21,3]: the coordinates of an expression that are taken over."""
    moved = np.zeros((POINTS, 3), bool)
    if how.eyes and how.mouth:
        if how.relative:
            return ~moved
        moved[list(_WHOLE_POINTS)] = True
        for point, axes in _PARTLY.items():
            moved[point, list(axes)] = True
    elif how.eyes:
        moved[list(EYE_POINTS)] = True
    elif how.mouth:
        moved[list(MOUTH_POINTS)] = True
    return moved


def lip_ratio(face: Face) -> float:
    """How far the lips are apart, as a share of the mouth's width: what the lips' network is told (section 3.3)."""
    return _share(face, "upper lip", "lower lip", "mouth left", "mouth right")


def eye_ratios(face: Face) -> tuple[float, float]:
    """How far the lids are apart, as a share of the eye's width: left and right of the picture."""
    left, right = (
        _share(face, *(f"{side} eye {name}" for name in ("top", "bottom", "outer", "inner")))
        for side in ("left", "right")
    )
    return left, right


def _share(face: Face, *names: str) -> float:
    a, b, c, d = (face.point(name) for name in names)
    return float(np.linalg.norm(a - b) / (np.linalg.norm(c - d) + 1e-6))
