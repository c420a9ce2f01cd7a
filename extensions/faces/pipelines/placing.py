"""Where an edit happens: the face, the square about it that a model is shown, what of the picture may change; and the
way of a changed square back into the picture.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from extensions.faces.finding.choosing import the_face
from extensions.faces.finding.face import Face
from extensions.faces.params_editing import Blended
from extensions.faces.pixels.blending import blend, truly_changed
from extensions.faces.pixels.cutting import CutOut, around, put_back, taken
from extensions.faces.pixels.regions import Mask, grown, reachable, region_mask
from extensions.faces.vocabulary import REGION_OF, WHOLE
from webui.api import Context, FieldError, ParameterError


@dataclass(frozen=True)
class Place:
    """Where an edit happens: the face, the square that is shown to a model, and what of the picture may change."""

    face: Face
    where: CutOut
    mask: Mask


def find_place(params: Any, picture: Image.Image, context: Context, region: str, painted: Mask | None = None) -> Place:
    """The face of the job, its cut-out and its mask. Raises JobFailed, ParameterError."""
    return place_of(the_face(params, picture, context), picture.size, params, region, painted)


def place_of(face: Face, size: tuple[int, int], blended: Blended, region: str, painted: Mask | None = None) -> Place:
    """The cut-out and the mask of a face in a picture of this size. Raises ParameterError where nothing may change."""
    where = around(face, size, blended.margin)
    inside = np.zeros((size[1], size[0]), np.float32)
    rows, columns = where.slices
    inside[max(0, rows.start) : rows.stop, max(0, columns.start) : columns.stop] = 1
    grow = round(face.height / 30) if blended.grow is None else blended.grow
    if painted is not None:
        mask = painted
    elif region == WHOLE:
        mask = inside
    elif region == "background":
        mask = grown(region_mask(face, region), grow)
    else:
        mask = grown(np.maximum(region_mask(face, region), reachable(face, region, inside.shape)), grow)
    mask = mask * inside
    if not mask.any():
        raise ParameterError(
            [FieldError("region", "nothing of this region is in the cut-out")], hint="Paint a mask, or take another."
        )
    return Place(face, where, mask)


def blended_in(picture: Image.Image, made: Image.Image, place: Place, blended: Blended) -> Image.Image:
    """The picture with what was made of its square."""
    before, whole = np.asarray(picture), np.asarray(put_back(picture, made, place.where))
    reach = max(1, round(place.face.height / 30))
    mask = truly_changed(before, whole, place.mask, blended.least_change, reach, blended.match_colours)
    feather = blended.feather * place.face.height
    return Image.fromarray(blend(before, whole, mask, way=blended.blend, feather=feather, match=blended.match_colours))


def cut_mask(place: Place, edge: int) -> Mask:
    """The mask within the square, float32 [edge,edge] of 0 and 1."""
    square = taken(place.mask, place.where)
    fitted = Image.fromarray((255 * square).astype(np.uint8)).resize((edge, edge), Image.Resampling.BILINEAR)
    return (np.asarray(fitted) >= 64).astype(np.float32)


def region_of(region: str, wish: str) -> str:
    """The region that ``auto`` means: that of the wanted attribute."""
    if region != "auto":
        return region
    head = wish.partition("=")[0].strip().rpartition(".")[2]
    return REGION_OF.get(head, "head")
