"""Scratches without a network: thin lines that differ from both their sides, and holes filled from their borders."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from extensions.restoration.pictures.arrays import Pixels

Mask = NDArray[np.bool_]


def thin_lines(pixels: Pixels, strength: float) -> Mask:
    """Bright and dark lines and flecks narrower than about a fortieth of the picture: where a morphological opening or
    closing of the brightness takes more than a threshold away (top hat and black hat). bool [H,W].
    """
    grey = (pixels.mean(axis=-1) * 255).astype(np.uint8)
    grey = cv2.medianBlur(grey, 3)
    width = max(3, round(min(grey.shape) / 40)) | 1
    element = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (width, width))
    hats = [cv2.morphologyEx(grey, kind, element) for kind in (cv2.MORPH_TOPHAT, cv2.MORPH_BLACKHAT)]
    found = (np.maximum(*hats) > 90 - 70 * strength).astype(np.uint8)
    count, labels, facts, _ = cv2.connectedComponentsWithStats(found, connectivity=8)
    least = max(4, found.size // 20_000)
    kept = np.zeros(count, np.bool_)
    kept[1:] = facts[1:, cv2.CC_STAT_AREA] >= least
    return kept[labels]


def grown(mask: Mask, by_px: int) -> Mask:
    """The mask and what lies within ``by_px`` of it."""
    if by_px <= 0 or not mask.any():
        return mask
    element = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * by_px + 1, 2 * by_px + 1))
    return cv2.dilate(mask.astype(np.uint8), element).astype(np.bool_)


def filled(pixels: Pixels, mask: Mask, method: str = "telea") -> Pixels:
    """The picture with the masked places made from their surroundings: Telea 2004, or the Navier-Stokes equations
    (Bertalmio, Bertozzi and Sapiro 2001). What is not masked stays bit by bit.
    """
    if not mask.any():
        return pixels
    flag = {"telea": cv2.INPAINT_TELEA, "ns": cv2.INPAINT_NS}[method]
    radius = max(3, round(min(mask.shape) / 100))
    made = cv2.inpaint((pixels * 255).round().astype(np.uint8), mask.astype(np.uint8), radius, flag)
    return np.where(mask[..., None], made.astype(np.float32) / np.float32(255), pixels)
