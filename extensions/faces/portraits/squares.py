"""The square of a face that LivePortrait's networks were trained on, and the way of a drawn square back."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from extensions.faces.finding.face import Face
from extensions.faces.pixels.blending import blend
from extensions.faces.vocabulary import LANDMARKS

Pixels = NDArray[np.uint8]
Turn = NDArray[np.float64]
SQUARE_PX = 512
_OURS, _THEIRS = (2.3, 0.125), (2.2, 0.1)
"""Edge of the square in sizes of the face, and how far above its middle it lies, in edges: of the face that is moved,
turned upright; and of the one that moves it, as it stands.
"""
_RIM, _FEATHER = 0.02, 0.1
"""Of the square's edge: what is left out, and over how much it fades."""


def square_of(face: Face) -> Turn:
    """[2,3]: from the picture's pixels to a square of 512, the line from the eyes to the mouth upright."""
    eyes = (face.point("left pupil") + face.point("right pupil")) / 2
    down = (face.point("mouth left") + face.point("mouth right")) / 2 - eyes
    length = float(np.linalg.norm(down))
    return _square(face, down / length if length > 1e-3 else np.array([0.0, 1.0]), *_OURS)


def driving_square_of(face: Face) -> Turn:
    """[2,3]: as ``square_of``, without the turn: how a head is tilted is a part of its pose."""
    return _square(face, np.array([0.0, 1.0]), *_THEIRS)


def cut_square(picture: Pixels, turn: Turn) -> Pixels:
    """uint8 [512,512,3]; beyond the picture its edge goes on."""
    size = (SQUARE_PX, SQUARE_PX)
    square = cv2.warpAffine(picture, turn, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(square, np.uint8)


class Return:
    """The way back into one picture, worked out once for all frames of a film."""

    def __init__(self, picture: Pixels, turn: Turn) -> None:
        self._picture, (height, width) = picture, picture.shape[:2]
        self._turn, self._size = turn, (width, height)
        inside = np.zeros((SQUARE_PX, SQUARE_PX), np.float32)
        rim = round(_RIM * SQUARE_PX)
        inside[rim:-rim, rim:-rim] = 1
        self.mask = (cv2.warpAffine(inside, cv2.invertAffineTransform(turn), self._size) > 0.999).astype(np.float32)
        """float32 [H,W] of 0 and 1: what of the picture may change."""
        self._feather = _FEATHER * SQUARE_PX / float(np.hypot(*turn[:, 0]))

    def __call__(self, square: Pixels) -> Pixels:
        """The picture with a drawn square [S,S,3] in its place, faded in; the rest stays, to the bit."""
        back = cv2.invertAffineTransform(self._turn * (square.shape[0] / SQUARE_PX))
        whole = cv2.warpAffine(square, back, self._size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        placed = np.asarray(whole, np.uint8)
        return blend(self._picture, placed, self.mask, way="feather", feather=self._feather, match=False)


def _square(face: Face, down: Turn, sizes: float, lift: float) -> Turn:
    """About all landmarks, with ``down``, of length 1, downwards."""
    points = np.stack([face.point(name) for name in LANDMARKS])
    axes = np.stack([np.array([down[1], -down[0]]), down])
    along = points @ axes.T
    low, high = along.min(0), along.max(0)
    edge = max(float((high - low).max()) * sizes, 2.0)
    middle = (low + high) / 2 - (0.0, lift * edge)
    scale = SQUARE_PX / edge
    return np.concatenate([scale * axes, (SQUARE_PX / 2 - scale * middle)[:, None]], 1)
