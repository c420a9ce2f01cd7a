"""A sound -> how a mouth moves with it: energy opens it, where the spectrum lies shapes it. NumPy alone.

No speech is recognised. Open vowels have a high first formant, spread lips a high second one, and hissing lies above
both (Fant 1960, as any textbook has it): the first is told by the middle of what is low, the second by where the energy
above the first lies, the third by its share of all.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Track = NDArray[np.float64]
_VOICE_HZ, _HISS_HZ = (150, 7600), (2600, 7600)
_BACK_HZ, _FRONT_HZ = (500, 1500), (1700, 3200)
"""Where the second formant lies of round and open vowels, and of spread ones."""
_FLOOR_DB = -38.0
"""Below the loudest: silence."""
_WINDOW_S = 0.06
_BLINK_S = 0.18


@dataclass(frozen=True)
class MouthTrack:
    """float64 [T] each, one a frame."""

    energy: Track
    """Root mean square, 0..1 of the loudest."""
    opening: Track
    """0 closed, 1 wide open."""
    width: Track
    """1 as at rest, less rounded, more spread."""
    blink: Track
    """0 open eyes, 1 closed."""
    visemes: tuple[str, ...]
    """rest, open, spread, round or hiss."""


def mouth_track(samples: NDArray[np.float32], rate: int, fps: int, seed: int = 0) -> MouthTrack:
    """The track of samples float32 [N] in -1..1; ``seed`` says when the eyes blink."""
    count = max(1, round(len(samples) / rate * fps))
    size = max(256, round(_WINDOW_S * rate))
    padded = np.pad(samples.astype(np.float64), size)
    window = np.hanning(size)
    middles = ((np.arange(count) + 0.5) / fps * rate).astype(int) + size
    frames = np.stack([padded[max(0, m - size // 2) : max(0, m - size // 2) + size] for m in middles])
    energy = np.sqrt((frames**2).mean(1))
    loudest = float(energy.max())
    if loudest < 1e-5:
        still = np.zeros(count)
        return MouthTrack(still, still, np.ones(count), blinks(count, fps, seed), ("rest",) * count)
    power = np.abs(np.fft.rfft(frames * window, axis=1)) ** 2
    hertz = np.fft.rfftfreq(size, 1 / rate)
    first = _centre(power, hertz, 150, 1100)
    loudness = np.clip(1 + 20 * np.log10(np.maximum(energy / loudest, 1e-6)) / -_FLOOR_DB, 0, 1)
    hiss = _within(power, hertz, _HISS_HZ) > 0.5 * _within(power, hertz, _VOICE_HZ)
    wide = np.clip((first - 350) / 450, 0, 1)
    # Loudness in dB rises too steeply for lips, amplitude too slowly: their mean moves as people's do.
    opening = (0.5 * loudness + 0.5 * energy / loudest) * (0.7 + 0.3 * wide) * np.where(hiss, 0.45, 1.0)
    opening = np.where(loudness < 0.12, 0.0, opening)
    front, back = _within(power, hertz, _FRONT_HZ), _within(power, hertz, _BACK_HZ)
    spread = front / np.maximum(front + back, 1e-12)
    width = np.where(opening > 0, 0.78 + np.maximum(0.24 * wide, 0.34 * spread**2), 1.0)
    names = []
    for i in range(count):
        if opening[i] <= 0:
            names.append("rest")
        elif hiss[i]:
            names.append("hiss")
        elif wide[i] > 0.6:
            names.append("open")
        else:
            names.append("spread" if spread[i] > 0.8 else "round")
    smoothed = _smooth(opening), _smooth(width)
    return MouthTrack(energy / loudest, *smoothed, blinks(count, fps, seed), tuple(names))


def blinks(count: int, fps: int, seed: int) -> Track:
    """Lids that fall every two to six seconds, of a seed."""
    random = np.random.RandomState(seed % 2**32)
    closed, at = np.zeros(count), random.uniform(0.4, 2.5)
    times = (np.arange(count) + 0.5) / fps
    while at < count / fps:
        closed = np.maximum(closed, np.clip(1.15 - np.abs(times - at) / (_BLINK_S / 2), 0, 1))
        at += random.uniform(2, 6)
    return closed


def correlation(a: Track, b: Track) -> float:
    """Pearson's, -1..1; 0 where one does not move."""
    a, b = a - a.mean(), b - b.mean()
    norm = float(np.sqrt((a**2).sum() * (b**2).sum()))
    return float((a * b).sum() / norm) if norm > 1e-12 else 0.0


def _within(power: NDArray[np.float64], hertz: NDArray[np.float64], band: tuple[int, int]) -> Track:
    """The energy of each frame in a band."""
    energy: Track = power[:, (hertz >= band[0]) & (hertz < band[1])].sum(1)
    return energy


def _centre(power: NDArray[np.float64], hertz: NDArray[np.float64], low: float, high: float) -> Track:
    """The mean frequency of each frame within a band."""
    inside = (hertz >= low) & (hertz < high)
    part = power[:, inside]
    centre: Track = (part * hertz[inside]).sum(1) / np.maximum(part.sum(1), 1e-12)
    return centre


def _smooth(values: Track) -> Track:
    """Over three frames: lips do not jump."""
    padded = np.pad(values, 1, mode="edge")
    smooth: Track = 0.25 * padded[:-2] + 0.5 * padded[1:-1] + 0.25 * padded[2:]
    return smooth
