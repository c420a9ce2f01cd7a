"""Which pixels of a face may change: a region of its parts, grown and feathered; or what a person painted."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from extensions.faces.finding.face import Face
from extensions.faces.vocabulary import PARTS, REGIONS

Mask = NDArray[np.float32]


def region_mask(face: Face, region: str, grow_px: int = 0) -> Mask:
    """float32 [H,W] of 0 and 1: a region of ``vocabulary.REGIONS`` or one part, grown by so many pixels.

    Raises ValueError for a face without parts, KeyError for an unknown region.
    """
    if face.parts is None:
        raise ValueError("the face has no parts")
    names = REGIONS.get(region, (region,))
    mask = np.isin(face.parts, [PARTS.index(name) for name in names])
    if region == "background":
        return grown(mask.astype(np.float32), grow_px)
    near = np.zeros_like(mask)
    # Parts of this face alone: hair and clothes reach beyond its box.
    reach = (2.6 if {"hair", "clothes", "hat"} & set(names) else 1.0) * max(face.width, face.height)
    left, top = max(0, round(face.box[0] - reach)), max(0, round(face.box[1] - reach))
    near[top : max(0, round(face.box[3] + reach)), left : max(0, round(face.box[2] + reach))] = True
    return grown((mask & near).astype(np.float32), grow_px)


def grown(mask: Mask, pixels: int) -> Mask:
    """Wider by so many pixels, narrower where negative."""
    if not pixels:
        return mask
    edge = 2 * abs(pixels) + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (edge, edge))
    change = cv2.dilate if pixels > 0 else cv2.erode
    return np.asarray(change(mask, kernel), np.float32)


def feathered(mask: Mask, pixels: float) -> Mask:
    """Soft within its own edge: 0 outside of the mask, to the bit, and rising to 1 over so many pixels inside."""
    if pixels <= 0 or not mask.any():
        return mask
    inside = np.pad((mask > 0).astype(np.uint8), 1)  # the picture's edge is no edge of the mask
    inside[0], inside[-1], inside[:, 0], inside[:, -1] = inside[1], inside[-2], inside[:, 1], inside[:, -2]
    away = cv2.distanceTransform(inside, cv2.DIST_L2, 5)[1:-1, 1:-1]
    return np.asarray(mask * np.clip(away / (pixels + 1), 0, 1), np.float32)


def painted_mask(picture: Image.Image, size: tuple[int, int]) -> Mask:
    """What a person painted: white, or opaque where there is transparency, at the picture's size."""
    if picture.mode == "RGBA":
        grey = Image.composite(picture.convert("L"), Image.new("L", picture.size, 0), picture.getchannel("A"))
    else:
        grey = picture.convert("L")
    if grey.size != size:
        grey = grey.resize(size, Image.Resampling.NEAREST)
    return (np.asarray(grey) >= 128).astype(np.float32)


def reachable(face: Face, region: str, shape: tuple[int, int]) -> Mask:
    """Where a region may come to be that is not there yet: a hat on the bare head, glasses before the eyes.

    float32 [H,W] of 0 and 1, from the landmarks alone; empty for regions that come from nowhere.
    """
    canvas = np.zeros(shape, np.uint8)
    full = face.completed()
    left, right = full.point("left pupil"), full.point("right pupil")
    middle, across = (left + right) / 2, right - left
    span = max(1.0, float(np.linalg.norm(across)))
    along = across / span
    down = np.array([-along[1], along[0]])
    height = float(np.dot(full.point("chin") - middle, down))

    def oval(place: NDArray[np.float64], wide: float, high: float) -> None:
        axes = (max(1, round(wide)), max(1, round(high)))
        angle = float(np.degrees(np.arctan2(along[1], along[0])))
        cv2.ellipse(canvas, (round(float(place[0])), round(float(place[1]))), axes, angle, 0, 360, 1, -1)

    if region in ("eyes", "eye", "eyewear", "brow"):
        oval(middle + 0.05 * height * down, 1.25 * span, 0.42 * height)
    elif region in ("mouth", "beard"):
        oval(full.point("chin") - 0.42 * height * down, 1.2 * span, 0.62 * height)
    elif region == "hat":
        oval(middle - 1.05 * height * down, 1.6 * span, 0.95 * height)
    elif region == "hair":
        oval(middle - 0.1 * height * down, 2.1 * span, 1.6 * height)
        oval(middle + 1.0 * height * down, 2.1 * span, 1.1 * height)
    elif region == "clothes":
        oval(full.point("chin") + 0.9 * height * down, 2.2 * span, 1.0 * height)
    elif region in ("head", "face"):
        oval(middle + 0.05 * height * down, 1.35 * span, 1.15 * height)
        if region == "head":
            oval(middle - 0.5 * height * down, 1.9 * span, 1.4 * height)
    return canvas.astype(np.float32)
