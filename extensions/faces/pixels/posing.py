"""A face in another pose: turned and raised by depth within its outline, tilted whole; what is behind it stays.

A face is taken for the front of an ellipsoid: where it turns, features move across the outline by their depth. Ears and
hair beside the outline know nothing of that, so turns are for small angles.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from extensions.faces.finding.face import Face
from extensions.faces.vocabulary import PARTS

from .regions import Mask, grown, region_mask
from .warping import Pixels

_NOSE, _NOSE_REACH = 0.2, 0.25
"""How much further the nose stands out than the ellipsoid, and how wide it is, as shares of the face."""
_BRIM = (0.12, 0.35)
"""How far below a hat a face is held by it, aside and up or down, as shares of the way from the ears to the chin."""
_FILLED_PX = 512
"""What is behind a head is made up at no more than this edge: it is smooth."""
_LEFT_OVER, _OTHERWISE = 0.1, 40.0
"""How far from a head its left-overs lie, as a share of the face's height, and by how many grey levels they differ."""
_BELOW = [PARTS.index(name) for name in ("neck", "clothes")]
_AROUND = [PARTS.index(name) for name in ("hair", "hat", "neck", "clothes")]
_CROWN, _BENT = 0.3, 1.8
"""How far a head reaches above the face, in shares of it, and a picture bends about the head, in shares of that."""
_PIVOT = 0.1
"""Below the chin, as a share of the way from the ears to it: where a head sits on its neck."""


@dataclass(frozen=True)
class Pose:
    """Against the picture's own pose, in degrees."""

    tilt: float = 0.0
    """To the picture's right shoulder."""
    turn: float = 0.0
    """To the picture's right."""
    raised: float = 0.0
    """Looking up."""


@dataclass(frozen=True)
class _Head:
    """The outline's own coordinates: an ellipse about the middle between the ears, with its low end at the chin."""

    middle: NDArray[np.float64]
    along: NDArray[np.float64]
    down: NDArray[np.float64]
    wide: float
    high: float
    nose: NDArray[np.float64]
    """In these coordinates, each axis in shares of the ellipse's."""


def posed(picture: Pixels, face: Face, pose: Pose) -> Pixels:
    """uint8 [H,W,3] -> the same with the head in another pose; what neither shows nor showed it stays to the bit.

    Raises ValueError for a face without extent.
    """
    result = picture
    if pose.turn or pose.raised:
        result = _turned(result, face, pose)
    return _tilted(result, face, pose.tilt) if pose.tilt else result


def head_mask(face: Face, shape: tuple[int, int]) -> Mask:
    """What moves with a head, float32 [H,W] of 0 and 1: hair, hat and what is worn above the chin with the face."""
    mask = region_mask(face, "head")
    worn = face.parts == PARTS.index("accessory")
    head = _head_of(face)
    _, below = _coordinates(head, shape)
    return np.where(worn & (below > 0.9), 0, mask).astype(np.float32)


