"""Another face laid over one: in its place, shape and tone, and which pixels of it are taken."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy import ndimage

from extensions.faces.finding.face import Face
from webui.api import JobFailed

from .blending import Pixels, blend
from .regions import Mask, grown, reachable, region_mask
from .tones import toned
from .warping import into_place

_FEATHER = 0.06
"""Of the face's height."""


@dataclass(frozen=True)
class Laid:
    """A face over another one."""

    pixels: Pixels
    """uint8 [H,W,3] of the picture's size."""
    mask: Mask
    """What of them is taken, float32 [H,W] of 0 and 1."""
    covered: Mask
    """Where in the mask the picture has something that is no skin (a beard, glasses): it must not shine through."""


def taken_mask(face: Face, parts: str, shape: tuple[int, int]) -> Mask:
    """What of our picture is replaced, float32 [H,W] of 0 and 1. Raises JobFailed for a face without parts."""
    try:
        if parts == "face":
            return grown(region_mask(face, "face"), -_edge(face))
        if parts == "features":
            eyes, mouth = reachable(face, "eyes", shape), reachable(face, "mouth", shape)
            return np.maximum(eyes, mouth) * region_mask(face, "face")
        return reachable(face, parts, shape) * region_mask(face, "face")
    except ValueError as error:
        raise JobFailed(f"What of the picture is the face is not known: {error}") from None


def laid_over(
    picture: Image.Image, ours: Face, other: Image.Image, theirs: Face, parts: str, match_colours: bool
) -> Laid:
    """The other face in the place and shape of ours, with its skin in our tone where colours match.

    Raises JobFailed where nothing of it is in sight.
    """
    before = np.asarray(picture)
    placed = into_place(np.asarray(other), theirs, ours, picture.size)
    mask = taken_mask(ours, parts, before.shape[:2])
    worn = _worn(ours, parts, mask)
    mask = np.maximum(mask, worn)
    skin = mask
    if theirs.parts is not None:
        # Where the other one has hair or nothing, ours stays; what ours wears there gives way to skin.
        edge = _edge(ours)
        face, skin = (grown(_placed_mask(theirs, one, ours, picture.size), -edge) for one in ("face", "skin"))
        placed = _filled(placed, skin * face, worn * (1 - face), edge)
        mask = mask * np.maximum(face, worn)
        skin = skin * mask
    if not mask.any():
        raise JobFailed("Nothing of the face is in sight.")
    if match_colours:
        placed = toned(placed, skin, before, region_mask(ours, "skin") * taken_mask(ours, "face", before.shape[:2]))
    return Laid(placed, mask, worn * mask)


def laid_in(picture: Image.Image, laid: Laid, face: Face, way: str, strength: float = 1.0) -> Image.Image:
    """The picture with ``strength`` of what was laid over it; outside of the mask it stays as it was, to the bit."""
    before = np.asarray(picture)
    # A soft edge is for skin on skin.
    ground = np.where(laid.covered[..., None] > 0, laid.pixels, before)
    result = blend(ground, laid.pixels, laid.mask, way=way, feather=_FEATHER * face.height, match=False)
    mixed = before + strength * (result.astype(np.float32) - before)
    return Image.fromarray(mixed.round().clip(0, 255).astype(np.uint8))


def _edge(face: Face) -> int:
    """Pixels of an outline that belong to both of its sides."""
    return max(1, round(face.height / 60))


def _worn(face: Face, parts: str, mask: Mask) -> Mask:
    """What in the face is no skin, with its edge: also where the mask was drawn in from the outline."""
    features = region_mask(face, "face") * (1 - region_mask(face, "skin"))
    reach = mask
    if parts == "face":
        reach = grown(np.maximum(region_mask(face, "face"), region_mask(face, "neck")), _edge(face))
        reach = reach * (1 - region_mask(face, "hat"))
    return grown(features, 2 * _edge(face)) * reach


def _placed_mask(theirs: Face, region: str, ours: Face, size: tuple[int, int]) -> Mask:
    """A region of the other face, where it comes to lie."""
    shown = into_place((255 * region_mask(theirs, region)).astype(np.uint8), theirs, ours, size)
    return (shown >= 128).astype(np.float32)


def _filled(pixels: Pixels, known: Mask, where: Mask, edge: int) -> Pixels:
    """``pixels`` with the nearest known ones ``where`` there are none; ``edge`` pixels of the known are not trusted."""
    inside = grown(known, -edge) > 0
    if not inside.any():
        return pixels
    rows, columns = ndimage.distance_transform_edt(~inside, return_distances=False, return_indices=True)
    return np.where(where[..., None] > 0, pixels[rows, columns], pixels)
