"""A face's surroundings: the square of a picture that another pipeline is given, and the way back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from extensions.faces.finding.face import Face


@dataclass(frozen=True)
class CutOut:
    """A square of a picture in whole pixels; it may reach beyond, where the picture's edge goes on."""

    left: int
    top: int
    side: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns within a picture that holds it."""
        return slice(self.top, self.top + self.side), slice(self.left, self.left + self.side)


def around(face: Face, size: tuple[int, int], margin: float) -> CutOut:
    """The square about a face with ``margin`` of its height beside it, inside the picture as far as it fits.

    A square that would be nearly the whole picture is the whole of its shorter side.
    """
    width, height = size
    side = max(8, round(face.height * (1 + 2 * margin)))
    shorter = min(width, height)
    if side > 0.85 * shorter:
        side = shorter if side < 1.5 * shorter else max(width, height)
    x, y = (face.box[0] + face.box[2]) / 2, (face.box[1] + face.box[3]) / 2
    left, top = round(x - side / 2), round(y - 0.48 * side)
    left = min(max(left, 0), width - side) if side <= width else (width - side) // 2
    top = min(max(top, 0), height - side) if side <= height else (height - side) // 2
    return CutOut(left, top, side)


def cut(picture: Image.Image, where: CutOut, edge: int) -> Image.Image:
    """The square at edge x edge pixels."""
    pixels = taken(np.asarray(picture), where)
    square = Image.fromarray(pixels)
    return square if edge == where.side else square.resize((edge, edge), Image.Resampling.LANCZOS)


def taken(array: NDArray[np.generic], where: CutOut) -> NDArray[np.generic]:
    """The square of an array [H,W] or [H,W,C]; its edge goes on beyond it."""
    height, width = array.shape[:2]
    rows = np.clip(np.arange(where.top, where.top + where.side), 0, height - 1)
    columns = np.clip(np.arange(where.left, where.left + where.side), 0, width - 1)
    return array[rows[:, None], columns[None]]


def put_back(picture: Image.Image, square: Image.Image, where: CutOut) -> Image.Image:
    """The picture with the square, at its own size, in its place; not blended."""
    fitted = square if square.width == where.side else square.resize((where.side,) * 2, Image.Resampling.LANCZOS)
    result = picture.copy()
    result.paste(fitted, (where.left, where.top))
    return result
