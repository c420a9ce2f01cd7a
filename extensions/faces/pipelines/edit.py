"""faces.edit: one face of a picture, changed by another pipeline and blended back."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from PIL import Image

from extensions.faces.params_editing import EditParams
from extensions.faces.pixels.regions import painted_mask
from extensions.faces.pixels.sheets import row_of
from webui.api import Artifact, Context

from .placing import Place, find_place, region_of
from .tries import Best, best_candidate
from .ways import instructed


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
        side = place.where.side
        way = instructed(context, params.pipeline, params.params, params.prompt, params.edge, side, bolder=False)
        best = best_candidate(context, params, picture, place, way, params.attribute)
        yield from artifacts(picture, place, best, params.prompt or params.pipeline)
