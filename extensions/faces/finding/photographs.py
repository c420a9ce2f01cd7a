"""Faces in photographs by OpenCV: its cascades, which come with it, and YuNet, whose file a person brings."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from extensions.faces.vocabulary import PARTS
from webui.api import ModelError

from .drawn import distinct
from .face import Box, Face

_YUNET_POINTS = ("left pupil", "right pupil", "nose", "mouth left", "mouth right")
"""In the order of its rows: the person's right eye is on the picture's left."""
_LONG_SIDE = 1024


def find_haar(picture: Image.Image, most: int = 16) -> list[Face]:
    """Frontal faces by Viola and Jones's cascade, with eyes where its cascade sees exactly one on each side."""
    grey, scale = _grey(picture)
    folder = Path(cv2.data.haarcascades)  # type: ignore[attr-defined]
    faces = cv2.CascadeClassifier(str(folder / "haarcascade_frontalface_default.xml"))
    eyes = cv2.CascadeClassifier(str(folder / "haarcascade_eye.xml"))
    least = max(20, min(grey.shape) // 20)
    boxes, _, weights = faces.detectMultiScale3(grey, 1.1, 5, minSize=(least, least), outputRejectLevels=True)
    found: list[tuple[float, Box]] = []
    for (x, y, w, h), weight in zip(boxes, weights, strict=True):
        # The cascade's square begins above the brows' middle and is wider than the face.
        box = (x + 0.1 * w, y + 0.08 * h, x + 0.9 * w, y + 1.02 * h)
        found.append((float(1 / (1 + np.exp(-float(weight) / 4))), box))
    result = []
    for score, (left, top, right, bottom) in distinct(found)[:most]:
        pupils = _pupils(eyes, grey, (left, top, right, bottom))
        landmarks = {name: (x / scale, y / scale) for name, (x, y) in pupils.items()}
        box = (left / scale, top / scale, right / scale, bottom / scale)
        face = Face(box, score, landmarks, by="haar").completed()
        result.append(with_oval(face, picture.size))
    return result


def find_yunet(picture: Image.Image, model: Path, most: int = 16, least: float = 0.6) -> list[Face]:
    """Faces with five landmarks by YuNet (Wu et al. 2023). Raises ModelError for a file that OpenCV cannot read."""
    scale = min(1.0, _LONG_SIDE / max(picture.size))
    width, height = (max(1, round(v * scale)) for v in picture.size)
    pixels = np.asarray(picture.resize((width, height), Image.Resampling.BILINEAR))[..., ::-1]
    try:
        network = cv2.FaceDetectorYN.create(str(model), "", (width, height), least)
        _, rows = network.detect(np.ascontiguousarray(pixels))
    except cv2.error as error:
        raise ModelError(
            f"OpenCV cannot read {model.name} as YuNet: {str(error).strip().splitlines()[-1][:200]}",
            hint="Take face_detection_yunet_2023mar.onnx of OpenCV's model zoo (MIT licence).",
        ) from error
    return [] if rows is None else from_yunet(rows, scale, picture.size)[:most]


def from_yunet(rows: NDArray[np.float32], scale: float, size: tuple[int, int]) -> list[Face]:
    """YuNet's rows: x, y, width, height, five points, score; at ``scale`` of the picture -> faces, the surest first."""
    faces = []
    for row in sorted(rows.tolist(), key=lambda r: -r[14]):
        x, y, w, h = (v / scale for v in row[:4])
        points = {name: (row[4 + 2 * i] / scale, row[5 + 2 * i] / scale) for i, name in enumerate(_YUNET_POINTS)}
        face = Face((x, y, x + w, y + h), float(row[14]), points, by="yunet").completed()
        faces.append(with_oval(face, size))
    return faces


def with_oval(face: Face, size: tuple[int, int]) -> Face:
    """``face`` with an oval of skin and ovals of eyes and mouth as its parts, for whoever has no network for them."""
    from dataclasses import replace

    parts = np.zeros((size[1], size[0]), np.uint8)

    def oval(middle: NDArray[np.float64], axes: tuple[float, float], angle: float, part: str) -> None:
        centre = (round(float(middle[0])), round(float(middle[1])))
        radii = (max(1, round(axes[0])), max(1, round(axes[1])))
        cv2.ellipse(parts, centre, radii, angle, 0, 360, PARTS.index(part), -1)

    left, right = face.point("left pupil"), face.point("right pupil")
    angle = float(np.degrees(np.arctan2(*(right - left)[::-1])))
    middle = np.array([(face.box[0] + face.box[2]) / 2, (face.box[1] + face.box[3]) / 2])
    oval(middle, (face.width / 2, face.height / 2), angle, "skin")
    for side in ("left", "right"):
        oval(face.point(f"{side} pupil"), (0.14 * face.width, 0.07 * face.height), angle, "eye")
    corners = face.point("mouth left"), face.point("mouth right")
    reach = float(np.linalg.norm(corners[1] - corners[0])) / 2
    oval((corners[0] + corners[1]) / 2, (1.1 * reach, 0.07 * face.height), angle, "mouth")
    return replace(face, parts=parts)


def _grey(picture: Image.Image) -> tuple[NDArray[np.uint8], float]:
    scale = min(1.0, _LONG_SIDE / max(picture.size))
    size = tuple(max(1, round(v * scale)) for v in picture.size)
    grey = np.asarray(picture.convert("L").resize(size, Image.Resampling.BILINEAR))  # type: ignore[arg-type]
    return cv2.equalizeHist(grey), scale  # type: ignore[return-value]


def _pupils(eyes: cv2.CascadeClassifier, grey: NDArray[np.uint8], box: Box) -> dict[str, tuple[float, float]]:
    left, top = max(0, round(box[0])), max(0, round(box[1] + 0.15 * (box[3] - box[1])))
    right, bottom = round(box[2]), round(box[1] + 0.6 * (box[3] - box[1]))
    area = grey[top:bottom, left:right]
    if min(area.shape) < 12:
        return {}
    seen = [(left + x + w / 2, top + y + h / 2) for x, y, w, h in eyes.detectMultiScale(area, 1.1, 5)]
    middle = (box[0] + box[2]) / 2
    sides = [[p for p in seen if p[0] < middle], [p for p in seen if p[0] >= middle]]
    if any(len(side) != 1 for side in sides):
        return {}
    return {"left pupil": sides[0][0], "right pupil": sides[1][0]}
