"""faces.sheet: one person in several expressions, outfits and poses, labelled, from one picture and one seed."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from extensions.faces.finding.choosing import the_face
from extensions.faces.finding.face import Face
from extensions.faces.judging.judge import likeness, read_all
from extensions.faces.params_mixing import SheetParams
from extensions.faces.pixels.cutting import around, cut
from extensions.faces.pixels.posing import Pose, posed
from extensions.faces.pixels.sheets import matrix
from extensions.faces.vocabulary import CHANGES, POSES
from webui.api import Artifact, Context, FieldError, JobFailed, ParameterError

from .placing import place_of, region_of
from .tries import best_candidate
from .ways import instructed
from .within import run_within

_USUAL = ("smile", "sad", "surprised", "angry", "sunglasses", "crown")
_USUAL_POSES = ("turned_left", "turned_right", "tilted_left", "raised")
_PIPELINE = "diffusion.edit"
_READ_PX = 256
_TOLD = ("likeness", "wanted", "wanted_probability", "kept_seed", "changed_share")


@dataclass(frozen=True)
class _Cell:
    """One picture of the sheet and what is said of it."""

    label: str
    picture: Image.Image
    seed: int
    numbers: dict[str, Any]


class Sheet:
    """faces.sheet."""

    def run(self, params: SheetParams, context: Context) -> Iterator[Artifact]:
        """Artifacts: the sheet, a table of likeness and attributes, then each picture. Raises JobFailed."""
        usual = not params.changes and not params.poses
        changes, poses = (_USUAL, _USUAL_POSES) if usual else (params.changes, params.poses)
        _known("changes", changes, CHANGES)
        _known("poses", poses, POSES)
        if not context.pending(2 + len(changes) + len(poses)):
            return
        picture = self._first(params, context)
        cells = []
        for cell in self._cells(params, picture, changes, poses, context):
            yield Artifact("image", cell.picture, index=2 + len(cells), seed=cell.seed, title=cell.label)
            cells.append(cell)
        names = ["as it is", *(f"{cell.label} ({cell.numbers['likeness']:.2f})" for cell in cells)]
        sheet = _labelled([picture, *(cell.picture for cell in cells)], names, params.columns)
        yield Artifact("image", sheet, index=0, seed=params.seed, title="Sheet")
        keys = [key for key in _TOLD if any(key in cell.numbers for cell in cells)]
        rows = [{"change": cell.label, **{key: cell.numbers.get(key) for key in keys}} for cell in cells]
        yield Artifact("table", rows, index=1, title="Measured")

    def _cells(
        self,
        params: SheetParams,
        picture: Image.Image,
        changes: Collection[str],
        poses: Collection[str],
        context: Context,
    ) -> Iterator[_Cell]:
        """Each from the first picture, so that nothing that went wrong goes on into the next."""
        face = the_face(params, picture, context)
        for name in changes:
            label, words, wish = CHANGES[name]
            place = place_of(face, picture.size, params, region_of("auto", wish))
            way = instructed(context, _PIPELINE, {}, words, params.edge, place.where.side)
            made = best_candidate(context, params, picture, place, way, wish)
            yield _Cell(label, made.picture, made.seed, made.numbers)
        if poses:
            yield from _posed(params, picture, face, poses, context)

    def _first(self, params: SheetParams, context: Context) -> Image.Image:
        if params.image is not None:
            return context.open_image(params.image).convert("RGB")
        if not params.prompt.strip():
            raise ParameterError([FieldError("image", "give a picture, or words to draw one from")])
        given: dict[str, Any] = {"prompt": params.prompt, "seed": params.seed}
        made = [one for one in run_within(context, "diffusion.txt2img", given) if one.kind == "image"]
        if not made:
            raise JobFailed("diffusion.txt2img made no picture.")
        picture: Image.Image = made[0].data
        return picture.convert("RGB")


def _posed(
    params: SheetParams, picture: Image.Image, face: Face, poses: Collection[str], context: Context
) -> Iterator[_Cell]:
    """The head in other poses, each compared with the first where it stands."""
    pixels, where = np.asarray(picture), around(face, picture.size, params.margin)
    made = {}
    for name in poses:
        label, tilt, turn, raised = POSES[name]
        try:
            made[label] = posed(pixels, face, Pose(tilt, turn, raised))
        except ValueError as error:
            raise JobFailed(f"This head cannot be posed: {error}", hint="Place its landmarks as JSON.") from None
    squares = [cut(one, where, _READ_PX) for one in (picture, *map(Image.fromarray, made.values()))]
    (before, *after), _ = read_all(context, params.judge, squares)
    for (label, result), read in zip(made.items(), after, strict=True):
        share = round(float((result != pixels).any(2).mean()), 5)
        numbers = {"likeness": round(likeness(before, read), 4), "changed_share": share}
        yield _Cell(label, Image.fromarray(result), params.seed, numbers)


def _known(field: str, names: Collection[str], known: Collection[str]) -> None:
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ParameterError([FieldError(field, f"expected some of {', '.join(known)}", unknown[0])])


def _labelled(pictures: list[Image.Image], names: list[str], columns: int) -> Image.Image:
    """Rows of pictures, each with its words over it."""
    strips = []
    for start in range(0, len(pictures), columns):
        row, words = pictures[start : start + columns], names[start : start + columns]
        strips.append(matrix([row], words, []))
    width = max(strip.width for strip in strips)
    sheet = Image.new("RGB", (width, sum(strip.height for strip in strips)), "white")
    top = 0
    for strip in strips:
        sheet.paste(strip, (0, top))
        top += strip.height
    return sheet
