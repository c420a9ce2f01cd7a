"""One picture, a face in it -> frames: the lips part and the jaw follows, by a warp of the landmarks; lids fall.

What a closed mouth hides is drawn: a dark cavity with teeth and tongue. An open mouth's own inside is stretched.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from extensions.faces.finding.face import Face
from extensions.faces.vocabulary import PARTS

Pixels = NDArray[np.uint8]
Field = NDArray[np.float32]
_WIDEST, _WIDEST_OF_REACH = 0.6, 0.5
"""Gap of a wide open mouth: a share of the way from the lips to the chin, or of half of the mouth's width."""
_NEVER_CLOSED, _STILL_WIDER = 0.3, 1.15
"""A mouth that is open in the picture closes to this share and opens to that one: what it hides is not known."""
_CAVITY, _TEETH, _TONGUE = (96, 28, 38), (250, 248, 244), (222, 92, 100)


@dataclass(frozen=True)
class _Frame:
    """The mouth's own coordinates: x along it, -1..1 at its corners; y down in pixels from the line of the corners."""

    x: Field
    y: Field
    reach: float
    """Half of the mouth's width in pixels."""
    chin: float
    """The chin's y."""
    along: NDArray[np.float64]
    down: NDArray[np.float64]


class SpeakingFace:
    """A picture uint8 [H,W,3] and its face, asked for frames."""

    def __init__(self, picture: Pixels, face: Face) -> None:
        """Raises ValueError for a mouth without width."""
        self.picture, self.face = picture, face.completed()
        self._mouth = self._coordinates()
        corners = (self.face.point("mouth left") + self.face.point("mouth right")) / 2
        upper, lower = (
            float(np.dot(self.face.point(name) - corners, self._mouth.down)) for name in ("upper lip", "lower lip")
        )
        self._upper, self._open = upper, max(0.0, lower - upper)
        if self._open < 0.06 * 2 * self._mouth.reach:
            self._upper, self._open = (upper + lower) / 2, 0.0
        self._lid_colours = {side: self._lid_colour(side) for side in ("left", "right")}

    @property
    def widest_px(self) -> float:
        """The gap that an opening of 1 is."""
        widest = max(_WIDEST * (self._mouth.chin - self._upper), _WIDEST_OF_REACH * self._mouth.reach)
        return max(widest, _STILL_WIDER * self._open)

    def frame(self, opening: float, width: float = 1.0, blink: float = 0.0) -> Pixels:
        """The picture with the mouth open by 0..1, ``width`` times as wide, and the lids fallen by 0..1.

        A mouth and lids at rest give the picture back, to the bit, where its mouth is closed.
        """
        pixels = self.picture
        least = _NEVER_CLOSED * self._open
        gap = least + float(np.clip(opening, 0, 1)) * (self.widest_px - least)
        if gap > 0.25 or self._open > 0 or abs(width - 1) > 0.01:
            pixels = self._speak(pixels, gap if gap > 0.25 else 0.0, float(np.clip(width, 0.6, 1.3)))
        return self._blink(pixels, blink) if blink > 0.02 else pixels

    def _speak(self, pixels: Pixels, gap: float, width: float) -> Pixels:
        m = self._mouth
        # Within the face alone: 1 about the mouth, falling to 0 a mouth's width away.
        near = np.clip(2.2 - np.hypot(m.x, (m.y - 0.5 * m.chin) / max(m.chin, 1.0)), 0, 1)
        x = m.x / (1 + (width - 1) * near)
        profile = np.clip(1 - x**2, 0, None)
        up, was = self._upper * profile, self._open * profile**0.7
        now = gap * profile**0.7
        up_now = up - 0.15 * (now - was)
        low_now = up_now + now
        jaw = np.clip((m.y - low_now) / max(m.chin - self._upper, 1.0), 0, 2)
        # The jaw moves whole below the lips, and carries cheeks with it that are wider than the mouth.
        carried = np.clip(1 - (x / (1 + 0.8 * np.clip(jaw, 0, 1))) ** 2, 0, 1)
        moved = (low_now - (up + was)) * np.where(profile > 0, 1.0, 0.0)
        below = moved + (carried - profile) * (gap - self._open) * 0.85 * np.clip(jaw, 0, 1)
        fall = np.where(jaw < 1, 1 - 0.55 * jaw, np.clip(0.45 - 0.9 * (jaw - 1), 0, 1))
        y = np.where(m.y > low_now, m.y - below * fall, m.y)
        lifted = np.clip(1 - (up_now - m.y) / max(0.8 * m.reach, 1.0), 0, 1)
        y = np.where(m.y < up_now, m.y + (up - up_now) * lifted, y)
        inside = (m.y >= up_now) & (m.y <= low_now) & (profile > 0)
        stretched = up + (m.y - up_now) * was / np.maximum(now, 1e-3)
        y = np.where(inside, stretched, y)
        grid_x, grid_y = self._pixels_of(x, y)
        warped = cv2.remap(pixels, grid_x, grid_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        if gap > 0 and self._open == 0:
            warped = self._fill(warped, x, up_now, now)
        still = (np.abs(x - m.x) < 1e-4) & (np.abs(y - m.y) < 1e-3) & ~inside
        return np.where(still[..., None], pixels, warped).astype(np.uint8)

    def _fill(self, pixels: Pixels, x: Field, top: Field, gap: Field) -> Pixels:
        """Cavity, teeth and tongue between the lips, with soft edges of a pixel."""
        m = self._mouth
        share = np.clip((m.y - top) / np.maximum(gap, 1e-3), 0, 1)
        cover = np.clip(np.minimum(m.y - top, top + gap - m.y) + 0.5, 0, 1) * (np.abs(x) < 1) * np.clip(gap, 0, 1)
        colour = np.empty((*x.shape, 3), np.float32)
        colour[:] = _CAVITY
        open_px = np.clip(gap / max(0.16 * m.reach, 1.0) - 1, 0, 1)[..., None]
        teeth = (np.clip((0.26 - share) * 8, 0, 1) * np.clip((0.62 - np.abs(x)) * 8, 0, 1))[..., None]
        tongue = (np.clip((share - 0.66) * 6, 0, 1) * np.clip((0.5 - np.abs(x)) * 6, 0, 1))[..., None]
        colour += open_px * teeth * (np.array(_TEETH, np.float32) - colour)
        colour += open_px * 0.8 * tongue * (np.array(_TONGUE, np.float32) - colour)
        mixed = pixels + cover[..., None] * (colour - pixels)
        return mixed.round().clip(0, 255).astype(np.uint8)

    def _blink(self, pixels: Pixels, blink: float) -> Pixels:
        result = pixels.astype(np.float32)
        for side in ("left", "right"):
            colour = self._lid_colours[side]
            if colour is None:
                continue
            outer, inner = self.face.point(f"{side} eye outer"), self.face.point(f"{side} eye inner")
            top, bottom = self.face.point(f"{side} eye top"), self.face.point(f"{side} eye bottom")
            middle, half = (outer + inner) / 2, max(1.0, float(np.linalg.norm(outer - inner)) / 2)
            down = self._mouth.down
            high, low = (float(np.dot(p - middle, down)) for p in (top, bottom))
            if low - high < 0.25 * half:
                continue  # closed already
            yy, xx = np.mgrid[: pixels.shape[0], : pixels.shape[1]].astype(np.float32)
            u = ((xx - middle[0]) * self._mouth.along[0] + (yy - middle[1]) * self._mouth.along[1]) / (1.08 * half)
            v = (xx - middle[0]) * down[0] + (yy - middle[1]) * down[1]
            arc = np.sqrt(np.clip(1 - u**2, 0, 1))
            edge_top, edge_low = (high - 0.08 * half) * arc, (low + 0.08 * half) * arc
            lid = edge_top + blink * (edge_low - edge_top)
            cover = np.clip(lid - v + 0.5, 0, 1) * np.clip(v - edge_top + 1, 0, 1) * (np.abs(u) < 1)
            line = np.clip(1.2 - np.abs(v - lid) / max(0.6, 0.11 * half), 0, 1) * (np.abs(u) < 1) * min(1.0, 2 * blink)
            result += cover[..., None] * (colour - result)
            result += line[..., None] * (0.25 * colour - result)
        return result.round().clip(0, 255).astype(np.uint8)

    def _lid_colour(self, side: str) -> NDArray[np.float32] | None:
        """The skin about the eye; None behind sunglasses, where nothing of an eye is seen."""
        face, (height, width) = self.face, self.picture.shape[:2]
        pupil = face.point(f"{side} pupil")
        reach = max(2.0, float(np.linalg.norm(face.point(f"{side} eye outer") - face.point(f"{side} eye inner"))))
        top, left = max(0, int(pupil[1] - 0.5 * reach)), max(0, int(pupil[0] - reach))
        rows, columns = slice(top, int(pupil[1] + 1.6 * reach)), slice(left, int(pupil[0] + reach))
        if face.parts is not None:
            x, y = (int(v) for v in pupil)
            centre = face.parts[max(0, y - 2) : y + 3, max(0, x - 2) : x + 3]
            if centre.size and (centre == PARTS.index("eyewear")).mean() > 0.5:
                return None
            skin = self.picture[rows, columns][face.parts[rows, columns] == PARTS.index("skin")]
            if len(skin) >= 8:
                return np.median(skin, 0).astype(np.float32)
        between = 0.6 * face.point("nose") + 0.4 * face.point(f"{side} eye bottom")
        x, y = int(between[0]), int(between[1])
        if not (0 <= x < width and 0 <= y < height):
            return None
        return self.picture[y, x].astype(np.float32)

    def _coordinates(self) -> _Frame:
        left, right = self.face.point("mouth left"), self.face.point("mouth right")
        reach = float(np.linalg.norm(right - left)) / 2
        if reach < 1.5:
            raise ValueError("the mouth is narrower than three pixels")
        along = (right - left) / (2 * reach)
        down = np.array([-along[1], along[0]])
        middle = (left + right) / 2
        yy, xx = np.mgrid[: self.picture.shape[0], : self.picture.shape[1]].astype(np.float32)
        x = ((xx - middle[0]) * along[0] + (yy - middle[1]) * along[1]) / reach
        y = (xx - middle[0]) * down[0] + (yy - middle[1]) * down[1]
        chin = max(float(np.dot(self.face.point("chin") - middle, down)), 0.5 * reach)
        self._middle = middle
        return _Frame(x.astype(np.float32), y.astype(np.float32), reach, chin, along, down)

    def _pixels_of(self, x: Field, y: Field) -> tuple[Field, Field]:
        """Mouth coordinates -> pixel coordinates for ``cv2.remap``."""
        m = self._mouth
        px = self._middle[0] + x * m.reach * m.along[0] + y * m.down[0]
        py = self._middle[1] + x * m.reach * m.along[1] + y * m.down[1]
        return px.astype(np.float32), py.astype(np.float32)
