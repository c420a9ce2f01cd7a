"""faces.swap and faces.expression: what of one face is taken into another, by warps of their landmarks."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from extensions.faces.backends.running import FaceNetwork
from extensions.faces.backends.supplied import accepted
from extensions.faces.finding.choosing import the_face
from extensions.faces.finding.face import Face
from extensions.faces.judging.judge import likeness, read_all
from extensions.faces.params_mixing import ExpressionParams, SwapParams
from extensions.faces.pixels.blending import blend
from extensions.faces.pixels.cutting import around, cut, put_back
from extensions.faces.pixels.regions import Mask, grown, reachable, region_mask
from extensions.faces.pixels.sheets import row_of
from extensions.faces.pixels.warping import expression_shifts, into_place, moved, still_points
from extensions.faces.portraits.files import is_portrait
from extensions.faces.talking.mouth import SpeakingFace
from webui.api import Artifact, Context, FieldError, JobFailed, ModelUse, ParameterError

from .driving import driven
from .within import changed, own_edge, run_within

_MARGIN = 0.55
_BRIGHTEST, _OTHER_COLOUR = 1.2, 40.0
"""Of skin: how much brighter than usual it still is, and how many grey levels of another hue make it none."""


def both_faces(params: SwapParams | ExpressionParams, context: Context) -> tuple[Image.Image, Face, Image.Image, Face]:
    """The picture and its face, the other picture and its face."""
    picture = context.open_image(params.image).convert("RGB")
    other = context.open_image(params.source).convert("RGB")
    ours = the_face(params, picture, context).completed()
    asked = params.model_copy(update={"faces": params.source_faces, "face": params.source_face})
    return picture, ours, other, the_face(asked, other, context).completed()


def measured(
    context: Context, judge: str, pictures: Mapping[str, tuple[Image.Image, Face]], result: Image.Image, face: Face
) -> dict[str, float]:
    """How alike the result's face is to each of others."""
    views = [cut(p, around(f, p.size, _MARGIN), 256) for p, f in (*pictures.values(), (result, face))]
    read, _ = read_all(context, judge, views)
    return {f"likeness_to_{n}": round(likeness(one, read[-1]), 4) for n, one in zip(pictures, read[:-1], strict=True)}


class Swap:
    """faces.swap."""

    def run(self, params: SwapParams, context: Context) -> Iterator[Artifact]:
        """Artifacts: the picture; it beside both others; the numbers. Raises JobFailed where a face is not found."""
        if not context.pending(3):
            return
        picture, ours, other, theirs = both_faces(params, context)
        if params.network.strip():
            result = by_network(params, params.parts, picture, ours, other, theirs, context)
        elif params.swapper.strip():
            result = self._by_other(params, context)
        else:
            result = swapped(picture, ours, other, theirs, params)
            if params.refine > 0:
                result = self._drawn_over(params, result, ours, context)
        numbers: dict[str, Any] = {
            **measured(context, params.judge, {"source": (other, theirs), "picture": (picture, ours)}, result, ours),
            "changed_share": round(float((np.asarray(result) != np.asarray(picture)).any(2).mean()), 5),
        }
        yield Artifact("image", result, index=0, seed=params.seed, title="Swapped")
        beside = row_of([picture, _fitted(other, picture.size), result], ["picture", "taken from", "result"])
        yield Artifact("image", beside, index=1, seed=params.seed, title="Compared")
        yield Artifact("scalar", numbers, index=2, title="Measured")

    def _by_other(self, params: SwapParams, context: Context) -> Image.Image:
        """By another extension's pipeline, which takes ``image`` and ``source``."""
        spec = context.pipelines.get(params.swapper)
        if spec is None or spec.outputs != "image":
            raise ParameterError([FieldError("swapper", "expected a pipeline that makes a picture", params.swapper)])
        given: dict[str, Any] = {"image": params.image, "source": params.source}
        if spec.needs_consent:
            given["consent"] = params.consent
        made = [one for one in run_within(context, params.swapper, given) if one.kind == "image"]
        if not made:
            raise JobFailed(f"{params.swapper} made no picture.")
        result: Image.Image = made[0].data
        return result.convert("RGB")

    def _drawn_over(self, params: SwapParams, picture: Image.Image, face: Face, context: Context) -> Image.Image:
        where = around(face, picture.size, _MARGIN)
        pipeline, told = "diffusion.img2img", {"strength": params.refine}
        edge = own_edge(context, pipeline, told, where.side)
        square = cut(picture, where, edge)
        made = changed(context, pipeline, told, square, prompt=params.prompt, seed=params.seed)
        mask = taken_mask(face, params.parts, (picture.height, picture.width))
        pixels = blend(
            np.asarray(picture),
            np.asarray(put_back(picture, made, where)),
            mask,
            way="feather",
            feather=0.04 * face.height,
            match=True,
        )
        return Image.fromarray(pixels)


