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
