"""Beside arrays: what time and cameras do to a picture, each with a strength in 0..1, and the same bytes for the same
seed. Training, measuring and ``restoration.degrade`` use these alone.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .arrays import Pixels, to_picture, to_pixels

NOISE_SIGMA = 0.15
"""Standard deviation at strength 1, of the range 0..1."""
BLUR_SIGMA_PX = 2.5
JPEG_WORST, JPEG_BEST = 8, 92


@dataclass(frozen=True)
class Damage:
    """How much of each, 0..1."""

    noise: float = 0.0
    jpeg: float = 0.0
    blur: float = 0.0
    fading: float = 0.0
    scratches: float = 0.0


def degrade(pixels: Pixels, damage: Damage, seed: int) -> tuple[Pixels, NDArray[np.bool_]]:
    """In the order of life: a blurred exposure with grain, a scratched and faded print, a compressed scan.

    The answer is the degraded picture and where it is scratched, bool [H,W].
    """
    random = np.random.default_rng(seed)
    made = blurred(pixels, damage.blur)
    if damage.noise > 0:
        made = made + random.standard_normal(made.shape, np.float32) * np.float32(NOISE_SIGMA * damage.noise)
    scratched = np.zeros(pixels.shape[:2], np.bool_)
    if damage.scratches > 0:
        made, scratched = with_scratches(made, damage.scratches, random)
    made = faded(np.clip(made, 0, 1), damage.fading)
    return compressed(made, damage.jpeg), scratched


def blurred(pixels: Pixels, strength: float) -> Pixels:
    """A Gaussian of ``BLUR_SIGMA_PX`` at strength 1."""
    if strength <= 0:
        return pixels
    return cv2.GaussianBlur(pixels, (0, 0), BLUR_SIGMA_PX * strength, borderType=cv2.BORDER_REFLECT_101)


def jpeg_quality(strength: float) -> int:
    """From ``JPEG_BEST`` at almost 0 to ``JPEG_WORST`` at 1."""
    return round(JPEG_BEST + (JPEG_WORST - JPEG_BEST) * strength)


def compressed(pixels: Pixels, strength: float) -> Pixels:
    """Through a JPEG with 4:2:0 colour; 0 leaves the picture as it is."""
    if strength <= 0:
        return np.clip(pixels, 0, 1)
    file = io.BytesIO()
    to_picture(pixels).save(file, "JPEG", quality=jpeg_quality(strength), subsampling=2)
    return to_pixels(Image.open(file))


def faded(pixels: Pixels, strength: float) -> Pixels:
    """Dyes go at different speeds: less contrast and colour, lifted blacks, a cast towards yellow and red."""
    if strength <= 0:
        return pixels
    grey = pixels.mean(axis=-1, keepdims=True)
    washed = grey + (pixels - grey) * np.float32(1 - 0.6 * strength)
    washed = np.float32(0.25 * strength) + washed * np.float32(1 - 0.4 * strength)
    cast = np.float32([1 + 0.08 * strength, 1.0, 1 - 0.22 * strength])
    return np.clip(washed * cast, 0, 1).astype(np.float32)


def with_scratches(pixels: Pixels, strength: float, random: np.random.Generator) -> tuple[Pixels, NDArray[np.bool_]]:
    """Bright and dark lines, creases and flecks: up to a dozen at strength 1, drawn at four times the size."""
    height, width = pixels.shape[:2]
    made = pixels.copy()
    covered = np.zeros((height, width), np.bool_)
    for _ in range(max(1, round(12 * strength))):
        alpha = _one_scratch(height, width, random)
        colour = np.float32(random.choice([0.02, 0.9, 0.97])) * np.float32([1, 1, random.uniform(0.85, 1)])
        opacity = np.float32(random.uniform(0.7, 1))
        made = made + (colour - made) * (alpha * opacity)[..., None]
        covered |= alpha > 0.15
    return made.astype(np.float32), covered


def _one_scratch(height: int, width: int, random: np.random.Generator) -> Pixels:
    """Coverage float32 [H,W] of one line, crease or fleck."""
    scale = 4
    side = max(height, width)
    large = np.zeros((height * scale, width * scale), np.uint8)
    if random.random() < 0.2:
        centre = (int(random.integers(0, width * scale)), int(random.integers(0, height * scale)))
        axes = tuple(int(a) for a in random.uniform(0.006, 0.02, 2) * side * scale + 2)
        cv2.ellipse(large, centre, axes, float(random.uniform(0, 180)), 0, 360, 255, -1)
    else:
        angle = random.choice([np.pi / 2, random.uniform(0, np.pi)]) + random.normal(0, 0.08)
        start = np.array([random.uniform(0, width), random.uniform(0, height)])
        way = np.array([np.cos(angle), np.sin(angle)]) * side * random.uniform(0.3, 1.4)
        steps = np.linspace(-0.5, 0.5, 9)[:, None]
        wobble = random.normal(0, 0.006 * side, (9, 2)).cumsum(axis=0) * random.choice([0.2, 1.0])
        points = ((start + steps * way + wobble) * scale).round().astype(np.int32)
        thick = max(1, round(random.uniform(0.004, 0.016) * side * scale))
        cv2.polylines(large, [points.reshape(-1, 1, 2)], False, 255, thick)
    return cv2.resize(large, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32) / np.float32(255)
