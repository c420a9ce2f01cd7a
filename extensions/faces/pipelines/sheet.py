"""faces.sheet: one person in several expressions and outfits, labelled, from one picture and one seed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from PIL import Image

from extensions.faces.params_mixing import SheetParams
from extensions.faces.pixels.sheets import matrix
from extensions.faces.vocabulary import CHANGES
from webui.api import Artifact, Context, FieldError, JobFailed, ParameterError

from .placing import find_place, region_of
from .tries import best_candidate
from .ways import instructed
from .within import run_within

_USUAL = ("smile", "sad", "surprised", "angry", "sunglasses", "crown")
_PIPELINE = "diffusion.edit"


class Sheet:
    """faces.sheet."""

    def run(self, params: SheetParams, context: Context) -> Iterator[Artifact]:
        """Artifacts: the sheet, a table of likeness and attributes, then each picture. Raises JobFailed."""
        wanted = params.changes or _USUAL
        unknown = [name for name in wanted if name not in CHANGES]
        if unknown:
            raise ParameterError([FieldError("changes", f"expected some of {', '.join(CHANGES)}", unknown[0])])
        if not context.pending(2 + len(wanted)):
            return
        picture = self._first(params, context)
        cells, names, rows = [picture], ["as it is"], []
        for index, name in enumerate(wanted, start=2):
            label, words, wish = CHANGES[name]
            place = find_place(params, picture, context, region_of("auto", wish))
            way = instructed(context, _PIPELINE, {}, words, params.edge, place.where.side)
            made = best_candidate(context, params, picture, place, way, wish)
            cells.append(made.picture)
            names.append(f"{label} ({made.numbers['likeness']:.2f})")
            keys = ("likeness", "wanted", "wanted_probability", "kept_seed", "changed_share")
            rows.append({"change": label, **{key: made.numbers.get(key) for key in keys}})
            yield Artifact("image", made.picture, index=index, seed=made.seed, title=label)
        yield Artifact("image", _labelled(cells, names, params.columns), index=0, seed=params.seed, title="Sheet")
        yield Artifact("table", rows, index=1, title="Measured")

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
