"""faces.edit: one face of a picture, changed by another pipeline and blended back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from extensions.faces.finding.choosing import the_face
from extensions.faces.finding.face import Face
from extensions.faces.judging.judge import compared, likeness, read_all, score, wanted_value
from extensions.faces.params_editing import Blended, EditParams, Judged
from extensions.faces.pixels.blending import blend, truly_changed
from extensions.faces.pixels.cutting import CutOut, around, cut, put_back, taken
from extensions.faces.pixels.regions import Mask, grown, painted_mask, reachable, region_mask
from extensions.faces.pixels.sheets import row_of
from extensions.faces.vocabulary import REGION_OF, WHOLE
from webui.api import Artifact, Context, FieldError, ParameterError

from .within import changed, own_edge

Make = Callable[[Image.Image, Mask, int], Image.Image]
"""(the square, the mask in it, seed) -> the square changed."""


@dataclass(frozen=True)
class Place:
    """Where an edit happens: the face, the square that is shown to a model, and what of the picture may change."""

    face: Face
    where: CutOut
    mask: Mask


@dataclass(frozen=True)
class Best:
    """The candidate that was kept, and what is to be said of it."""

    picture: Image.Image
    seed: int
    numbers: dict[str, Any]


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


def best_candidate(
    context: Context, params: Any, picture: Image.Image, place: Place, edge: int, seed: int, make: Make, wish: str
) -> Best:
    """So many candidates as asked for, blended; the one that the judge likes best."""
    judged: Judged = params
    square = cut(picture, place.where, edge)
    small = cut_mask(place, edge)
    seeds = [seed + i for i in range(judged.candidates)]
    pictures = [blended_in(picture, make(square, small, candidate), place, params) for candidate in seeds]
    views = [cut(one, place.where, edge) for one in (picture, *pictures)]
    read, heads = read_all(context, judged.judge, views)
    wanted = wanted_value(wish, heads)
    before, after = read[0], read[1:]
    scores = [score(before, one, wanted) for one in after]
    chosen = max(range(len(scores)), key=scores.__getitem__)
    changed_pixels = (np.asarray(pictures[chosen]) != np.asarray(picture)).any(2)
    numbers = {
        "judge": judged.judge,
        **compared(before, after[chosen], heads, wanted),
        "candidates": [
            {"seed": s, "score": round(v, 4), "likeness": round(likeness(before, one), 4)}
            for s, v, one in zip(seeds, scores, after, strict=True)
        ],
        "kept_seed": seeds[chosen],
        "changed_share": round(float(changed_pixels.mean()), 5),
        "changed_outside_of_the_mask": int((changed_pixels & (place.mask <= 0)).sum()),
        "face": place.face.told(),
    }
    return Best(pictures[chosen], seeds[chosen], numbers)


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


def artifacts(picture: Image.Image, place: Place, best: Best, title: str) -> Iterator[Artifact]:
    """What an edit leaves: the picture; it beside the one before, with the mask; the numbers."""
    seen = {"Likeness": f"{best.numbers['likeness']:.3f}"}
    yield Artifact("image", best.picture, index=0, seed=best.seed, title=title, infotext=seen)
    mask = Image.fromarray((255 * place.mask).astype(np.uint8)).convert("RGB")
    beside = row_of(
        [picture, best.picture, mask], ["before", f"after, likeness {best.numbers['likeness']:.3f}", "mask"]
    )
    yield Artifact("image", beside, index=1, seed=best.seed, title="Compared")
    yield Artifact("scalar", best.numbers, index=2, title="Measured")


class Edit:
    """faces.edit."""

    def run(self, params: EditParams, context: Context) -> Iterator[Artifact]:
        """Artifacts: see ``artifacts``. Raises JobFailed where no face is found."""
        if not context.pending(3):
            return
        picture = context.open_image(params.image).convert("RGB")
        painted = None
        if params.mask is not None:
            painted = painted_mask(context.open_image(params.mask), picture.size)
            painted = painted if painted.any() else None
        region = region_of(params.region, params.attribute)
        place = find_place(params, picture, context, region, painted)
        edge = params.edge or own_edge(context, params.pipeline, params.params, place.where.side)

        def make(square: Image.Image, mask: Mask, seed: int) -> Image.Image:
            return changed(context, params.pipeline, params.params, square, prompt=params.prompt, seed=seed, mask=mask)

        best = best_candidate(context, params, picture, place, edge, params.seed, make, params.attribute)
        yield from artifacts(picture, place, best, params.prompt or params.pipeline)