def _turned(picture: Pixels, face: Face, pose: Pose) -> Pixels:
    head, shape = _head_of(face), (picture.shape[0], picture.shape[1])
    x, y = _coordinates(head, shape)
    reach = np.array([np.sin(np.radians(pose.turn)), -np.sin(np.radians(pose.raised))])
    nose_x, nose_y = head.nose + (1 - np.square(head.nose).sum()) * reach
    nose = 1 + _NOSE * np.exp(-((x - nose_x) ** 2 + (y - nose_y) ** 2) / _NOSE_REACH**2)
    aside = head.wide * reach[0] * _depth(x, y) * nose * _below_hats(face, _BRIM[0] * head.high, shape)
    down = head.high * reach[1] * _depth(y, x) * nose * _below_hats(face, _BRIM[1] * head.high, shape)
    grid_y, grid_x = np.mgrid[: shape[0], : shape[1]]
    from_x = grid_x - aside * head.along[0] - down * head.down[0]
    from_y = grid_y - aside * head.along[1] - down * head.down[1]
    maps = from_x.astype(np.float32), from_y.astype(np.float32)
    warped = cv2.remap(picture, *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.where(((aside != 0) | (down != 0))[..., None], warped, picture)


def _depth(over: NDArray[np.float64], across: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far the face stands out, 0..1: round in the direction that it turns ``over``, and flat ``across``, so that a
    mouth is not sheared; nothing outside of the outline.
    """
    width = np.clip(1 - across**2, 1e-6, None)
    return np.clip(1 - over**2 / width, 0, None) * np.clip(1 - across**10, 0, None)


def _below_hats(face: Face, reach_px: float, shape: tuple[int, int]) -> NDArray[np.float64] | float:
    """0 on a hat, which stays in its shape, rising to 1 below it."""
    if face.parts is None or not (face.parts == PARTS.index("hat")).any():
        return 1.0
    away = cv2.distanceTransform((face.parts != PARTS.index("hat")).astype(np.uint8), cv2.DIST_L2, 5)
    return np.clip(away / reach_px, 0, 1).astype(np.float64)


def _tilted(picture: Pixels, face: Face, degrees: float) -> Pixels:
    """The head as a layer of its own, about the neck; what it covered is made up of what is around it."""
    head, (height, width) = _head_of(face), picture.shape[:2]
    if face.parts is None or not np.isin(face.parts, _AROUND).any():
        return _bent(picture, head, degrees)
    mask = grown(_whole_head(picture, face), max(1, round(face.height / 90)))
    matrix = cv2.getRotationMatrix2D(_pivot(head), -degrees, 1.0)
    moved = cv2.warpAffine(picture, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    shown = cv2.warpAffine(mask, matrix, (width, height), flags=cv2.INTER_LINEAR)
    ground = np.where(mask[..., None] > 0, _made_up(picture, grown(mask, 1)), picture)
    result = ground + shown[..., None] * (moved.astype(np.float32) - ground)
    return np.where(((mask > 0) | (shown > 0))[..., None], result.round().clip(0, 255).astype(np.uint8), picture)


def _whole_head(picture: Pixels, face: Face) -> Mask:
    """``head_mask`` with what a network left of hair and hats beside it: it is not as what is around would go on."""
    mask = head_mask(face, (picture.shape[0], picture.shape[1]))
    reach = grown(mask, max(2, round(_LEFT_OVER * face.height)))
    others = np.isin(face.parts, _BELOW)
    beside = (reach > 0) & (mask == 0) & ~others
    differs = np.abs(picture.astype(np.float32) - _made_up(picture, np.where(others, 0, reach))).max(2) > _OTHERWISE
    return np.maximum(mask, _inner(beside & differs, reach))


def _inner(some: NDArray[np.bool_], reach: Mask) -> Mask:
    """The connected ones of ``some`` that end within ``reach``: what goes on beyond is a thing of its own."""
    _, labels = cv2.connectedComponents(some.astype(np.uint8))
    rim = (grown(reach, -1) <= 0) & (reach > 0)
    beyond = np.unique(labels[rim])
    return (some & ~np.isin(labels, beyond[beyond > 0])).astype(np.float32)


def _bent(picture: Pixels, head: _Head, degrees: float) -> Pixels:
    """Where nobody told face and hair from what is behind them: all about the head turns with it, less and less."""
    x, y = _coordinates(head, (picture.shape[0], picture.shape[1]))
    away = np.hypot(x, y + _CROWN) / (1 + _CROWN)
    angle = np.radians(degrees) * np.clip((_BENT - away) / (_BENT - 1), 0, 1)
    grid_y, grid_x = np.mgrid[: picture.shape[0], : picture.shape[1]]
    pivot_x, pivot_y = _pivot(head)
    out_x, out_y, cos, sin = grid_x - pivot_x, grid_y - pivot_y, np.cos(angle), np.sin(angle)
    from_x, from_y = pivot_x + cos * out_x + sin * out_y, pivot_y - sin * out_x + cos * out_y
    maps = from_x.astype(np.float32), from_y.astype(np.float32)
    warped = cv2.remap(picture, *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.where((angle != 0)[..., None], warped, picture)


def _pivot(head: _Head) -> tuple[float, float]:
    x, y = head.middle + (1 + _PIVOT) * head.high * head.down
    return float(x), float(y)


def _made_up(picture: Pixels, hidden: Mask) -> Pixels:
    """``picture`` with what is ``hidden`` drawn in from around it (Telea 2004)."""
    height, width = picture.shape[:2]
    scale = min(1.0, _FILLED_PX / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    holes = (cv2.resize(hidden, size, interpolation=cv2.INTER_LINEAR) > 0).astype(np.uint8)
    filled = cv2.inpaint(small, holes, 3, cv2.INPAINT_TELEA)
    return np.asarray(cv2.resize(filled, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def _head_of(face: Face) -> _Head:
    full = face.completed()
    left, right = full.point("left jaw"), full.point("right jaw")
    wide = float(np.linalg.norm(right - left)) / 2
    if wide < 2:
        raise ValueError("the face is narrower than four pixels")
    along = (right - left) / (2 * wide)
    down, middle = np.array([-along[1], along[0]]), (left + right) / 2
    high = float(np.dot(full.point("chin") - middle, down))
    if high < 2:
        raise ValueError("the chin is not below the ears")
    away = full.point("nose") - middle
    return _Head(middle, along, down, wide, high, np.array([np.dot(away, along) / wide, np.dot(away, down) / high]))


def _coordinates(head: _Head, shape: tuple[int, int]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """x and y of each pixel, in shares of the ellipse's axes."""
    grid_y, grid_x = np.mgrid[: shape[0], : shape[1]].astype(np.float64)
    grid_x, grid_y = grid_x - head.middle[0], grid_y - head.middle[1]
    x = (grid_x * head.along[0] + grid_y * head.along[1]) / head.wide
    y = (grid_x * head.down[0] + grid_y * head.down[1]) / head.high
    return x, y