def by_network(
    params: SwapParams | ExpressionParams,
    parts: str,
    picture: Image.Image,
    ours: Face,
    other: Image.Image,
    theirs: Face,
    context: Context,
) -> Image.Image:
    """By the network that the person supplied, blended in. Raises ParameterError that shows its licence, ModelError."""
    one = accepted(params.network.strip(), params.licence, context.folders("faces"))
    context.use_model(ModelUse(ref=one.name, sha256=_sha256(one.path)))
    before = np.asarray(picture)
    placed, inside = FaceNetwork(one).placed(before, ours, np.asarray(other), theirs)
    mask = taken_mask(ours, parts, before.shape[:2]) * inside
    if not mask.any():
        raise JobFailed("Nothing of the face is in sight.")
    made = blend(before, placed, mask, way="feather", feather=0.06 * ours.height, match=False)
    strength = min(1.0, params.strength)
    return Image.fromarray(
        (before + strength * (made.astype(np.float32) - before)).round().clip(0, 255).astype(np.uint8)
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def taken_mask(face: Face, parts: str, shape: tuple[int, int]) -> Mask:
    """What of our picture is replaced. Raises JobFailed for a face without parts."""
    try:
        if parts == "face":
            return grown(region_mask(face, "face"), -max(1, round(face.height / 60)))
        if parts == "features":
            eyes, mouth = reachable(face, "eyes", shape), reachable(face, "mouth", shape)
            return np.maximum(eyes, mouth) * region_mask(face, "face")
        return reachable(face, parts, shape) * region_mask(face, "face")
    except ValueError as error:
        raise JobFailed(f"What of the picture is the face is not known: {error}") from None


def swapped(picture: Image.Image, ours: Face, other: Image.Image, theirs: Face, params: SwapParams) -> Image.Image:
    """The other face, in the place and shape of ours, blended in."""
    before = np.asarray(picture)
    placed = into_place(np.asarray(other), theirs, ours, picture.size)
    mask = taken_mask(ours, params.parts, before.shape[:2])
    if theirs.parts is not None:
        # Where the other one has hair or nothing, ours stays.
        face = (255 * region_mask(theirs, "face")).astype(np.uint8)
        mask = mask * (into_place(face, theirs, ours, picture.size) >= 128)
    if not mask.any():
        raise JobFailed("Nothing of the face is in sight.")
    if params.match_colours:
        placed = toned(placed, before, mask)
    result = blend(before, placed, mask, way=params.blend, feather=0.06 * ours.height, match=False)
    mixed = before + params.strength * (result.astype(np.float32) - before)
    return Image.fromarray(mixed.round().clip(0, 255).astype(np.uint8))


def toned(source: np.ndarray, goal: np.ndarray, mask: Mask) -> np.ndarray:
    """``source`` with the median colour that ``goal`` has under the mask: skin is most of a face.

    Skin in shadow is the same colour, darker, and moves by as much less; what has another colour (brows, beard, lips,
    the whites of eyes) stays as it is.
    """
    inside = mask > 0
    values = source.astype(np.float32)
    skin, wanted = (np.median(pixels[inside], 0).astype(np.float32) for pixels in (source, goal))
    share = values @ skin / max(float(skin @ skin), 1.0)
    away = np.linalg.norm(values - share[..., None] * skin, axis=2)
    weight = share.clip(0, _BRIGHTEST) * np.exp(-np.square(away / _OTHER_COLOUR))
    values += weight[..., None] * (wanted - skin)
    return values.round().clip(0, 255).astype(np.uint8)


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
        numbers = measured(context, params.judge, {"picture": (picture, ours)}, result, ours)
        yield Artifact("image", result, index=0, title="Expression")
        beside = row_of([picture, _fitted(other, picture.size), result], ["picture", "expression of", "result"])
        yield Artifact("image", beside, index=1, title="Compared")
        yield Artifact("scalar", numbers, index=2, title="Measured")


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


def _fitted(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Whole on a white sheet of ``size``."""
    scale = min(size[0] / picture.width, size[1] / picture.height)
    small = picture.resize((max(1, round(picture.width * scale)), max(1, round(picture.height * scale))))
    sheet = Image.new("RGB", size, "white")
    sheet.paste(small, ((size[0] - small.width) // 2, (size[1] - small.height) // 2))
    return sheet
