"""faces.swap: the face of another picture in the place and shape of this one's, laid over or mixed in latents."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import Image

from extensions.faces.finding.face import Face
from extensions.faces.params_mixing import SwapParams
from extensions.faces.pixels.blending import blend
from extensions.faces.pixels.cutting import around, cut, put_back
from extensions.faces.pixels.laying import laid_in, laid_over, taken_mask
from extensions.faces.pixels.regions import Mask
from extensions.faces.vocabulary import TAKEN
from webui.api import Artifact, Context, FieldError, JobFailed, ParameterError

from .latents import described, mixed_in_latents, wants_latents
from .mix import MARGIN, both_faces, by_network, compared, measured
from .within import changed, own_edge, run_within


class Swap:
    """faces.swap."""

    def run(self, params: SwapParams, context: Context) -> Iterator[Artifact]:
        """Artifacts: the picture; it beside both others; the numbers. Raises JobFailed where a face is not found."""
        if not context.pending(3):
            return
        picture, ours, other, theirs = both_faces(params, context)
        mask: Mask | None = None
        if params.network.strip():
            result = by_network(params, params.parts, picture, ours, other, theirs, context)
        elif params.swapper.strip():
            result = self._by_other(params, context)
        else:
            result, mask = self._laid(params, picture, ours, other, theirs, context)
        numbers: dict[str, Any] = {
            **measured(context, params.judge, {"source": (other, theirs), "picture": (picture, ours)}, result, ours),
            **_where(picture, result, mask),
        }
        yield Artifact("image", result, index=0, seed=params.seed, title="Swapped")
        beside = compared(picture, other, result, "taken from")
        yield Artifact("image", beside, index=1, seed=params.seed, title="Compared")
        yield Artifact("scalar", numbers, index=2, title="Measured")

    def _laid(
        self,
        params: SwapParams,
        picture: Image.Image,
        ours: Face,
        other: Image.Image,
        theirs: Face,
        context: Context,
    ) -> tuple[Image.Image, Mask]:
        """By what comes with this extension, and what may have changed."""
        laid = laid_over(picture, ours, other, theirs, params.parts, params.match_colours)
        strength = params.strength
        if wants_latents(params, ours, context):
            taken = TAKEN[params.parts]
            words = params.prompt.strip() or described(context, params.judge, picture, ours, other, theirs, taken)
            laid, strength = mixed_in_latents(params, picture, ours, words, laid, strength, context), 1.0
        result = laid_in(picture, laid, ours, params.blend, strength)
        if params.refine <= 0:
            return result, laid.mask
        return self._drawn_over(params, result, ours, laid.mask, context)

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

    def _drawn_over(
        self, params: SwapParams, picture: Image.Image, face: Face, mask: Mask, context: Context
    ) -> tuple[Image.Image, Mask]:
        where = around(face, picture.size, MARGIN)
        pipeline, told = "diffusion.img2img", {"strength": params.refine}
        edge = own_edge(context, pipeline, told, where.side)
        square = cut(picture, where, edge)
        made = changed(context, pipeline, told, square, prompt=params.prompt, seed=params.seed)
        over = taken_mask(face, params.parts, (picture.height, picture.width))
        pixels = blend(
            np.asarray(picture),
            np.asarray(put_back(picture, made, where)),
            over,
            way="feather",
            feather=0.04 * face.height,
            match=True,
        )
        return Image.fromarray(pixels), np.maximum(mask, over)


def _where(before: Image.Image, after: Image.Image, mask: Mask | None) -> dict[str, Any]:
    """How much changed, and where: outside of the mask nothing, for a result whose mask is known."""
    if after.size != before.size:
        return {}
    differs = (np.asarray(after) != np.asarray(before)).any(2)
    told: dict[str, Any] = {"changed_share": round(float(differs.mean()), 5)}
    return told if mask is None else {**told, "changed_outside_of_the_mask": int((differs & (mask <= 0)).sum())}
