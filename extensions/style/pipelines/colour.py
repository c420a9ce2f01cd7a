"""style.colour: the colours of references for a picture. No network, no model."""

from __future__ import annotations

from collections.abc import Iterator

from extensions.style.accepting import weights_of
from extensions.style.colour.transfer import Transfer, transferred
from extensions.style.params import ColourParams
from extensions.style.pictures.reading import (
    floats,
    mask_of,
    references_of,
    to_picture,
    with_alpha_of,
)
from webui.api import Artifact, Context


class Colour:
    """style.colour. One artifact: the picture at its own size."""

    def run(self, params: ColourParams, context: Context) -> Iterator[Artifact]:
        """Raises ParameterError where a picture or a weight is missing."""
        if not context.pending(1):
            return
        original = context.open_image(params.image)
        references = references_of(context, params.references, params.ready, params.ready_seed)
        colours = [floats(one) for one in references]
        transfer = Transfer(
            params.method, params.space, params.strength, params.keep_lightness, params.steps, params.seed
        )
        made = transferred(
            floats(original.convert("RGB")),  # what lies under transparent places is coloured as well
            colours,
            transfer,
            weights=weights_of(params.weights, len(references)),
            mask=mask_of(context, params.mask, original.size),
        )
        context.progress(1, 1, "colours")
        yield Artifact("image", with_alpha_of(to_picture(made), original), seed=params.seed)
