"""faces.expression: brows, lids and mouth as they are in another picture, by a warp, drawn as one in latents or not."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from PIL import Image

from extensions.faces.finding.face import Face
from extensions.faces.params_mixing import ExpressionParams
from extensions.faces.pixels.laying import Laid, laid_in, taken_mask
from extensions.faces.pixels.warping import expression_shifts, moved, still_points
from extensions.faces.portraits.files import is_portrait
from extensions.faces.talking.mouth import SpeakingFace
from webui.api import Artifact, Context

from .driving import driven
from .latents import described, mixed_in_latents, wants_latents
from .mix import both_faces, by_network, compared, measured


class Expression:
    """faces.expression."""

    def run(self, params: ExpressionParams, context: Context) -> Iterator[Artifact]:
        """Artifacts: the picture; it beside both others; the numbers. Raises JobFailed where a face is not found."""
        if not context.pending(3):
            return
        picture, ours, other, theirs = both_faces(params, context)
        if is_portrait(params.network):
            result = driven(params, picture, ours, other, theirs, context)
        elif params.network.strip():
            result = by_network(params, "face", picture, ours, other, theirs, context)
        else:
            result = with_expression(picture, ours, theirs, params)
            if wants_latents(params, ours, context):
                result = self._drawn(params, picture, ours, other, theirs, result, context)
        numbers = measured(context, params.judge, {"picture": (picture, ours)}, result, ours)
        yield Artifact("image", result, index=0, seed=params.seed, title="Expression")
        beside = compared(picture, other, result, "expression of")
        yield Artifact("image", beside, index=1, title="Compared")
        yield Artifact("scalar", numbers, index=2, title="Measured")

    def _drawn(
        self,
        params: ExpressionParams,
        picture: Image.Image,
        ours: Face,
        other: Image.Image,
        theirs: Face,
        warped: Image.Image,
        context: Context,
    ) -> Image.Image:
        """The warped picture mixed with the one before, in words that have the other's expression."""
        words = params.prompt.strip() or described(context, params.judge, picture, ours, other, theirs, {"mood"})
        laid = moving(picture, warped, ours, params.eyes, params.mouth)
        return laid_in(picture, mixed_in_latents(params, picture, ours, words, laid, 1.0, context), ours, "feather")


def moving(picture: Image.Image, warped: Image.Image, face: Face, eyes: bool, mouth: bool) -> Laid:
    """What a warp did to a picture, and where a face of another expression differs: what moved, eyes and mouth."""
    size = (picture.height, picture.width)
    parts = [part for part, moves in (("eyes", eyes), ("mouth", mouth)) if moves]
    differs = (np.asarray(warped) != np.asarray(picture)).any(2).astype(np.float32)
    mask = np.maximum.reduce([differs, *(taken_mask(face, part, size) for part in parts)])
    return Laid(np.asarray(warped), mask, np.zeros_like(mask))


def with_expression(picture: Image.Image, ours: Face, theirs: Face, params: ExpressionParams) -> Image.Image:
    """Brows, lids and the mouth's corners where the other has them, and the lips as far apart."""
    shifts, gap = expression_shifts(ours, theirs, eyes=params.eyes, mouth=params.mouth, strength=params.strength)
    pixels, still = np.asarray(picture), still_points(ours)
    if shifts:
        places = np.array([ours.landmarks[name] for name in shifts])
        points = np.concatenate([places, still])
        pixels = moved(pixels, points, np.concatenate([np.array(list(shifts.values())), np.zeros_like(still)]))
    if not params.mouth:
        return Image.fromarray(pixels)
    landmarks = {n: tuple((ours.point(n) + shifts.get(n, 0)).tolist()) for n in ours.landmarks}
    try:
        speaking = SpeakingFace(pixels, Face(ours.box, ours.score, landmarks, ours.parts, ours.by))  # type: ignore[arg-type]
    except ValueError:
        return Image.fromarray(pixels)
    own = float(np.linalg.norm(ours.point("lower lip") - ours.point("upper lip")))
    if abs(gap - own) < 0.02 * ours.height:
        return Image.fromarray(pixels)
    return Image.fromarray(speaking.frame(min(1.0, gap / speaking.widest_px)))
