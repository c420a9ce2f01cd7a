"""A face with something laid over it -> both mixed in the latents of a diffusion model, and denoised together."""

from __future__ import annotations

from collections.abc import Collection

import cv2
import numpy as np
from PIL import Image

from extensions.faces.finding.face import Face
from extensions.faces.judging.captions import mixed_caption
from extensions.faces.judging.judge import read_all
from extensions.faces.params_mixing import InLatents
from extensions.faces.pixels.blending import Pixels
from extensions.faces.pixels.cutting import around, cut, put_back
from extensions.faces.pixels.laying import Laid
from webui.api import Context, JobFailed, NotFound

from .mix import MARGIN
from .placing import Place, cut_mask
from .within import changed, data_url, own_edge, used_model

BLEND = "diffusion.blend"
_HARDLY, _READ_PX = 0.02, 256
"""A strength at which one step is drawn that changes next to nothing: an autoencoder's way there and back. The edge of
what a judge is shown.
"""
_REDRAWN, _SEEN_PX = 48.0, 3
"""Grey levels from which on something else is there, over so many pixels."""


def wants_latents(params: InLatents, face: Face, context: Context) -> bool:
    """Whether a job is drawn in latents: as it says, else where the face is a drawn one and there is a model.

    Raises JobFailed where it says so and there is no way.
    """
    if params.way != "auto":
        if params.way == "latents" and BLEND not in context.pipelines:
            raise JobFailed(f"This way needs the pipeline {BLEND}.", hint="Enable the extension Diffusion.")
        return params.way == "latents"
    if face.by != "drawn":
        return False
    try:
        return used_model(context, BLEND, {"model": params.model}) is not None
    except NotFound:
        return False


def mixed_in_latents(
    params: InLatents, picture: Image.Image, ours: Face, words: str, laid: Laid, amount: float, context: Context
) -> Laid:
    """What is laid over the picture, mixed with it by ``amount`` and drawn as one under ``words``.

    Raises JobFailed, and what the pipeline within raises.
    """
    where = around(ours, picture.size, MARGIN)
    given = {
        "model": params.model,
        "amount": amount,
        "guidance_scale": params.guidance_scale,
        "mask_blur": 0,
    }
    edge = own_edge(context, BLEND, given, where.side)
    before = np.asarray(picture)
    given["other"] = data_url(cut(Image.fromarray(mixture(before, laid, 1.0)), where, edge))
    square, small = cut(picture, where, edge), cut_mask(Place(ours, where, laid.mask), edge)
    context.log.info("%s: %r", BLEND, words)

    def drawn(strength: float) -> Pixels:
        settings = {**given, "strength": strength}
        made = changed(context, BLEND, settings, square, prompt=words, seed=params.seed, mask=small)
        return np.asarray(put_back(picture, made, where))

    over = mixture(before, laid, amount)
    return Laid(with_detail(over, drawn(_HARDLY), drawn(params.denoise)), laid.mask, laid.covered)


def described(
    context: Context,
    judge: str,
    ours: Image.Image,
    face: Face,
    other: Image.Image,
    theirs: Face,
    taken: Collection[str],
) -> str:
    """The caption of a face with what is ``taken`` of the other one; empty for a judge without such words."""
    squares = [cut(one, around(shown, one.size, MARGIN), _READ_PX) for one, shown in ((ours, face), (other, theirs))]
    (here, there), heads = read_all(context, judge, squares)
    return mixed_caption(here, there, heads, taken)


def mixture(before: Pixels, laid: Laid, amount: float) -> Pixels:
    """The pixels of both, by ``amount`` of what was laid over the picture."""
    mixed = before + (amount * laid.mask)[..., None] * (laid.pixels.astype(np.float32) - before)
    return mixed.round().clip(0, 255).astype(np.uint8)


def with_detail(over: Pixels, decoded: Pixels, drawn: Pixels) -> Pixels:
    """``drawn`` with what an autoencoder and a small cut-out lose of ``over``: its difference from ``decoded``, which
    is ``over`` on that way alone. The more was redrawn, the less of it: a smile keeps nothing of lips that were closed.
    uint8 [H,W,3] each.
    """
    made = drawn.astype(np.float32)
    redrawn = cv2.blur(np.abs(made - decoded).max(2), (_SEEN_PX, _SEEN_PX))
    kept = np.exp(-np.square(redrawn / _REDRAWN))[..., None]
    return (made + kept * (over - decoded.astype(np.float32))).round().clip(0, 255).astype(np.uint8)
