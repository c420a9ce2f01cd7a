"""A portrait asked for other expressions and for frames: the last station, which joins squares, motion and networks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from extensions.faces.finding.face import Face
from extensions.faces.talking.track import MouthTrack

from .motion import Motion, Transfer, eye_ratios, lip_ratio, taken_over
from .motion import Values as Points
from .network import Portrait
from .squares import Return, cut_square, driving_square_of, square_of

Pixels = NDArray[np.uint8]
_OPEN_LIPS = 0.03
"""From this ratio on a mouth is open, and closed before another's motion is added to it (the published code's)."""
_WIDEST = 0.6
"""The lips' ratio for an opening of 1."""
_SWAY_DEG, _NOD_DEG = (1.5, 2.5, 1.2), 2.0
"""How far a speaking head turns by itself (pitch, yaw, roll), and nods with the voice."""
_SWAY_HZ = (0.11, 0.19, 0.31)
_EASE_S = 0.6
"""From the picture's own pose into the movement."""


class Animated:
    """A picture uint8 [H,W,3] and its face, to be moved. Raises ModelError."""

    def __init__(self, portrait: Portrait, picture: Pixels, face: Face) -> None:
        self.portrait, self.face, self._picture = portrait, face, picture
        turn = square_of(face)
        square = cut_square(picture, turn)
        self.back = Return(picture, turn)
        self.motion = portrait.motion(square)
        self.points = self.motion.placed()
        self._volume = portrait.appearance(square)

    def drawn(self, driving: Points) -> Pixels:
        """The picture with the face's key points at [21,3], the square's edge held where it was. Raises ModelError."""
        return self._put(self.portrait.stitched(self.points, driving))

    def driven(self, theirs: Motion, how: Transfer, strength: float, rest: Motion | None = None) -> Pixels:
        """The picture with another face's expression and, where wanted, its pose. Raises ModelError."""
        driving = taken_over(self.motion, theirs, how, rest).placed()
        stitched = self.portrait.stitched(self.points, driving)
        ratio = lip_ratio(self.face)
        if how.relative and how.mouth and ratio >= _OPEN_LIPS and self.portrait.can("lips"):
            stitched = stitched + self.portrait.retargeted("lips", self.points, (ratio, 0.0))
        return self._put(self.points + strength * (stitched - self.points))

    def _put(self, driving: Points) -> Pixels:
        return self.back(self.portrait.drawn(self._volume, self.points, driving))


class SpeakingPortrait:
    """A portrait asked for frames: lips as far open as the track says, lids that fall, a head that sways a little."""

    def __init__(
        self,
        animated: Animated,
        track: MouthTrack,
        fps: int,
        *,
        strength: float,
        blinking: bool,
        sway: float,
        seed: int,
    ) -> None:
        """Raises ModelError where the folder lacks a network for lips or, with ``blinking``, for eyes."""
        animated.portrait.need("lips")
        if blinking:
            animated.portrait.need("eyes")
        self._animated, self._track = animated, track
        self._strength, self._blinking = strength, blinking
        self._turns = sway * head_turns(track, fps, seed)
        self._last: tuple[Points, Pixels] | None = None

    def frame(self, i: int) -> Pixels:
        """Frame ``i``, uint8 [H,W,3]. Raises ModelError."""
        driving = self._driving(i)
        # Without sound and sway frames are alike, and a network takes seconds for one.
        if self._last is None or np.abs(self._last[0] - driving).max() > 1e-7:
            self._last = driving, self._animated.drawn(driving)
        return self._last[1]

    def _driving(self, i: int) -> Points:
        own, portrait, face = self._animated.points, self._animated.portrait, self._animated.face
        driving = self._animated.motion.turned(*self._turns[i]).placed()
        opening = min(1.0, self._strength * float(self._track.opening[i]))
        driving = driving + portrait.retargeted("lips", own, (lip_ratio(face), _WIDEST * opening))
        blink = float(self._track.blink[i]) if self._blinking else 0.0
        if blink > 0:
            left, right = eye_ratios(face)
            driving = driving + portrait.retargeted("eyes", own, (left, right, (1 - blink) * (left + right) / 2))
        return driving


def head_turns(track: MouthTrack, fps: int, seed: int) -> Points:
    """float64 [T,3], degrees of pitch, yaw and roll: slow waves of a seed, and a nod with the voice's energy.

    The first frame is the picture's own pose.
    """
    count = len(track.energy)
    times = np.arange(count) / fps
    random = np.random.RandomState(seed % 2**32)
    turns = np.zeros((count, 3))
    for axis, reach in enumerate(_SWAY_DEG):
        for hertz in _SWAY_HZ:
            phase, share = random.uniform(0, 2 * np.pi), random.uniform(0.5, 1.0) / len(_SWAY_HZ)
            turns[:, axis] += share * reach * np.sin(2 * np.pi * hertz * times + phase)
    width = max(1, round(0.4 * fps))
    window = np.hanning(width + 2)[1:-1]
    turns[:, 0] += _NOD_DEG * np.convolve(track.energy, window / window.sum(), "full")[width // 2 :][:count]
    ease = np.clip(times / _EASE_S, 0, 1)
    return turns * (ease * ease * (3 - 2 * ease))[:, None]


def driving_motion(portrait: Portrait, picture: Pixels, face: Face) -> Motion:
    """The motion of the face that moves another. Raises ModelError."""
    return portrait.motion(cut_square(picture, driving_square_of(face)))
