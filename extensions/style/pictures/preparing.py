"""From a form's pictures to what the networks read: tensors, shares of references, and the way back to the picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from extensions.style.accepting import masks_for, weights_of
from extensions.style.colour.spaces import from_lab, to_lab
from extensions.style.colour.transfer import Transfer, transferred
from extensions.style.params import AdainParams, GatysParams
from webui.api import Context, FieldError, ParameterError

from .reading import Floats, at_side, floats, mask_of, references_of, rgb_of, to_picture, with_alpha_of

_LEAST_PX = 32
"""Shortest side: reflected edges are wider than smaller activations."""


def to_tensor(values: Floats) -> Tensor:
    """[H,W,3] in 0..1 -> float32 [1,3,H,W]."""
    return torch.from_numpy(values).float().permute(2, 0, 1)[None].contiguous()


def to_floats(pictures: Tensor) -> Floats:
    """[1,3,H,W] -> float64 [H,W,3] in 0..1."""
    found: Floats = pictures[0].detach().float().clamp(0, 1).permute(1, 2, 0).cpu().double().numpy()
    return found


@dataclass(frozen=True)
class Ready:
    """What one job works on."""

    original: Image.Image
    """At the size of the result."""
    content: Floats
    """[H,W,3] in 0..1."""
    references: list[Floats]
    """Recoloured where the picture's colours are kept so."""
    plain: list[Floats]
    """The references as they came."""
    shares: list[float]
    places: list[Floats]
    """A mask [H,W] for each reference, or none at all."""
    mask: Floats | None
    keep_hue: bool

    def finished(self, made: Floats, strength: float = 1.0) -> Image.Image:
        """``made`` [H,W,3] with the hue, mask and transparency that were asked for."""
        if self.keep_hue:
            lab = to_lab(self.content)
            lab[..., 0] = to_lab(np.clip(made, 0, 1))[..., 0]
            made = from_lab(lab)
        amount = strength if self.mask is None else strength * self.mask[..., None]
        return with_alpha_of(to_picture(self.content + (np.clip(made, 0, 1) - self.content) * amount), self.original)


def prepared(context: Context, params: AdainParams | GatysParams) -> Ready:
    """Everything opened, at its size. Raises ParameterError, NotFound."""
    original = at_side(context.open_image(params.image), params.side)
    if min(original.size) < _LEAST_PX:
        raise ParameterError([FieldError("image", f"expected at least {_LEAST_PX} pixels a side, got {original.size}")])
    content = floats(original.convert("RGB"))
    pictures = references_of(context, params.references, params.ready, params.ready_seed)
    plain = [floats(_large_enough(at_side(one, params.reference_side))) for one in pictures]
    references = plain
    if params.keep_colour == "references":
        recolour = Transfer("covariance", "rgb")
        references = [transferred(one, [content], recolour) for one in plain]
    masks = masks_for(params.masks, len(plain)) if isinstance(params, AdainParams) else ()
    places = [mask_of(context, ref, original.size) for ref in masks]
    return Ready(
        original,
        content,
        references,
        plain,
        weights_of(params.weights, len(plain)),
        [one for one in places if one is not None],
        mask_of(context, params.mask, original.size),
        params.keep_colour == "hue",
    )


def _large_enough(picture: Image.Image) -> Image.Image:
    if min(picture.size) >= _LEAST_PX:
        return rgb_of(picture)
    scale = _LEAST_PX / min(picture.size)
    width, height = (max(_LEAST_PX, round(edge * scale)) for edge in picture.size)
    return rgb_of(picture).resize((width, height), Image.Resampling.BICUBIC)
