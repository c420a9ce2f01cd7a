"""faces.attribute: one named thing of a face changed, the rest kept; by an editing model or in a StyleGAN's space."""

from __future__ import annotations

from collections.abc import Iterator

from PIL import Image

from extensions.faces.params_editing import AttributeParams
from extensions.faces.pixels.regions import Mask
from extensions.faces.vocabulary import CHANGES
from webui.api import Artifact, Context, FieldError, JobFailed, ParameterError

from .edit import Make, artifacts, best_candidate, find_place, region_of
from .within import changed, data_url, own_edge, run_within

_PROJECTED_EDGE_PX = 256


class Attribute:
    """faces.attribute."""

    def run(self, params: AttributeParams, context: Context) -> Iterator[Artifact]:
        """Artifacts: the picture; it beside the one before; the numbers. Raises JobFailed where no face is found."""
        if not context.pending(3):
            return
        title, words, wish = CHANGES.get(params.change, ("", "", ""))
        words, wish = (
            params.prompt.strip() or words,
            params.attribute.strip() or ("" if params.prompt.strip() else wish),
        )
        if params.method == "instruct" and not words:
            raise ParameterError([FieldError("prompt", "say what to change, or choose a change")])
        picture = context.open_image(params.image).convert("RGB")
        place = find_place(params, picture, context, region_of(params.region, wish))
        if params.method == "gan":
            edge = params.edge or min(place.where.side, _PROJECTED_EDGE_PX)
            params = params.model_copy(update={"candidates": 1})
            make = self._along(params, context)
        else:
            edge = params.edge or own_edge(context, params.pipeline, params.params, place.where.side)
            make = self._told(params, context, words)
        best = best_candidate(context, params, picture, place, edge, params.seed, make, wish)
        yield from artifacts(picture, place, best, words or title or params.direction)

    def _told(self, params: AttributeParams, context: Context, words: str) -> Make:
        def make(square: Image.Image, mask: Mask, seed: int) -> Image.Image:
            return changed(context, params.pipeline, params.params, square, prompt=words, seed=seed, mask=mask)

        return make

    def _along(self, params: AttributeParams, context: Context) -> Make:
        """The square projected into a StyleGAN, once, and moved along a direction there."""
        if not params.direction.strip():
            raise ParameterError(
                [FieldError("direction", "choose a direction")], hint="The GANs' form Directions finds them."
            )
        missing = [name for name in ("gan.project", "gan.edit") if name not in context.pipelines]
        if missing:
            raise JobFailed(f"This way needs the pipeline {missing[0]}.", hint="Enable the extension GANs.")

        def make(square: Image.Image, mask: Mask, seed: int) -> Image.Image:
            name = f"face-{context.job.id[:12]}"
            chosen = {"model": params.generator} if params.generator.strip() else {}
            given = {"image": data_url(square), "name": name, "steps": params.projection_steps, "seed": seed}
            run_within(context, "gan.project", {**chosen, **given, "network": params.judge})
            moved = {"projection": name, "direction_1": params.direction, "strength_1": params.strength, "seed": seed}
            made = run_within(context, "gan.edit", {**chosen, **moved, "truncation": 1.0})
            if not made:
                raise JobFailed("gan.edit made no picture of the projected face.")
            result: Image.Image = made[0].data
            return result.convert("RGB")

        return make
